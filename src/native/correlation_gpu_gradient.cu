// The correlation's gradients on an NVIDIA GPU, without atomics: each place gathers from all that it met. A block has
// 128 channels of its patch, a thread 8 of them in one row and one tile.
#include "correlation_gpu.h"

namespace flownet {
namespace {

constexpr int kDepth = 128, kQuads = 2;  // channels of a block, and in fours of a thread
constexpr int kLanes = kDepth / kQuads / 4;
constexpr int kThreads = kRows * kTiles * kLanes;
constexpr int kWarp = 32;

// One line of displacements and 21 shifts: in the patch's first row iy is `line`, in its second one less; ix counts from
// `first_shift` on. The window that both rows meet begins at `met_row` and `met_column`, counted as the patch's own.
struct Round {
  int line, first_shift, met_row, met_column;
};

// Reads the window that a row of the patch meets, from channel `first` on, into shared memory.
template <typename T>
__device__ void LoadWindow(const Sizes& s, const Patch& patch, const Round& round, const T* other, int first,
                           float (*window)[kDepth]) {
#pragma unroll 4
  for (int i = threadIdx.x; i < kWindow * kDepth / 4; i += kThreads) {
    const int column = i / (kDepth / 4), c = i % (kDepth / 4) * 4;
    const int place = patch.Place(s, round.met_row, round.met_column + column);
    const T* const from = place < 0 ? nullptr : other + place * s.channels;
    *reinterpret_cast<float4*>(&window[column][c]) = Channels(from, first + c, s.channels);
  }
}

// Reads what each shift weighs in the sums of the patch's places into shared memory. For a's gradient the weights lie
// in dcost at the patch's own places, for b's at the places met, and backwards since d is mirrored there. A warp reads
// from one place, its threads neighbouring displacements.
template <Map map, typename T>
__device__ void LoadWeights(const Sizes& s, const Patch& patch, const Round& round, const T* dcost,
                            float (*weights)[kColumns][kShifts]) {
  constexpr int kHolders = map == Map::kA ? kColumns : kWindow;
  const int shift = threadIdx.x % kWarp;
#pragma unroll 4
  for (int i = threadIdx.x / kWarp; i < kRows * kHolders; i += kThreads / kWarp) {
    const int row = i / kHolders, holder = i % kHolders, column = map == Map::kA ? holder : holder - shift;
    if (shift >= kShifts || column < 0 || column >= kColumns) continue;
    const int place = map == Map::kA ? patch.Place(s, row, holder)
                                     : patch.Place(s, round.met_row, round.met_column + holder);
    const int iy = round.line - row, ix = round.first_shift + shift, d = iy * s.side() + ix;
    const bool met = place >= 0 && 0 <= iy && iy < s.side() && ix < s.side();
    const int at = place * s.displacements() + (map == Map::kA ? d : s.displacements() - 1 - d);
    weights[row][column][shift] = met ? float(dcost[at]) : 0.f;
  }
}

// Adds to sums[i] the columns of the window from `tile` on, weighted for the tile's column i.
__device__ void AddWeighted(const float (*window)[kDepth], const float (*weights)[kShifts], int tile, int lane,
                            float (&sums)[kTile][4 * kQuads]) {
#pragma unroll
  for (int k = 0; k < kMet; k++) {
    float column[4 * kQuads];
#pragma unroll
    for (int q = 0; q < kQuads; q++)
      *reinterpret_cast<float4*>(column + 4 * q) = Load4(&window[tile + k][4 * (kLanes * q + lane)]);
#pragma unroll
    for (int i = 0; i < kTile; i++) {
      if (k - i < 0 || k - i >= kShifts) continue;
      const float weight = weights[tile + i][k - i];
#pragma unroll
      for (int c = 0; c < 4 * kQuads; c++) sums[i][c] += weight * column[c];
    }
  }
}

template <typename T, Map map>
__global__ void __launch_bounds__(kThreads, 2) Gradient(const Sizes s, const T* dcost, const T* other, T* gradient) {
  __shared__ __align__(16) float window[kWindow][kDepth];
  __shared__ float weights[kRows][kColumns][kShifts];
  int index = blockIdx.x;
  const int first = kDepth * Digit(&index, Ceil(s.channels, kDepth));
  const Patch patch(s, index);
  const int lane = threadIdx.x % kLanes, tile = kTile * (threadIdx.x / kLanes % kTiles);
  const int row = threadIdx.x / kLanes / kTiles;

  dcost = patch.Image(s, dcost, s.displacements());
  other = patch.Image(s, other, s.channels);
  float sums[kTile][4 * kQuads] = {};
  for (int line = 0; line < s.side() + kRows - 1; line++) {
    if (patch.Place(s, line - s.reach, 0) < 0) continue;
    for (int first_shift = 0; first_shift < s.side(); first_shift += kShifts) {
      const Round round = {line, first_shift, line - s.reach, first_shift - s.reach};
      __syncthreads();
      LoadWindow(s, patch, round, other, first, window);
      LoadWeights<map>(s, patch, round, dcost, weights);
      __syncthreads();
      AddWeighted(window, weights[row], tile, lane, sums);
    }
  }

  gradient = patch.Image(s, gradient, s.channels);
  const float scale = 1.f / s.channels;
#pragma unroll
  for (int i = 0; i < kTile; i++) {
    const int place = patch.Place(s, row, tile + i);
#pragma unroll
    for (int c = 0; c < 4 * kQuads; c++) {
      const int channel = first + 4 * (kLanes * (c / 4) + lane) + c % 4;
      if (place >= 0 && channel < s.channels) gradient[place * s.channels + channel] = T(sums[i][c] * scale);
    }
  }
}

}  // namespace

template <typename T>
const char* LaunchGradient(cudaStream_t stream, const Sizes& s, Map map, const T* dcost, const T* other, T* gradient) {
  const int64_t blocks = Patches(s) * Ceil(s.channels, kDepth);
  const auto kernel = map == Map::kA ? Gradient<T, Map::kA> : Gradient<T, Map::kB>;
  kernel<<<blocks, kThreads, 0, stream>>>(s, dcost, other, gradient);
  return LastError();
}

template const char* LaunchGradient(cudaStream_t, const Sizes&, Map, const float*, const float*, float*);
template const char* LaunchGradient(cudaStream_t, const Sizes&, Map, const __half*, const __half*, __half*);

}  // namespace flownet
