// The augmentation on a CPU, row by row: what lies between two steps stays in the nearest cache, where the graph of
// src/model/augment.py takes each of some two hundred steps over all pixels. That file and augment_colours.py say what
// is computed; here is how. All loops without a choice of where to read are written so that compilers make vectors.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "augment.h"

// As in correlation_cpu.cc: the loader takes the version for what the processor has.
#if defined(__x86_64__) && defined(__linux__)
#define FLOWNET_VERSIONS __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define FLOWNET_VERSIONS
#endif
#define FLOWNET_INLINE inline __attribute__((always_inline))

namespace flownet {
namespace {

constexpr float kWhite = 255, kSmallest = .01f, kTiny = 1e-20f, kPi = 3.14159265f;

FLOWNET_INLINE float Least(float x, float y) { return x < y ? x : y; }
FLOWNET_INLINE float Most(float x, float y) { return x > y ? x : y; }
FLOWNET_INLINE float Clip(float x, float low, float high) { return Least(Most(x, low), high); }

// The binary logarithm of x > 0: with x = m · 2^e and m between √½ and √2, e + 2 / ln 2 · artanh((m − 1) / (m + 1)).
FLOWNET_INLINE float Log2(float x) {
  int32_t bits;
  std::memcpy(&bits, &x, sizeof x);
  const int32_t e = (bits - 0x3f3504f3) >> 23;  // of 1 / √2
  bits -= e << 23;
  float m;
  std::memcpy(&m, &bits, sizeof m);
  const float s = (m - 1) / (m + 1), s2 = s * s;
  return e + s * 2.88539008f * (1 + s2 * (1.f / 3 + s2 * (1.f / 5 + s2 * (1.f / 7 + s2 * (1.f / 9)))));
}

// 2^x, with the Taylor series of what is left of x beside a whole number.
FLOWNET_INLINE float Exp2(float x) {
  x = Clip(x, -126, 127);
  const int32_t whole = static_cast<int32_t>(x + 126.5f) - 126;  // rounded, since x + 126.5 > 0
  const float t = (x - whole) * .69314718f;
  const float series =
      1 + t * (1 + t * (1.f / 2 + t * (1.f / 6 + t * (1.f / 24 + t * (1.f / 120 + t * (1.f / 720))))));
  const int32_t bits = (whole + 127) << 23;
  float power;
  std::memcpy(&power, &bits, sizeof power);
  return series * power;
}

// x^exponent for x ≥ 0.
FLOWNET_INLINE float Power(float x, float exponent) { return Exp2(exponent * Log2(Most(x, kTiny))); }

// sin(2πt) for −½ ≤ t ≤ ½.
FLOWNET_INLINE float SineOfTurn(float t) {
  const float beyond = t > .25f ? .5f - t : t, folded = beyond < -.25f ? -.5f - beyond : beyond;
  const float x = folded * (2 * kPi), x2 = x * x;
  return x * (1 - x2 / 6 * (1 - x2 / 20 * (1 - x2 / 42 * (1 - x2 / 72 * (1 - x2 / 110)))));
}

// The three planes of a row.
struct Planes {
  float *blue, *green, *red;
};

// Where the pixels of a row lie: the upper left one of four, and how far to the right and below.
struct Places {
  explicit Places(int width) : index(width), right(width), below(width) {}
  std::vector<int64_t> index;
  std::vector<float> right, below;
};

FLOWNET_VERSIONS
void SampleRow(const Frames& f, const uint8_t* image, const Affine& place, int row, Places* places, Planes to) {
  const int width = f.crop_width;
  const float y = row - f.crop_height / 2.f;
  const float last_x = f.width - 1, last_y = f.height - 1;
  const int64_t pitch = f.width;
  const int left_most = std::max(f.width - 2, 0), top_most = std::max(f.height - 2, 0);
  int64_t* const index = places->index.data();
  float *const right = places->right.data(), *const below = places->below.data();
  for (int i = 0; i < width; i++) {
    const float x = i - f.crop_width / 2.f;
    const float at_x = Clip(place.xx * x + place.x0 + place.xy * y, 0, last_x);
    const float at_y = Clip(place.yx * x + place.y0 + place.yy * y, 0, last_y);
    const int left = std::min(static_cast<int>(at_x), left_most), top = std::min(static_cast<int>(at_y), top_most);
    index[i] = 3 * (top * pitch + left);
    right[i] = at_x - left;
    below[i] = at_y - top;
  }
  const int64_t dx = f.width > 1 ? 3 : 0, dy = f.height > 1 ? 3 * pitch : 0;
  for (int i = 0; i < width; i++) {
    const uint8_t* const p = image + index[i];
    const float both = right[i] * below[i], one = right[i] - both, other = below[i] - both;
    const float none = 1 - one - other - both;
    to.blue[i] = none * p[0] + one * p[dx] + other * p[dy] + both * p[dx + dy];
    to.green[i] = none * p[1] + one * p[dx + 1] + other * p[dy + 1] + both * p[dx + dy + 1];
    to.red[i] = none * p[2] + one * p[dx + 2] + other * p[dy + 2] + both * p[dx + dy + 2];
  }
}

FLOWNET_VERSIONS
void ChromaticRow(const Chromatic& chromatic, int width, Planes planes) {
  const Chromatic n = chromatic;
  float *const blue = planes.blue, *const green = planes.green, *const red = planes.red;
#pragma GCC ivdep
  for (int i = 0; i < width; i++) {
    const float b = blue[i], g = green[i], r = red[i];
    float z[3];
    for (int c = 0; c < 3; c++) {
      const float x = n.into[c][0] * b + n.into[c][1] * g + n.into[c][2] * r + n.before[c];
      z[c] = x * Power(x * x, n.bend[c]) + n.after[c];
    }
    const float square = z[1] * z[1] + z[2] * z[2];
    const float wanted = Most(Power(square, n.saturation_power) + n.saturation_add, 0) * n.saturation_mult;
    const float ratio = wanted / std::sqrt(Most(square, kTiny));
    const float saturation = square > kSmallest * kSmallest ? ratio : 1.f;

    const float grey = n.turn_grey * z[0];
    const float first = n.turn[0][0] * z[1] + n.turn[0][1] * z[2], second = n.turn[1][0] * z[1] + n.turn[1][1] * z[2];
    const float grey_square = grey * grey, colour_square = first * first + second * second;
    const float length = Most(Power(grey_square + colour_square, n.light_power) + n.light_add, 0) * n.light_mult;
    const float now = grey_square + colour_square * saturation * saturation;
    const float scale = length / std::sqrt(Most(now, kTiny));
    const float light = now > n.dark * n.dark ? scale : 1.f;

    const float y0 = Least(grey * light, n.most[0]), y1 = Least(first * (light * saturation), n.most[1]);
    const float y2 = Least(second * (light * saturation), n.most[2]);
    blue[i] = Clip(n.back[0][0] * y0 + n.back[0][1] * y1 + n.back[0][2] * y2, 0, kWhite);
    green[i] = Clip(n.back[1][0] * y0 + n.back[1][1] * y1 + n.back[1][2] * y2, 0, kWhite);
    red[i] = Clip(n.back[2][0] * y0 + n.back[2][1] * y1 + n.back[2][2] * y2, 0, kWhite);
  }
}

FLOWNET_VERSIONS
void GammaRow(const GammaGroup& group, int width, Planes planes) {
  const GammaGroup n = group;
  float *const blue = planes.blue, *const green = planes.green, *const red = planes.red;
#pragma GCC ivdep
  for (int i = 0; i < width; i++) {
    const float before = blue[i] + green[i] + red[i];
    const float b = blue[i] * n.tint[0], g = green[i] * n.tint[1], r = red[i] * n.tint[2];
    const float scale = before / ((b + g + r) * kWhite + .01f * kWhite * kWhite);
    blue[i] = Clip(Power(Least(b * scale, 1), n.gamma) * n.gain + n.offset, 0, kWhite);
    green[i] = Clip(Power(Least(g * scale, 1), n.gamma) * n.gain + n.offset, 0, kWhite);
    red[i] = Clip(Power(Least(r * scale, 1), n.gamma) * n.gain + n.offset, 0, kWhite);
  }
}

// Adds to a plane of both frames.
FLOWNET_VERSIONS
void NoiseRow(const Noise& noise, float sigma, const int32_t* bits, int width, float* a, float* b) {
  const float unit = 1 / (noise.rings * noise.angles), variance = -2 * .69314718f * sigma * sigma;
  const float rings = noise.rings;
#pragma GCC ivdep
  for (int i = 0; i < width; i++) {
    const float radial = bits[i] * unit, turns = radial * rings;
    const float turn = turns - static_cast<int32_t>(turns);  // 0 … 1
    const float quarter_on = turn + .25f;
    const float radius = std::sqrt(Most(Log2(radial) * variance, 0));
    a[i] += radius * SineOfTurn(quarter_on > .5f ? quarter_on - 1 : quarter_on);
    b[i] += radius * SineOfTurn(turn > .5f ? turn - 1 : turn);
  }
}

void Interleave(Planes planes, int width, float* row) {
  for (int i = 0; i < width; i++) {
    row[3 * i] = planes.blue[i];
    row[3 * i + 1] = planes.green[i];
    row[3 * i + 2] = planes.red[i];
  }
}

}  // namespace

FLOWNET_VERSIONS
void ColourRange(const uint8_t* image, int height, int width, const float* axes, float* range) {
  std::vector<float> row(3 * width);
  double sums[3] = {};
  for (int c = 0; c < 3; c++) range[3 * c] = -(range[3 * c + 1] = std::numeric_limits<float>::max());
  for (int y = 0; y < height; y++) {
    const uint8_t* const pixels = image + int64_t(3) * y * width;
    int64_t sum[3] = {};
    for (int x = 0; x < width; x++) {
      for (int c = 0; c < 3; c++) {
        row[c * width + x] = pixels[3 * x + c];
        sum[c] += pixels[3 * x + c];
      }
    }
    const float *const blue = row.data(), *const green = blue + width, *const red = green + width;
    for (int c = 0; c < 3; c++) {
      const float along_blue = axes[3 * c], along_green = axes[3 * c + 1], along_red = axes[3 * c + 2];
      float highest = range[3 * c], lowest = range[3 * c + 1];
      for (int x = 0; x < width; x++) {
        const float z = along_blue * blue[x] + along_green * green[x] + along_red * red[x];
        highest = Most(z, highest);
        lowest = Least(z, lowest);
      }
      range[3 * c] = highest;
      range[3 * c + 1] = lowest;
      sums[c] += sum[c];
    }
  }
  for (int c = 0; c < 3; c++)
    range[3 * c + 2] =
        (axes[3 * c] * sums[0] + axes[3 * c + 1] * sums[1] + axes[3 * c + 2] * sums[2]) / (double(height) * width);
}

void AugmentRows(const Frames& f, const Frame& a, const Frame& b, const Noise& noise, int64_t begin, int64_t end) {
  const int width = f.crop_width;
  const int64_t in_image = int64_t(3) * f.height * f.width;
  Places places(width);
  std::vector<float> storage(6 * width);
  float* const plane = storage.data();
  const Planes planes[2] = {{plane, plane + width, plane + 2 * width},
                            {plane + 3 * width, plane + 4 * width, plane + 5 * width}};
  for (int64_t row = begin; row < end; row++) {
    const int64_t pair = row / f.crop_height;
    const int y = row % f.crop_height;
    for (int second = 0; second < 2; second++) {
      const Frame& frame = second ? b : a;
      SampleRow(f, frame.image + pair * in_image, frame.place[pair], y, &places, planes[second]);
      if (frame.chromatic[pair].changes) ChromaticRow(frame.chromatic[pair], width, planes[second]);
      if (frame.gamma && frame.gamma[pair].changes) GammaRow(frame.gamma[pair], width, planes[second]);
    }
    for (int c = 0; c < 3; c++) {
      const int32_t* const bits = noise.bits + ((3 * pair + c) * f.crop_height + y) * width;
      NoiseRow(noise, noise.sigma[pair], bits, width, plane + c * width, plane + (3 + c) * width);
    }
    Interleave(planes[0], width, a.result + 3 * row * width);
    Interleave(planes[1], width, b.result + 3 * row * width);
  }
}

FLOWNET_VERSIONS
void MoveRows(const Frames& f, const Motion& m, int64_t begin, int64_t end) {
  const int width = f.crop_width;
  for (int64_t row = begin; row < end; row++) {
    const int64_t pair = row / f.crop_height, first = pair * f.height * f.width;
    const float y = row % f.crop_height - f.crop_height / 2.f;
    const Affine place = m.place[pair], still = m.still[pair], vector = m.vector[pair];
    for (int i = 0; i < width; i++) {
      const float x = i - f.crop_width / 2.f;
      const float at_x = std::floor(place.xx * x + place.x0 + place.xy * y + .5f);
      const float at_y = std::floor(place.yx * x + place.y0 + place.yy * y + .5f);
      const float column = Clip(at_x, 0, f.width - 1), line = Clip(at_y, 0, f.height - 1);
      const int64_t from = first + static_cast<int64_t>(line) * f.width + static_cast<int64_t>(column);
      const bool known = m.valid[from] && column == at_x && line == at_y;
      const float u = m.flow[2 * from], v = m.flow[2 * from + 1];
      const float new_u = still.xx * x + still.x0 + still.xy * y + (vector.xx * u + vector.xy * v);
      const float new_v = still.yx * x + still.y0 + still.yy * y + (vector.yx * u + vector.yy * v);
      const int64_t to = row * width + i;
      m.new_flow[2 * to] = known ? new_u : 0;
      m.new_flow[2 * to + 1] = known ? new_v : 0;
      m.new_valid[to] = known;
    }
  }
}

}  // namespace flownet
