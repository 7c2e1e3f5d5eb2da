// TensorFlow's side of the convolution: the op, its shapes and errors, and its kernel for CPUs.
#include <algorithm>

#include "conv.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/shape_inference.h"
#include "tensorflow/core/lib/core/threadpool.h"

namespace flownet {
namespace {

using tensorflow::OpKernel;
using tensorflow::OpKernelConstruction;
using tensorflow::OpKernelContext;
using tensorflow::Status;
using tensorflow::Tensor;
using tensorflow::TensorShape;
using tensorflow::errors::InvalidArgument;
using tensorflow::shape_inference::DimensionHandle;
using tensorflow::shape_inference::InferenceContext;
using tensorflow::shape_inference::ShapeHandle;

// (size + 2 · pad − kernel) / stride + 1.
Status OutSide(InferenceContext* context, DimensionHandle size, DimensionHandle kernel, DimensionHandle* out) {
  int stride, pad;
  TF_RETURN_IF_ERROR(context->GetAttr("stride", &stride));
  TF_RETURN_IF_ERROR(context->GetAttr("pad", &pad));
  TF_RETURN_IF_ERROR(context->Add(size, 2 * pad, out));
  TF_RETURN_IF_ERROR(context->Subtract(*out, kernel, out));
  TF_RETURN_IF_ERROR(context->Divide(*out, stride, false, out));
  return context->Add(*out, 1, out);
}

REGISTER_OP("FlownetConv")
    .Input("x: float")
    .Input("weights: float")
    .Input("biases: float")
    .Output("y: float")
    .Attr("stride: int >= 1")
    .Attr("pad: int >= 0")
    .Attr("slope: float = 1.0")
    .Attr("lanes: int = 0")
    .SetShapeFn([](InferenceContext* context) {
      ShapeHandle x, weights, biases;
      DimensionHandle depth, channels, height, width;
      TF_RETURN_IF_ERROR(context->WithRank(context->input(0), 4, &x));
      TF_RETURN_IF_ERROR(context->WithRank(context->input(1), 4, &weights));
      TF_RETURN_IF_ERROR(context->WithRank(context->input(2), 1, &biases));
      TF_RETURN_IF_ERROR(context->Merge(context->Dim(x, 3), context->Dim(weights, 2), &depth));
      TF_RETURN_IF_ERROR(context->Merge(context->Dim(biases, 0), context->Dim(weights, 3), &channels));
      TF_RETURN_IF_ERROR(OutSide(context, context->Dim(x, 1), context->Dim(weights, 0), &height));
      TF_RETURN_IF_ERROR(OutSide(context, context->Dim(x, 2), context->Dim(weights, 1), &width));
      context->set_output(0, context->MakeShape({context->Dim(x, 0), height, width, channels}));
      return Status();
    })
    .Doc("Convolution of x [N, H, W, C] with weights [kh, kw, C, C'], zero-padded by `pad` on every side, plus biases "
         "[C'], and a leaky ReLU of `slope`; in vectors of `lanes` numbers, 0: as many as the processor has.");

// The sizes that the inputs tell, which must go together.
Status ReadSizes(OpKernelContext* context, Conv* conv) {
  const TensorShape &x = context->input(0).shape(), &weights = context->input(1).shape();
  const TensorShape& biases = context->input(2).shape();
  if (x.dims() != 4 || weights.dims() != 4 || x.dim_size(3) != weights.dim_size(2) ||
      biases != TensorShape({weights.dim_size(3)}))
    return InvalidArgument("x [N, H, W, C], weights [kh, kw, C, C'] and biases [C'] do not go together: ",
                           x.DebugString(), ", ", weights.DebugString(), ", ", biases.DebugString());
  if (std::max(x.num_elements(), weights.num_elements()) >= int64_t(1) << 31)
    return InvalidArgument("x and weights must have fewer than 2^31 numbers: ", x.DebugString(), ", ",
                           weights.DebugString());
  conv->batch = x.dim_size(0);
  conv->height = x.dim_size(1);
  conv->width = x.dim_size(2);
  conv->depth = x.dim_size(3);
  conv->kernel_height = weights.dim_size(0);
  conv->kernel_width = weights.dim_size(1);
  conv->channels = weights.dim_size(3);
  if (conv->pad >= std::min(conv->kernel_height, conv->kernel_width) ||
      conv->height + 2 * conv->pad < conv->kernel_height || conv->width + 2 * conv->pad < conv->kernel_width)
    return InvalidArgument("the kernel of weights ", weights.DebugString(), " must be larger than pad ", conv->pad,
                           ", and fit into padded x ", x.DebugString());
  return Status();
}

class ConvKernel : public OpKernel {
 public:
  explicit ConvKernel(OpKernelConstruction* construction) : OpKernel(construction) {
    OP_REQUIRES_OK(construction, construction->GetAttr("stride", &conv_.stride));
    OP_REQUIRES_OK(construction, construction->GetAttr("pad", &conv_.pad));
    OP_REQUIRES_OK(construction, construction->GetAttr("slope", &conv_.slope));
    OP_REQUIRES_OK(construction, construction->GetAttr("lanes", &conv_.lanes));
    const int lanes = conv_.lanes;
    OP_REQUIRES(construction, (lanes == 0 || lanes == 4 || lanes == 8 || lanes == 16) && lanes <= MostLanes(),
                InvalidArgument("lanes must be 0, 4, 8 or 16, and at most this processor's ", MostLanes(), ", got ",
                                lanes));
  }

  void Compute(OpKernelContext* context) override {
    Conv conv = conv_;
    OP_REQUIRES_OK(context, ReadSizes(context, &conv));
    if (!conv.lanes) conv.lanes = std::min(MostLanes(), conv.channels > 16 ? 16 : 8);  // of 16, many would be idle
    Tensor packed, *y;
    const TensorShape out({conv.batch, conv.out_height(), conv.out_width(), conv.channels});
    OP_REQUIRES_OK(context, context->allocate_output(0, out, &y));
    if (!out.num_elements()) return;
    OP_REQUIRES_OK(context, context->allocate_temp(tensorflow::DT_FLOAT, TensorShape({conv.packed_floats()}), &packed));
    PackWeights(conv, context->input(1).flat<float>().data(), context->input(2).flat<float>().data(),
                packed.flat<float>().data());
    const float *const from = context->input(0).flat<float>().data(), *const by = packed.flat<float>().data();
    float* const to = y->flat<float>().data();
    const int64_t cycles = conv.packed_floats() * conv.out_width() / conv.lanes;  // of a row
    context->device()->tensorflow_cpu_worker_threads()->workers->ParallelFor(
        conv.rows(), cycles, [&](int64_t begin, int64_t end) { ConvRows(conv, from, by, to, begin, end); });
  }

 private:
  Conv conv_ = {};
};

REGISTER_KERNEL_BUILDER(Name("FlownetConv").Device(tensorflow::DEVICE_CPU), ConvKernel);

}  // namespace
}  // namespace flownet
