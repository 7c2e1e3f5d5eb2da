// The correlation on an NVIDIA GPU: a block has 7 lines of displacements of its patch, a thread one row, one line and
// one tile of these.
#include "correlation_gpu.h"

namespace flownet {
namespace {

constexpr int kThreads = kRows * kLines * kTiles;
constexpr int kChunk = 16;  // channels in shared memory at a time
constexpr int kPlacesA = kRows * kColumns, kPlaces = kPlacesA + (kRows + kLines - 1) * kWindow;
constexpr int kPitch = kPlaces + 4;         // floats from one channel to the next; 4 more, so that their banks differ
constexpr int kResults = kLines * kShifts;  // of one place
constexpr int kMemory = kChunk * kPitch > kPlacesA * kResults ? kChunk * kPitch : kPlacesA * kResults;

// Reads a chunk of channels of all places into shared memory, [channel][place].
template <typename T>
__device__ void LoadChunk(const T* const* places, int first, int channels, float* memory) {
#pragma unroll 6
  for (int i = threadIdx.x; i < kPlaces * kChunk / 4; i += kThreads) {
    const int place = i / (kChunk / 4), c = i % (kChunk / 4) * 4;
    const float4 four = Channels(places[place], first + c, channels);
    float* const to = memory + c * kPitch + place;
    to[0] = four.x, to[kPitch] = four.y, to[2 * kPitch] = four.z, to[3 * kPitch] = four.w;
  }
}

// Adds to sums[i][j] the products of column i with the column that it meets at shift j, over a chunk of channels.
__device__ void AddProducts(const float* column, const float* met, float (&sums)[kTile][kShifts]) {
#pragma unroll 2
  for (int c = 0; c < kChunk; c++, column += kPitch, met += kPitch) {
    float columns[kTile], window[kMet];
    *reinterpret_cast<float4*>(columns) = Load4(column);
#pragma unroll
    for (int k = 0; k < kMet; k += 4) *reinterpret_cast<float4*>(window + k) = Load4(met + k);
#pragma unroll
    for (int i = 0; i < kTile; i++)
#pragma unroll
      for (int j = 0; j < kShifts; j++) sums[i][j] += columns[i] * window[i + j];
  }
}

template <typename T>
__global__ void __launch_bounds__(kThreads) Cost(const Sizes s, const T* a, const T* b, T* cost) {
  __shared__ __align__(16) float memory[kMemory];  // first the maps, then the results
  __shared__ const T* places[kPlaces];             // a's, then b's; null outside the frame
  int index = blockIdx.x;
  const int first_shift = kShifts * Digit(&index, Ceil(s.side(), kShifts));
  const int first_line = kLines * Digit(&index, Ceil(s.side(), kLines));
  const Patch patch(s, index);
  const int tile = kTile * (threadIdx.x % kTiles), line = threadIdx.x / kTiles % kLines;
  const int row = threadIdx.x / kTiles / kLines;

  for (int i = threadIdx.x; i < kPlaces; i += kThreads) {
    const int met = i - kPlacesA;
    const int place = met < 0 ? patch.Place(s, i / kColumns, i % kColumns)
                              : patch.Place(s, first_line - s.reach + met / kWindow,
                                            first_shift - s.reach + met % kWindow);
    places[i] = place < 0 ? nullptr : patch.Image(s, met < 0 ? a : b, s.channels) + place * s.channels;
  }

  float sums[kTile][kShifts] = {};
  for (int first = 0; first < s.channels; first += kChunk) {
    __syncthreads();
    LoadChunk(places, first, s.channels, memory);
    __syncthreads();
    AddProducts(memory + row * kColumns + tile, memory + kPlacesA + (row + line) * kWindow + tile, sums);
  }

  __syncthreads();  // the results of a place lie together, so that neighbouring threads write neighbouring channels
#pragma unroll
  for (int i = 0; i < kTile; i++)
#pragma unroll
    for (int j = 0; j < kShifts; j++)
      memory[(row * kColumns + tile + i) * kResults + line * kShifts + j] = sums[i][j];
  __syncthreads();
  cost = patch.Image(s, cost, s.displacements());
  const float scale = 1.f / s.channels;
  for (int i = threadIdx.x; i < kPlacesA * kResults; i += kThreads) {
    const int place = patch.Place(s, i / kResults / kColumns, i / kResults % kColumns);
    const int iy = first_line + i % kResults / kShifts, ix = first_shift + i % kShifts;
    if (place >= 0 && iy < s.side() && ix < s.side())
      cost[place * s.displacements() + iy * s.side() + ix] = T(memory[i] * scale);
  }
}

}  // namespace

template <typename T>
const char* LaunchScalarCorrelation(cudaStream_t stream, const Sizes& s, const T* a, const T* b, T* cost) {
  Cost<<<CostBlocks(s), kThreads, 0, stream>>>(s, a, b, cost);
  return LastError();
}

template <>
const char* LaunchCorrelation(cudaStream_t stream, const Sizes& s, const float* a, const float* b, float* cost) {
  return LaunchScalarCorrelation(stream, s, a, b, cost);
}

template <>
const char* LaunchCorrelation(cudaStream_t stream, const Sizes& s, const __half* a, const __half* b, __half* cost) {
  return (HasMatrixUnits() ? LaunchMatrixCorrelation : LaunchScalarCorrelation<__half>)(stream, s, a, b, cost);
}

}  // namespace flownet
