// The correlation of halves on a GPU with matrix units (the Volta generation and later). The products of 16 columns of
// a row with the 36 that they meet are a band of a matrix product; a block has 7 lines of displacements of its patch, a
// warp one of these.
#include <mma.h>

#include "correlation_gpu.h"

namespace flownet {
namespace {

constexpr int kWarp = 32, kThreads = kLines * kWarp;
constexpr int kSide = 16;                   // of the matrices that a warp multiplies
constexpr int kTilesA = kColumns / kSide;   // of a row
constexpr int kBand = 3;                    // matrices side by side that hold the band of a tile
constexpr int kPadded = 64;                 // columns of a window, filled up to whole matrices
constexpr int kChunk = 32, kEights = kChunk / 8;  // channels in shared memory at a time
constexpr int kPitch = kChunk + 8;          // halves from one place to the next; 8 more, so that their banks differ
constexpr int kPlacesA = kRows * kColumns, kPlaces = kPlacesA + (kRows + kLines - 1) * kPadded;
constexpr int kWide = kBand * kSide;        // floats in a row of a band

// Channels c … c + 7 of a place; 0 beyond the last channel and where there is no place.
__device__ uint4 Eight(const __half* map, int place, int c, int channels) {
  uint4 eight = make_uint4(0, 0, 0, 0);
  if (place < 0 || c >= channels) return eight;
  map += place * channels + c;
  if (channels % 8 == 0) return *reinterpret_cast<const uint4*>(map);
  for (int i = 0; i < 8 && c + i < channels; i++) reinterpret_cast<__half*>(&eight)[i] = map[i];
  return eight;
}

__global__ void __launch_bounds__(kThreads) Cost(const Sizes s, const __half* a, const __half* b, __half* cost) {
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 700
  using namespace nvcuda::wmma;
  __shared__ __align__(32) __half memory[kPlaces * kPitch];  // first the maps, [place][channel], then the results
  __shared__ int places[kPlaces];                            // a's, then b's; −1 outside the frame
  int index = blockIdx.x;
  const int first_shift = kShifts * Digit(&index, Ceil(s.side(), kShifts));
  const int first_line = kLines * Digit(&index, Ceil(s.side(), kLines));
  const Patch patch(s, index);
  const int line = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  a = patch.Image(s, a, s.channels), b = patch.Image(s, b, s.channels);

  for (int i = threadIdx.x; i < kPlaces; i += kThreads) {
    const int met = i - kPlacesA, column = met % kPadded;
    places[i] = met < 0            ? patch.Place(s, i / kColumns, i % kColumns)
                : column < kWindow ? patch.Place(s, first_line - s.reach + met / kPadded, first_shift - s.reach + column)
                                   : -1;
  }

  fragment<accumulator, kSide, kSide, kSide, float> sums[kRows][kTilesA][kBand];
  for (auto& row : sums)
    for (auto& tile : row)
      for (auto& sum : tile) fill_fragment(sum, 0.f);
  for (int first = 0; first < s.channels; first += kChunk) {
    __syncthreads();
#pragma unroll 4
    for (int i = threadIdx.x; i < kPlaces * kEights; i += kThreads) {
      const int place = i / kEights, c = i % kEights * 8;
      *reinterpret_cast<uint4*>(memory + place * kPitch + c) =
          Eight(place < kPlacesA ? a : b, places[place], first + c, s.channels);
    }
    __syncthreads();
#pragma unroll
    for (int k = 0; k < kChunk; k += kSide) {
#pragma unroll
      for (int row = 0; row < kRows; row++) {
        fragment<matrix_a, kSide, kSide, kSide, __half, row_major> columns[kTilesA];
        fragment<matrix_b, kSide, kSide, kSide, __half, col_major> met;
#pragma unroll
        for (int tile = 0; tile < kTilesA; tile++)
          load_matrix_sync(columns[tile], memory + (row * kColumns + tile * kSide) * kPitch + k, kPitch);
#pragma unroll
        for (int m = 0; m < kPadded / kSide; m++) {
          load_matrix_sync(met, memory + (kPlacesA + (row + line) * kPadded + m * kSide) * kPitch + k, kPitch);
#pragma unroll
          for (int tile = 0; tile < kTilesA; tile++)
            if (0 <= m - tile && m - tile < kBand)
              mma_sync(sums[row][tile][m - tile], columns[tile], met, sums[row][tile][m - tile]);
        }
      }
    }
  }

  __syncthreads();  // each warp has a part of the memory for one band at a time
  float* const band = reinterpret_cast<float*>(memory) + line * kSide * kWide;
  cost = patch.Image(s, cost, s.displacements());
  const float scale = 1.f / s.channels;
#pragma unroll
  for (int row = 0; row < kRows; row++) {
#pragma unroll
    for (int tile = 0; tile < kTilesA; tile++) {
#pragma unroll
      for (int j = 0; j < kBand; j++) store_matrix_sync(band + j * kSide, sums[row][tile][j], kWide, mem_row_major);
      __syncwarp();
      for (int i = lane; i < kSide * kShifts; i += kWarp) {
        const int column = i / kShifts, shift = i % kShifts;
        const int place = patch.Place(s, row, tile * kSide + column), iy = first_line + line, ix = first_shift + shift;
        if (place >= 0 && iy < s.side() && ix < s.side())
          cost[place * s.displacements() + iy * s.side() + ix] = __float2half(band[column * (kWide + 1) + shift] * scale);
      }
      __syncwarp();
    }
  }
#endif
}

}  // namespace

bool HasMatrixUnits() {
  int device, major;
  return cudaGetDevice(&device) == cudaSuccess &&
         cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device) == cudaSuccess && major >= 7;
}

const char* LaunchMatrixCorrelation(cudaStream_t stream, const Sizes& s, const __half* a, const __half* b,
                                    __half* cost) {
  Cost<<<CostBlocks(s), kThreads, 0, stream>>>(s, a, b, cost);
  return LastError();
}

}  // namespace flownet
