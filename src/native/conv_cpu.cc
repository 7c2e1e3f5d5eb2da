// A convolution on a CPU without a copy of x, for layers of few channels, where copies cost more than products.
//
// In a row of the kernel, what an output meets lies in one piece, all columns and channels of it. So each weight of a
// block of channels, a few vectors, is read once for some neighbouring pixels, whose sums stay in registers, and meets
// one number of each. Pixels that meet the edge of the frame are computed from a copy of their part with zeros around.
#include <algorithm>
#include <vector>

#include "conv.h"

#define FLOWNET_INLINE inline __attribute__((always_inline))

namespace flownet {
namespace {

// A kind of vector, and how many of them fill the processor's registers.
struct Narrow {  // SSE, NEON
  static constexpr int kLanes = 4, kRegisters = 16;
  typedef float Lanes __attribute__((vector_size(16), aligned(4), may_alias));
};
struct Middle {  // AVX
  static constexpr int kLanes = 8, kRegisters = 16;
  typedef float Lanes __attribute__((vector_size(32), aligned(4), may_alias));
};
struct Wide {  // AVX-512
  static constexpr int kLanes = 16, kRegisters = 32;
  typedef float Lanes __attribute__((vector_size(64), aligned(4), may_alias));
};

// Neighbouring pixels at a time: their sums of n vectors each leave registers for n weights and a number of x.
template <typename Kind, int n>
constexpr int Pixels() {
  return std::min((Kind::kRegisters - 1) / n - 1, 14);
}

// n vectors of channels of neighbouring pixels of y, the first of which meets x from here on. Rows of x lie x_pitch
// apart, pixels of y y_pitch: where that is less than n vectors, each pixel goes over the surplus of the one before.
template <typename Kind, int n>
FLOWNET_INLINE void Block(const Conv& conv, const float* x, int64_t x_pitch, const float* packed, float* y,
                          int64_t y_pitch) {
  typedef typename Kind::Lanes Lanes;
  constexpr int pixels = Pixels<Kind, n>();
  const int64_t step = int64_t(conv.stride) * conv.depth, run = int64_t(conv.kernel_width) * conv.depth;
  const Lanes* weights = reinterpret_cast<const Lanes*>(packed);
  Lanes sums[pixels][n];
  for (int j = 0; j < pixels; j++)
    for (int v = 0; v < n; v++) sums[j][v] = weights[v];
  for (int row = 0; row < conv.kernel_height; row++, x += x_pitch) {
    for (int64_t i = 0; i < run; i++) {
      weights += n;
      for (int j = 0; j < pixels; j++)
        for (int v = 0; v < n; v++) sums[j][v] += x[j * step + i] * weights[v];
    }
  }
  for (int j = 0; j < pixels; j++, y += y_pitch)
    for (int v = 0; v < n; v++)
      reinterpret_cast<Lanes*>(y)[v] = sums[j][v] > 0 ? sums[j][v] : sums[j][v] * conv.slope;
}

// Copies `height` rows of `width` pixels of an image from (top, left) on; what lies outside is 0.
FLOWNET_INLINE void CopyPart(const Conv& conv, const float* image, int top, int left, int height, int width,
                             float* part) {
  const int begin = std::min(std::max(-left, 0), width), end = std::max(std::min(conv.width - left, width), begin);
  std::fill_n(part, int64_t(height) * width * conv.depth, 0.f);
  for (int row = std::max(-top, 0); row < std::min(conv.height - top, height); row++)
    std::copy_n(image + (int64_t(top + row) * conv.width + left + begin) * conv.depth, (end - begin) * conv.depth,
                part + (int64_t(row) * width + begin) * conv.depth);
}

template <typename Kind, int n>
FLOWNET_INLINE void Rows(const Conv& conv, const float* x, const float* packed, float* y, int64_t begin, int64_t end) {
  constexpr int pixels = Pixels<Kind, n>(), in_block = n * Kind::kLanes;
  const int part_width = (pixels - 1) * conv.stride + conv.kernel_width;
  const int64_t pitch = int64_t(conv.width) * conv.depth, part_pitch = int64_t(part_width) * conv.depth;
  const int64_t out_width = conv.out_width();
  std::vector<float> part(conv.kernel_height * part_pitch);
  alignas(64) float last[pixels * in_block];
  for (int64_t out_row = begin; out_row < end; out_row++) {
    const float* const image = x + out_row / conv.out_height() * conv.height * pitch;
    const int top = out_row % conv.out_height() * conv.stride - conv.pad;
    const bool rows_inside = top >= 0 && top + conv.kernel_height <= conv.height;
    // The last block of channels comes first: where it is not full, it spills into the first block of the next pixel.
    for (int first = (conv.blocks() - 1) * in_block; first >= 0; first -= in_block) {
      const float* const weights = packed + (conv.taps() + 1) * first;
      for (int64_t column = 0; column < out_width; column += pixels) {
        const int left = column * conv.stride - conv.pad;
        const bool inside = rows_inside && left >= 0 && left + part_width <= conv.width;
        if (!inside) CopyPart(conv, image, top, left, conv.kernel_height, part_width, part.data());
        const float* const from = inside ? image + top * pitch + int64_t(left) * conv.depth : part.data();
        const int64_t from_pitch = inside ? pitch : part_pitch;
        float* const to = y + (out_row * out_width + column) * conv.channels + first;
        if ((out_width - column - pixels) * conv.channels >= in_block) {
          Block<Kind, n>(conv, from, from_pitch, weights, to, conv.channels);
          continue;
        }
        Block<Kind, n>(conv, from, from_pitch, weights, last, in_block);  // nothing is spilled beyond the row
        for (int j = 0; j < std::min<int64_t>(pixels, out_width - column); j++)
          std::copy_n(last + j * in_block, std::min(in_block, conv.channels - first), to + j * conv.channels);
      }
    }
  }
}

template <typename Kind>
FLOWNET_INLINE void RowsOf(const Conv& conv, const float* x, const float* packed, float* y, int64_t begin,
                           int64_t end) {
  if (conv.block_vectors() == 1) return Rows<Kind, 1>(conv, x, packed, y, begin, end);
  if (conv.block_vectors() == 2) return Rows<Kind, 2>(conv, x, packed, y, begin, end);
  Rows<Kind, 3>(conv, x, packed, y, begin, end);
}

}  // namespace

// A library built here must run on any x86-64. Not by target_clones: the three differ in more than their instructions.
#if defined(__x86_64__)
__attribute__((target("avx512f")))
static void WideRows(const Conv& conv, const float* x, const float* packed, float* y, int64_t begin, int64_t end) {
  RowsOf<Wide>(conv, x, packed, y, begin, end);
}

__attribute__((target("avx2,fma")))
static void MiddleRows(const Conv& conv, const float* x, const float* packed, float* y, int64_t begin, int64_t end) {
  RowsOf<Middle>(conv, x, packed, y, begin, end);
}

int MostLanes() {
  if (__builtin_cpu_supports("avx512f")) return 16;
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? 8 : 4;
}
#else
int MostLanes() { return 4; }
#endif

void PackWeights(const Conv& conv, const float* weights, const float* biases, float* packed) {
  const int in_block = conv.block_channels();
  for (int first = 0; first < conv.channels; first += in_block) {
    const int channels = std::min(in_block, conv.channels - first);
    for (int64_t tap = -1; tap < conv.taps(); tap++, packed += in_block) {
      const float* const from = tap < 0 ? biases : weights + tap * conv.channels;
      std::fill(std::copy_n(from + first, channels, packed), packed + in_block, 0.f);
    }
  }
}

void ConvRows(const Conv& conv, const float* x, const float* packed, float* y, int64_t begin, int64_t end) {
#if defined(__x86_64__)
  if (conv.lanes == 16) return WideRows(conv, x, packed, y, begin, end);
  if (conv.lanes == 8) return MiddleRows(conv, x, packed, y, begin, end);
#endif
  RowsOf<Narrow>(conv, x, packed, y, begin, end);
}

}  // namespace flownet
