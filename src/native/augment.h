// What the augmentation's kernels on a CPU and TensorFlow's side of them share. No TensorFlow header.
//
// src/model/augment.py tells what is computed, and makes all numbers that are structs here; their fields lie in memory
// as src/model/augment_native.py writes them.
#pragma once

#include <cstdint>

namespace flownet {

struct Frames {
  int batch, height, width;     // of the whole images
  int crop_height, crop_width;  // of the results

  int64_t rows() const { return int64_t(batch) * crop_height; }
};

// (x, y) → (xx·x + xy·y + x0, yx·x + yy·y + y0); pixels of a crop count from (w / 2, h / 2).
struct Affine {
  float xx, xy, yx, yy, x0, y0;
};

// augment_colours.Chromatic.
struct Chromatic {
  float into[3][3], before[3], bend[3], after[3];
  float saturation_power, saturation_add, saturation_mult;
  float turn_grey, turn[2][2];
  float light_power, light_add, light_mult, dark;
  float most[3], back[3][3];
  float changes;
};

// augment_colours.GammaGroup.
struct GammaGroup {
  float tint[3], gamma, gain, offset, changes;
};

// One frame of the pairs: the images, uint8 [batch, height, width, 3], and for each pair what it undergoes.
struct Frame {
  const uint8_t* image;
  const Affine* place;
  const Chromatic* chromatic;
  const GammaGroup* gamma;  // nullptr: nothing
  float* result;            // [batch, crop_height, crop_width, 3]
};

// What augment_colours.noise makes two gaussian numbers of.
struct Noise {
  const int32_t* bits;  // [batch, 3, crop_height · crop_width], from 1 to rings · angles − 1
  const float* sigma;   // [batch], in grey levels
  float rings, angles;
};

// Where the colours of an image lie along three axes: range[0…2] of each axis are highest, lowest and mean coordinate.
void ColourRange(const uint8_t* image, int height, int width, const float* axes, float* range);

// Rows [begin, end) of all batch · crop_height rows of both results.
void AugmentRows(const Frames& frames, const Frame& a, const Frame& b, const Noise& noise, int64_t begin, int64_t end);

// The flow of the crops: for each pair, `place` tells where a pixel lies in the first image, whose nearest pixel's flow
// is taken by the 2 × 2 matrix of `vector`; `still` is what a flow of 0 becomes.
struct Motion {
  const float* flow;   // [batch, height, width, 2]
  const bool* valid;   // [batch, height, width]
  const Affine *place, *still, *vector;
  float* new_flow;     // [batch, crop_height, crop_width, 2]
  bool* new_valid;     // [batch, crop_height, crop_width]
};
void MoveRows(const Frames& frames, const Motion& motion, int64_t begin, int64_t end);

}  // namespace flownet
