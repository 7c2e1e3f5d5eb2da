// TensorFlow's side of the augmentation: three ops, their shapes and errors, and their kernels for CPUs.
#include "augment.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/shape_inference.h"
#include "tensorflow/core/lib/core/threadpool.h"

namespace flownet {
namespace {

using tensorflow::DEVICE_CPU;
using tensorflow::OpKernel;
using tensorflow::OpKernelConstruction;
using tensorflow::OpKernelContext;
using tensorflow::Status;
using tensorflow::Tensor;
using tensorflow::TensorShape;
using tensorflow::errors::InvalidArgument;
using tensorflow::shape_inference::InferenceContext;
using tensorflow::shape_inference::ShapeHandle;

REGISTER_OP("FlownetColourRange")
    .Input("image: uint8")
    .Input("axes: float")
    .Output("range: float")
    .SetShapeFn([](InferenceContext* context) {
      ShapeHandle image;
      TF_RETURN_IF_ERROR(context->WithRank(context->input(0), 4, &image));
      context->set_output(0, context->MakeShape({context->Dim(image, 0), 3, 3}));
      return Status();
    })
    .Doc("Highest, lowest and mean coordinate of the colours of images [N, H, W, 3] along each of three axes.");

// The shape of the crops, [N, height, width] and `last` where it is not 0, for an input of rank `rank`.
Status SetCrops(InferenceContext* context, int output, int rank, int last) {
  ShapeHandle whole;
  int height, width;
  TF_RETURN_IF_ERROR(context->GetAttr("height", &height));
  TF_RETURN_IF_ERROR(context->GetAttr("width", &width));
  TF_RETURN_IF_ERROR(context->WithRank(context->input(0), rank, &whole));
  const auto batch = context->Dim(whole, 0);
  context->set_output(output, last ? context->MakeShape({batch, height, width, last})
                                   : context->MakeShape({batch, height, width}));
  return Status();
}

REGISTER_OP("FlownetAugmentImages")
    .Input("image_a: uint8")
    .Input("image_b: uint8")
    .Input("place_a: float")
    .Input("place_b: float")
    .Input("chromatic_a: float")
    .Input("chromatic_b: float")
    .Input("gamma_b: float")
    .Input("noise: int32")
    .Input("sigma: float")
    .Output("new_a: float")
    .Output("new_b: float")
    .Attr("height: int >= 1")
    .Attr("width: int >= 1")
    .Attr("rings: int")
    .Attr("angles: int")
    .SetShapeFn([](InferenceContext* context) {
      TF_RETURN_IF_ERROR(SetCrops(context, 0, 4, 3));
      return SetCrops(context, 1, 4, 3);
    })
    .Doc("Crops height × width of both images of pairs, uint8 [N, H, W, 3], as src/model/augment.py makes them.");

REGISTER_OP("FlownetMoveFlow")
    .Input("flow: float")
    .Input("valid: bool")
    .Input("place: float")
    .Input("still: float")
    .Input("vector: float")
    .Output("new_flow: float")
    .Output("new_valid: bool")
    .Attr("height: int >= 1")
    .Attr("width: int >= 1")
    .SetShapeFn([](InferenceContext* context) {
      TF_RETURN_IF_ERROR(SetCrops(context, 0, 4, 2));
      return SetCrops(context, 1, 4, 0);
    })
    .Doc("Flow [N, H, W, 2] and valid [N, H, W] of crops, as src/model/augment.py makes them.");

Status CheckShape(OpKernelContext* context, int input, const TensorShape& wanted) {
  const TensorShape& shape = context->input(input).shape();
  if (shape == wanted) return Status();
  return InvalidArgument("input ", input, " must be ", wanted.DebugString(), ", got ", shape.DebugString());
}

// The Structs [batch] that lie in a float tensor [batch, fields of a Struct].
template <typename Struct>
Status Read(OpKernelContext* context, int input, int64_t batch, const Struct** structs) {
  TF_RETURN_IF_ERROR(CheckShape(context, input, TensorShape({batch, sizeof(Struct) / sizeof(float)})));
  *structs = reinterpret_cast<const Struct*>(context->input(input).flat<float>().data());
  return Status();
}

// The sizes of images, uint8 [N, H, W, 3], or of flows, float [N, H, W, 2], which is input 0.
Status ReadFrames(OpKernelContext* context, int channels, Frames* frames) {
  const TensorShape& shape = context->input(0).shape();
  if (shape.dims() != 4 || shape.dim_size(3) != channels || shape.dim_size(1) < 1 || shape.dim_size(2) < 1 ||
      shape.num_elements() >= int64_t(1) << 31)
    return InvalidArgument("input 0 must be [N, H, W, ", channels, "] with fewer than 2^31 numbers, got ",
                           shape.DebugString());
  frames->batch = shape.dim_size(0);
  frames->height = shape.dim_size(1);
  frames->width = shape.dim_size(2);
  return Status();
}

// Calls rows(begin, end) for parts of all rows of the crops, on TensorFlow's threads.
template <typename Rows>
void ForRows(OpKernelContext* context, const Frames& frames, int cycles, Rows rows) {  // of a pixel
  context->device()->tensorflow_cpu_worker_threads()->workers->ParallelFor(frames.rows(), cycles * frames.crop_width,
                                                                           rows);
}

class ColourRangeKernel : public OpKernel {
 public:
  using OpKernel::OpKernel;

  void Compute(OpKernelContext* context) override {
    Frames f;
    Tensor* range;
    OP_REQUIRES_OK(context, ReadFrames(context, 3, &f));
    OP_REQUIRES_OK(context, CheckShape(context, 1, TensorShape({3, 3})));
    OP_REQUIRES_OK(context, context->allocate_output(0, TensorShape({f.batch, 3, 3}), &range));
    const uint8_t* const images = context->input(0).flat<uint8_t>().data();
    const float* const axes = context->input(1).flat<float>().data();
    float* const to = range->flat<float>().data();
    const int64_t pixels = int64_t(f.height) * f.width;
    context->device()->tensorflow_cpu_worker_threads()->workers->ParallelFor(
        f.batch, 5 * pixels, [&](int64_t begin, int64_t end) {
          for (int64_t n = begin; n < end; n++)
            ColourRange(images + 3 * pixels * n, f.height, f.width, axes, to + 9 * n);
        });
  }
};

// What gives crops: their size is told by attributes.
class CropKernel : public OpKernel {
 public:
  explicit CropKernel(OpKernelConstruction* construction) : OpKernel(construction) {
    OP_REQUIRES_OK(construction, construction->GetAttr("height", &frames_.crop_height));
    OP_REQUIRES_OK(construction, construction->GetAttr("width", &frames_.crop_width));
  }

 protected:
  Frames frames_ = {};
};

class AugmentImagesKernel : public CropKernel {
 public:
  explicit AugmentImagesKernel(OpKernelConstruction* construction) : CropKernel(construction) {
    OP_REQUIRES_OK(construction, construction->GetAttr("rings", &rings_));
    OP_REQUIRES_OK(construction, construction->GetAttr("angles", &angles_));
  }

  void Compute(OpKernelContext* context) override {
    Frames f = frames_;
    Frame a = {}, b = {};
    Tensor *new_a, *new_b;
    OP_REQUIRES_OK(context, ReadFrames(context, 3, &f));
    const int64_t pixels = int64_t(f.crop_height) * f.crop_width;
    OP_REQUIRES_OK(context, CheckShape(context, 1, context->input(0).shape()));
    OP_REQUIRES_OK(context, Read(context, 2, f.batch, &a.place));
    OP_REQUIRES_OK(context, Read(context, 3, f.batch, &b.place));
    OP_REQUIRES_OK(context, Read(context, 4, f.batch, &a.chromatic));
    OP_REQUIRES_OK(context, Read(context, 5, f.batch, &b.chromatic));
    OP_REQUIRES_OK(context, Read(context, 6, f.batch, &b.gamma));
    OP_REQUIRES_OK(context, CheckShape(context, 7, TensorShape({f.batch, 3, pixels})));
    OP_REQUIRES_OK(context, CheckShape(context, 8, TensorShape({f.batch})));
    const TensorShape crops({f.batch, f.crop_height, f.crop_width, 3});
    OP_REQUIRES_OK(context, context->allocate_output(0, crops, &new_a));
    OP_REQUIRES_OK(context, context->allocate_output(1, crops, &new_b));
    a.image = context->input(0).flat<uint8_t>().data();
    b.image = context->input(1).flat<uint8_t>().data();
    a.result = new_a->flat<float>().data();
    b.result = new_b->flat<float>().data();
    const Noise noise = {context->input(7).flat<int32_t>().data(), context->input(8).flat<float>().data(),
                         float(rings_), float(angles_)};
    ForRows(context, f, 150, [&](int64_t begin, int64_t end) { AugmentRows(f, a, b, noise, begin, end); });
  }

 private:
  int rings_, angles_;
};

class MoveFlowKernel : public CropKernel {
 public:
  using CropKernel::CropKernel;

  void Compute(OpKernelContext* context) override {
    Frames f = frames_;
    Motion m = {};
    Tensor *new_flow, *new_valid;
    OP_REQUIRES_OK(context, ReadFrames(context, 2, &f));
    OP_REQUIRES_OK(context, CheckShape(context, 1, TensorShape({f.batch, f.height, f.width})));
    OP_REQUIRES_OK(context, Read(context, 2, f.batch, &m.place));
    OP_REQUIRES_OK(context, Read(context, 3, f.batch, &m.still));
    OP_REQUIRES_OK(context, Read(context, 4, f.batch, &m.vector));
    OP_REQUIRES_OK(context, context->allocate_output(0, TensorShape({f.batch, f.crop_height, f.crop_width, 2}),
                                                     &new_flow));
    OP_REQUIRES_OK(context, context->allocate_output(1, TensorShape({f.batch, f.crop_height, f.crop_width}),
                                                     &new_valid));
    m.flow = context->input(0).flat<float>().data();
    m.valid = context->input(1).flat<bool>().data();
    m.new_flow = new_flow->flat<float>().data();
    m.new_valid = new_valid->flat<bool>().data();
    ForRows(context, f, 30, [&](int64_t begin, int64_t end) { MoveRows(f, m, begin, end); });
  }
};

REGISTER_KERNEL_BUILDER(Name("FlownetColourRange").Device(DEVICE_CPU), ColourRangeKernel);
REGISTER_KERNEL_BUILDER(Name("FlownetAugmentImages").Device(DEVICE_CPU), AugmentImagesKernel);
REGISTER_KERNEL_BUILDER(Name("FlownetMoveFlow").Device(DEVICE_CPU), MoveFlowKernel);

}  // namespace
}  // namespace flownet
