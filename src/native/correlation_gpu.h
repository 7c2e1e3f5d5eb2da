// What the CUDA kernels share: how blocks divide the work, and how they read the maps. For nvcc; no TensorFlow header.
//
// Displacements are multiples of the stride, so rows and columns meet only those with the same remainder by the stride.
// A block works on a patch: two neighbouring rows and 32 neighbouring columns of one remainder each, which share most
// of what they meet. Along a row, a thread has four columns and 21 shifts: together they meet 24 columns of the other
// map, and it reads each of these once from shared memory. With FlowNet's 21 × 21 displacements no work is wasted;
// others take several rounds of 21, the last of which may be partly empty.
#pragma once

#include <cuda_fp16.h>

#include "correlation.h"

namespace flownet {
namespace {

constexpr int kRows = 2, kColumns = 32;  // of a patch
constexpr int kTile = 4, kShifts = 21;   // columns and displacements of a thread
constexpr int kTiles = kColumns / kTile;
constexpr int kLines = 7;  // of displacements that a block of the cost has of its patch
constexpr int kMet = kTile + kShifts - 1;        // columns that a tile meets
constexpr int kWindow = kColumns + kShifts - 1;  // columns that a row of a patch meets

__host__ __device__ constexpr int Ceil(int n, int divisor) { return (n + divisor - 1) / divisor; }

// Patches of one remainder, down and across a map.
__host__ __device__ inline int Down(const Sizes& s) { return Ceil(Ceil(s.height, s.stride), kRows); }
__host__ __device__ inline int Across(const Sizes& s) { return Ceil(Ceil(s.width, s.stride), kColumns); }

inline int64_t Patches(const Sizes& s) { return int64_t(s.batch) * s.stride * Down(s) * s.stride * Across(s); }

// Blocks of the cost.
inline int64_t CostBlocks(const Sizes& s) { return Patches(s) * Ceil(s.side(), kLines) * Ceil(s.side(), kShifts); }

// Takes the last digit, of base `base`, off a block's index.
__device__ inline int Digit(int* index, int base) {
  const int digit = *index % base;
  *index /= base;
  return digit;
}

struct Patch {
  int y, x;  // of its first row and column
  int64_t image;

  __device__ Patch(const Sizes& s, int index) {
    x = Digit(&index, s.stride) + kColumns * s.stride * Digit(&index, Across(s));
    y = Digit(&index, s.stride) + kRows * s.stride * Digit(&index, Down(s));
    image = index;
  }

  // The place of a row and a column counted from the patch's first; −1 outside the frame.
  __device__ int Place(const Sizes& s, int row, int column) const {
    const int at_y = y + row * s.stride, at_x = x + column * s.stride;
    return 0 <= at_y && at_y < s.height && 0 <= at_x && at_x < s.width ? at_y * s.width + at_x : -1;
  }

  // The first element of the patch's image.
  template <typename T>
  __device__ T* Image(const Sizes& s, T* map, int channels) const {
    return map + image * s.height * s.width * channels;
  }
};

__device__ inline float4 Load4(const float* from) { return *reinterpret_cast<const float4*>(from); }

__device__ inline float4 Load4(const __half* from) {
  const uint2 bits = *reinterpret_cast<const uint2*>(from);
  const float2 low = __half22float2(reinterpret_cast<const __half2&>(bits.x));
  const float2 high = __half22float2(reinterpret_cast<const __half2&>(bits.y));
  return make_float4(low.x, low.y, high.x, high.y);
}

// Channels c … c + 3 of a place; 0 beyond the last channel and where there is no place.
template <typename T>
__device__ float4 Channels(const T* place, int c, int channels) {
  if (!place || c >= channels) return make_float4(0, 0, 0, 0);
  if (channels % 4 == 0) return Load4(place + c);
  return make_float4(float(place[c]), c + 1 < channels ? float(place[c + 1]) : 0.f,
                     c + 2 < channels ? float(place[c + 2]) : 0.f, c + 3 < channels ? float(place[c + 3]) : 0.f);
}

inline const char* LastError() {
  const cudaError_t error = cudaGetLastError();
  return error == cudaSuccess ? nullptr : cudaGetErrorString(error);
}

}  // namespace

// The correlation by matrix units, where the GPU in use has them.
bool HasMatrixUnits();
const char* LaunchMatrixCorrelation(cudaStream_t stream, const Sizes& s, const __half* a, const __half* b,
                                    __half* cost);

}  // namespace flownet
