// What the convolution on a CPU and TensorFlow's side of it share. No TensorFlow header.
#pragma once

#include <cstdint>

namespace flownet {

// A convolution of x [batch, height, width, depth] with weights [kernel_height, kernel_width, depth, channels], zero-
// padded by `pad` on every side, plus biases [channels], and a leaky ReLU: y [batch, out_height, out_width, channels].
struct Conv {
  int batch, height, width, depth;
  int kernel_height, kernel_width, channels;
  int stride, pad;
  float slope;  // of the leaky ReLU below zero; 1: none
  int lanes;    // floats in a vector: 4, 8 or 16

  int out_height() const { return (height + 2 * pad - kernel_height) / stride + 1; }
  int out_width() const { return (width + 2 * pad - kernel_width) / stride + 1; }
  int64_t rows() const { return int64_t(batch) * out_height(); }
  int64_t taps() const { return int64_t(kernel_height) * kernel_width * depth; }  // products of one output

  // Channels are computed in equal blocks of up to three vectors, the last one filled up with zeros.
  int vectors() const { return (channels + lanes - 1) / lanes; }
  int blocks() const { return (vectors() + 2) / 3; }
  int block_vectors() const { return (vectors() + blocks() - 1) / blocks(); }
  int block_channels() const { return block_vectors() * lanes; }
  int64_t packed_floats() const { return blocks() * (taps() + 1) * block_channels(); }
};

// The most floats that a vector of this processor has: 4, 8 or 16.
int MostLanes();

// Orders weights and biases as ConvRows reads them: of each block of channels the biases, and the weights tap by tap.
void PackWeights(const Conv& conv, const float* weights, const float* biases, float* packed);

// Rows [begin, end) of all batch · out_height rows of y.
void ConvRows(const Conv& conv, const float* x, const float* packed, float* y, int64_t begin, int64_t end);

}  // namespace flownet
