// What the CPU kernels, the CUDA kernels and TensorFlow's side of the correlation share. No TensorFlow header.
#pragma once

#include <cstdint>

// CUDA's stream and its 16-bit float, seen here through pointers only.
struct CUstream_st;
struct __half;

namespace flownet {

// The sizes of one correlation. The maps a and b are [batch, height, width, channels]; the cost is
// [batch, height, width, side·side] and holds at channel iy·side + ix the mean over channels of a(x) · b(x + d) for
// d = stride·(ix − reach, iy − reach), b being zero outside its frame. One image of a map or of the cost has fewer than
// 2³¹ elements, so that int counts them.
struct Sizes {
  int batch, height, width, channels;
  int reach;   // displacements on each side of 0
  int stride;  // pixels from one displacement to the next

  constexpr int side() const { return 2 * reach + 1; }
  constexpr int displacements() const { return side() * side(); }
  constexpr int64_t rows() const { return int64_t(batch) * height; }
};

// Which map a gradient belongs to. Both are sums over the places that a place met: those of b at x + d for a, those of
// a at x − d for b. With d mirrored they are one sum over one window, but for where in dcost the weights lie.
enum class Map { kA, kB };

// Rows [begin, end) of all batch·height rows of the cost; any split of the rows over threads is free of races.
void CorrelationRows(const Sizes& sizes, const float* a, const float* b, float* cost, int64_t begin, int64_t end);

// Rows [begin, end) of the gradient of `map`; `other` is the map that it met.
void GradientRows(const Sizes& sizes, Map map, const float* dcost, const float* other, float* gradient, int64_t begin,
                  int64_t end);

// The same as a whole on a GPU, for T = float or __half; sums are float. Return nullptr, or why the launch failed.
template <typename T>
const char* LaunchCorrelation(CUstream_st* stream, const Sizes& sizes, const T* a, const T* b, T* cost);
template <typename T>
const char* LaunchGradient(CUstream_st* stream, const Sizes& sizes, Map map, const T* dcost, const T* other,
                           T* gradient);

}  // namespace flownet
