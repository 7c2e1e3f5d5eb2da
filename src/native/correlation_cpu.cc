// The correlation and its gradients on a CPU.
//
// Displacements are multiples of the stride, so a column meets only columns of the same remainder by the stride. Among
// those, four neighbours meet a window of side + 3 columns in a row of the other map. A tile is these four columns with
// that window: each column of the window is read once for the four, and what is summed stays in registers. The part of
// a window that lies outside the frame is left out, so that nothing is padded or copied.
#include <algorithm>
#include <vector>

#include "correlation.h"

// A library built here must run on any x86-64, and fast where there are fused multiply-adds (since 2013): the loader
// takes one of two versions. Elsewhere (ARM) the compiler's baseline has them.
#if defined(__x86_64__) && defined(__linux__)
#define FLOWNET_VERSIONS __attribute__((target_clones("fma", "default")))
#else
#define FLOWNET_VERSIONS
#endif
#define FLOWNET_INLINE inline __attribute__((always_inline))

namespace flownet {
namespace {

constexpr int kTile = 4;   // columns; with three vectors of the other map, 12 sums fill the 16 registers of AVX
constexpr int kLanes = 8;  // floats in a vector
typedef float Lanes __attribute__((vector_size(4 * kLanes), aligned(4), may_alias));
typedef float HalfLanes __attribute__((vector_size(2 * kLanes), aligned(4), may_alias));

FLOWNET_INLINE const Lanes& AsLanes(const float* x) { return *reinterpret_cast<const Lanes*>(x); }
FLOWNET_INLINE Lanes& AsLanes(float* x) { return *reinterpret_cast<Lanes*>(x); }

// Up to four columns of one remainder, x, x + step, …, and the window that they meet, window_x, window_x + step, …, of
// which the columns [begin, end) lie inside the frame.
struct Tile {
  int columns, begin, end;
  int64_t x, window_x, step;

  Tile(const Sizes& s, int64_t x) : x(x), window_x(x - int64_t(s.reach) * s.stride), step(s.stride) {
    const int64_t left = x / step, right = (s.width - x + step - 1) / step;  // columns before x, and from x on
    columns = static_cast<int>(std::min<int64_t>(kTile, right));
    begin = static_cast<int>(std::max<int64_t>(0, s.reach - left));
    end = static_cast<int>(std::min<int64_t>(s.side() + kTile - 1, s.reach + right));
  }
};

// All tiles of a row. (A list, since a loop's body given as a lambda would miss the version of the function around it.)
std::vector<Tile> Tiles(const Sizes& s) {
  std::vector<Tile> tiles;
  for (int64_t remainder = 0; remainder < std::min(s.stride, s.width); remainder++)
    for (int64_t x = remainder; x < s.width; x += kTile * s.stride) tiles.emplace_back(s, x);
  return tiles;
}

// dots[j][i] = a[i] · b[j].
template <int n>
FLOWNET_INLINE void Dots(const float* const (&a)[kTile], const float* const (&b)[n], int channels,
                         float (&dots)[n][kTile]) {
  Lanes sums[n][kTile] = {};
  int c = 0;
  for (; c + kLanes <= channels; c += kLanes) {
    Lanes columns[n];
    for (int j = 0; j < n; j++) columns[j] = AsLanes(b[j] + c);
    for (int i = 0; i < kTile; i++) {
      const Lanes column = AsLanes(a[i] + c);
      for (int j = 0; j < n; j++) sums[j][i] += column * columns[j];
    }
  }
  for (int j = 0; j < n; j++) {
    for (int i = 0; i < kTile; i++) {
      const HalfLanes* const halves = reinterpret_cast<const HalfLanes*>(&sums[j][i]);
      const HalfLanes x = halves[0] + halves[1];
      dots[j][i] = (x[0] + x[2]) + (x[1] + x[3]);
    }
  }
  for (; c < channels; c++)
    for (int j = 0; j < n; j++)
      for (int i = 0; i < kTile; i++) dots[j][i] += a[i][c] * b[j][c];
}

// to[i] += Σ_k weights[k][i] · window[k] over n vectors of channels; window columns lie `pitch` floats apart.
template <int n>
FLOWNET_INLINE void AddWeighted(const float (*weights)[kTile], int count, const float* window, int64_t pitch,
                                float* const (&to)[kTile], int c) {
  Lanes sums[kTile][n];
  for (int i = 0; i < kTile; i++)
    for (int j = 0; j < n; j++) sums[i][j] = AsLanes(to[i] + c + j * kLanes);
  window += c;
  for (int k = 0; k < count; k++, window += pitch) {
    Lanes columns[n];
    for (int j = 0; j < n; j++) columns[j] = AsLanes(window + j * kLanes);
    for (int i = 0; i < kTile; i++)
      for (int j = 0; j < n; j++) sums[i][j] += weights[k][i] * columns[j];
  }
  for (int i = 0; i < kTile; i++)
    for (int j = 0; j < n; j++) AsLanes(to[i] + c + j * kLanes) = sums[i][j];
}

// scores[i·window + k] = mean over channels of the tile's column i times its window's column k, in the frame.
FLOWNET_INLINE void TileScores(const Sizes& s, const Tile& tile, const float* a_row, const float* b_row,
                               float* scores) {
  constexpr int n = 3;  // columns of the window at a time
  const int window = s.side() + kTile - 1;
  const float scale = 1.f / s.channels;
  const float* columns[kTile];
  for (int i = 0; i < kTile; i++)
    columns[i] = a_row + (tile.x + std::min(i, tile.columns - 1) * tile.step) * s.channels;
  for (int k = tile.begin; k < tile.end; k += n) {
    const float* met[n];
    float dots[n][kTile];
    for (int j = 0; j < n; j++)
      met[j] = b_row + (tile.window_x + std::min(k + j, tile.end - 1) * tile.step) * s.channels;
    Dots(columns, met, s.channels, dots);
    for (int j = 0; j < n && k + j < tile.end; j++)
      for (int i = 0; i < kTile; i++) scores[i * window + k + j] = dots[j][i] * scale;
  }
}

// weights[k][i] = what the window's column k weighs in the gradient of the tile's column i. For a they lie in dcost at
// the tile's own places (`row`), for b at the places that it meets (`met_row`), and backwards since d is mirrored.
FLOWNET_INLINE void TileWeights(const Sizes& s, const Tile& tile, Map map, const float* dcost, int64_t row,
                                int64_t met_row, int iy, float (*weights)[kTile]) {
  const int side = s.side(), displacements = s.displacements();
  const float scale = 1.f / s.channels;
  const float* const own = dcost + row * s.width * displacements + iy * side;
  const float* const met = dcost + met_row * s.width * displacements + (side - 1 - iy) * side;
  for (int k = tile.begin; k < tile.end; k++) {
    for (int i = 0; i < kTile; i++) {
      const int ix = k - i;
      if (ix < 0 || ix >= side || i >= tile.columns)
        weights[k][i] = 0;
      else if (map == Map::kA)
        weights[k][i] = scale * own[(tile.x + i * tile.step) * displacements + ix];
      else
        weights[k][i] = scale * met[(tile.window_x + k * tile.step) * displacements + side - 1 - ix];
    }
  }
}

// to[i] += Σ_k weights[k][i] · column k of the tile's window.
FLOWNET_INLINE void AddWindow(const Sizes& s, const Tile& tile, const float (*weights)[kTile], const float* row,
                              float* const (&to)[kTile]) {
  const float* const window = row + (tile.window_x + tile.begin * tile.step) * s.channels;
  const int64_t pitch = tile.step * s.channels;
  const int count = tile.end - tile.begin;
  weights += tile.begin;
  int c = 0;
  for (; c + 3 * kLanes <= s.channels; c += 3 * kLanes) AddWeighted<3>(weights, count, window, pitch, to, c);
  for (; c + kLanes <= s.channels; c += kLanes) AddWeighted<1>(weights, count, window, pitch, to, c);
  for (; c < s.channels; c++)
    for (int k = 0; k < count; k++)
      for (int i = 0; i < tile.columns; i++) to[i][c] += weights[k][i] * window[k * pitch + c];
}

}  // namespace

FLOWNET_VERSIONS
void CorrelationRows(const Sizes& s, const float* a, const float* b, float* cost, int64_t begin, int64_t end) {
  const int side = s.side(), window = side + kTile - 1, displacements = s.displacements();
  const int64_t in_row = int64_t(s.width) * s.channels;
  const std::vector<Tile> tiles = Tiles(s);
  std::vector<float> scores(kTile * window);
  for (int64_t row = begin; row < end; row++) {
    for (int iy = 0; iy < side; iy++) {
      const int64_t dy = int64_t(iy - s.reach) * s.stride, y = row % s.height + dy;
      float* const out = cost + row * s.width * displacements + iy * side;
      for (const Tile& tile : tiles) {
        std::fill(scores.begin(), scores.end(), 0.f);
        if (0 <= y && y < s.height) TileScores(s, tile, a + row * in_row, b + (row + dy) * in_row, scores.data());
        for (int i = 0; i < tile.columns; i++)
          std::copy_n(&scores[i * window + i], side, out + (tile.x + i * tile.step) * displacements);
      }
    }
  }
}

FLOWNET_VERSIONS
void GradientRows(const Sizes& s, Map map, const float* dcost, const float* other, float* gradient, int64_t begin,
                  int64_t end) {
  const int64_t in_row = int64_t(s.width) * s.channels;
  const std::vector<Tile> tiles = Tiles(s);
  std::vector<float> storage(kTile * (s.side() + kTile - 1)), surplus(s.channels);
  const auto weights = reinterpret_cast<float(*)[kTile]>(storage.data());
  std::fill(gradient + begin * in_row, gradient + end * in_row, 0.f);
  for (int64_t row = begin; row < end; row++) {
    for (int iy = 0; iy < s.side(); iy++) {
      const int64_t dy = int64_t(iy - s.reach) * s.stride, y = row % s.height + dy;
      if (y < 0 || y >= s.height) continue;
      for (const Tile& tile : tiles) {
        float* to[kTile];
        for (int i = 0; i < kTile; i++)
          to[i] = i < tile.columns ? gradient + row * in_row + (tile.x + i * tile.step) * s.channels : surplus.data();
        TileWeights(s, tile, map, dcost, row, row + dy, iy, weights);
        AddWindow(s, tile, weights, other + (row + dy) * in_row, to);
      }
    }
  }
}

}  // namespace flownet
