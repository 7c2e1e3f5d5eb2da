// The attributes and shapes of the correlation's ops, as TensorFlow's kernels and XLA's check them.
#pragma once

#include <algorithm>
#include <limits>

#include "correlation.h"
#include "tensorflow/core/framework/tensor_shape.h"
#include "tensorflow/core/lib/core/errors.h"

namespace flownet {

// Reads the attributes into `sizes`; `source` is the construction of a kernel or the inference of shapes.
template <typename Source>
tensorflow::Status ReadAttributes(Source* source, Sizes* sizes) {
  using tensorflow::errors::InvalidArgument;
  int max_displacement;
  TF_RETURN_IF_ERROR(source->GetAttr("max_displacement", &max_displacement));
  TF_RETURN_IF_ERROR(source->GetAttr("stride", &sizes->stride));
  if (sizes->stride < 1) return InvalidArgument("stride must be at least 1, got ", sizes->stride);
  if (max_displacement < 0 || max_displacement % sizes->stride != 0)
    return InvalidArgument("max_displacement must be a multiple of stride (", sizes->stride, ") from 0 up, got ",
                           max_displacement);
  sizes->reach = max_displacement / sizes->stride;
  if (sizes->reach > 1000) return InvalidArgument("max_displacement / stride must be at most 1000, got ", sizes->reach);
  return tensorflow::Status();
}

// Completes `sizes` from the shape of the maps, of which there must be two alike.
inline tensorflow::Status ReadShapes(const tensorflow::TensorShape& a, const tensorflow::TensorShape& b, Sizes* sizes) {
  using tensorflow::errors::InvalidArgument;
  if (a.dims() != 4) return InvalidArgument("a must be [batch, height, width, channels], got ", a.DebugString());
  if (a != b) return InvalidArgument("a and b must have one shape, got ", a.DebugString(), " and ", b.DebugString());
  const int64_t largest = std::numeric_limits<int>::max(), pixels = a.dim_size(1) * a.dim_size(2);
  if (a.dim_size(0) > largest || a.dim_size(3) > largest || pixels > largest ||
      pixels * std::max<int64_t>(a.dim_size(3), sizes->displacements()) > largest)
    return InvalidArgument("an image of the maps or of the cost has 2^31 elements or more: ", a.DebugString());
  sizes->batch = a.dim_size(0);
  sizes->height = a.dim_size(1);
  sizes->width = a.dim_size(2);
  sizes->channels = a.dim_size(3);
  return tensorflow::Status();
}

inline tensorflow::TensorShape CostShape(const Sizes& s) {
  return tensorflow::TensorShape({s.batch, s.height, s.width, s.displacements()});
}

inline tensorflow::Status CheckCost(const tensorflow::TensorShape& dcost, const Sizes& sizes) {
  if (dcost == CostShape(sizes)) return tensorflow::Status();
  return tensorflow::errors::InvalidArgument("dcost must be ", CostShape(sizes).DebugString(), ", got ",
                                             dcost.DebugString());
}

}  // namespace flownet
