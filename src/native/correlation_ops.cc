// TensorFlow's side of the correlation: the two ops, their shapes and errors, and their kernels for CPUs and GPUs.
#include <algorithm>

#include "correlation_shapes.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/shape_inference.h"
#include "tensorflow/core/lib/core/threadpool.h"
#ifdef FLOWNET_CUDA
#include "tensorflow/core/platform/stream_executor.h"
#endif

namespace flownet {
namespace {

using tensorflow::OpKernel;
using tensorflow::OpKernelConstruction;
using tensorflow::OpKernelContext;
using tensorflow::Status;
using tensorflow::Tensor;
using tensorflow::shape_inference::InferenceContext;
using tensorflow::shape_inference::ShapeHandle;

// The shapes of either op; the gradient's maps come after dcost.
Status InferShapes(InferenceContext* context, bool gradient) {
  Sizes sizes;
  ShapeHandle maps, cost;
  const int first = gradient ? 1 : 0;
  TF_RETURN_IF_ERROR(ReadAttributes(context, &sizes));
  TF_RETURN_IF_ERROR(context->WithRank(context->input(first), 4, &maps));
  TF_RETURN_IF_ERROR(context->Merge(maps, context->input(first + 1), &maps));
  TF_RETURN_IF_ERROR(context->ReplaceDim(maps, 3, context->MakeDim(sizes.displacements()), &cost));
  if (gradient) TF_RETURN_IF_ERROR(context->Merge(context->input(0), cost, &cost));
  context->set_output(0, gradient ? maps : cost);
  if (gradient) context->set_output(1, maps);
  return Status();
}

REGISTER_OP("FlownetCorrelation")
    .Input("a: T")
    .Input("b: T")
    .Output("cost: T")
    .Attr("T: {float, half} = DT_FLOAT")
    .Attr("max_displacement: int = 20")
    .Attr("stride: int = 2")
    .SetShapeFn([](InferenceContext* context) { return InferShapes(context, false); })
    .Doc("Mean over channels of a(x) · b(x + d) for all displacements d, b being zero outside its frame.");

REGISTER_OP("FlownetCorrelationGrad")
    .Input("dcost: T")
    .Input("a: T")
    .Input("b: T")
    .Output("da: T")
    .Output("db: T")
    .Attr("T: {float, half} = DT_FLOAT")
    .Attr("max_displacement: int = 20")
    .Attr("stride: int = 2")
    .SetShapeFn([](InferenceContext* context) { return InferShapes(context, true); })
    .Doc("The gradients of FlownetCorrelation.");

// What is common to all kernels: the attributes are checked once, the shapes at each run.
class Kernel : public OpKernel {
 public:
  explicit Kernel(OpKernelConstruction* construction) : OpKernel(construction) {
    OP_REQUIRES_OK(construction, ReadAttributes(construction, &sizes_));
  }

 protected:
  Sizes sizes_;
};

// A device computes in Correlate(context, sizes, a, b, cost) and Differentiate(context, sizes, map, dcost, other,
// gradient).
template <typename Device>
class CorrelationKernel : public Kernel {
 public:
  using Kernel::Kernel;

  void Compute(OpKernelContext* context) override {
    const Tensor &a = context->input(0), &b = context->input(1);
    Sizes sizes = sizes_;
    Tensor* cost;
    OP_REQUIRES_OK(context, ReadShapes(a.shape(), b.shape(), &sizes));
    OP_REQUIRES_OK(context, context->allocate_output(0, CostShape(sizes), &cost));
    if (cost->NumElements() > 0) OP_REQUIRES_OK(context, Device::Correlate(context, sizes, a, b, cost));
  }
};

template <typename Device>
class GradientKernel : public Kernel {
 public:
  using Kernel::Kernel;

  void Compute(OpKernelContext* context) override {
    const Tensor &dcost = context->input(0), &a = context->input(1), &b = context->input(2);
    Sizes sizes = sizes_;
    Tensor *da, *db;
    OP_REQUIRES_OK(context, ReadShapes(a.shape(), b.shape(), &sizes));
    OP_REQUIRES_OK(context, CheckCost(dcost.shape(), sizes));
    OP_REQUIRES_OK(context, context->allocate_output(0, a.shape(), &da));
    OP_REQUIRES_OK(context, context->allocate_output(1, b.shape(), &db));
    if (a.NumElements() == 0) return;
    OP_REQUIRES_OK(context, Device::Differentiate(context, sizes, Map::kA, dcost, b, da));
    OP_REQUIRES_OK(context, Device::Differentiate(context, sizes, Map::kB, dcost, a, db));
  }
};

// A CPU computes in float; half tensors are widened and narrowed as a whole.
struct Cpu {
  static Status Correlate(OpKernelContext* context, const Sizes& sizes, const Tensor& a, const Tensor& b,
                          Tensor* cost) {
    return ForRows(context, sizes, a, b, cost, [&](const float* a, const float* b, float* cost, int64_t begin,
                                                   int64_t end) { CorrelationRows(sizes, a, b, cost, begin, end); });
  }

  static Status Differentiate(OpKernelContext* context, const Sizes& sizes, Map map, const Tensor& dcost,
                              const Tensor& other, Tensor* gradient) {
    return ForRows(context, sizes, dcost, other, gradient,
                   [&](const float* dcost, const float* other, float* gradient, int64_t begin, int64_t end) {
                     GradientRows(sizes, map, dcost, other, gradient, begin, end);
                   });
  }

 private:
  // Calls rows(x, y, result, begin, end) with float data on TensorFlow's threads.
  template <typename Rows>
  static Status ForRows(OpKernelContext* context, const Sizes& sizes, const Tensor& x, const Tensor& y, Tensor* result,
                        Rows rows) {
    Tensor wide_x, wide_y, wide_result;
    TF_RETURN_IF_ERROR(Widen(context, x, true, &wide_x));
    TF_RETURN_IF_ERROR(Widen(context, y, true, &wide_y));
    TF_RETURN_IF_ERROR(Widen(context, *result, false, &wide_result));
    const float *from_x = wide_x.flat<float>().data(), *from_y = wide_y.flat<float>().data();
    float* const to = wide_result.flat<float>().data();
    const double cycles = 0.1 * sizes.width * sizes.displacements() * sizes.channels;  // about 10 products in each
    context->device()->tensorflow_cpu_worker_threads()->workers->ParallelFor(
        sizes.rows(), static_cast<int64_t>(cycles),
        [&](int64_t begin, int64_t end) { rows(from_x, from_y, to, begin, end); });
    if (result->dtype() == tensorflow::DT_HALF) Convert<float, Eigen::half>(wide_result, result);
    return Status();
  }

  // A float tensor itself; in place of a half tensor a new one, with its values if they are wanted.
  static Status Widen(OpKernelContext* context, const Tensor& x, bool values, Tensor* wide) {
    *wide = x;
    if (x.dtype() == tensorflow::DT_FLOAT) return Status();
    TF_RETURN_IF_ERROR(context->allocate_temp(tensorflow::DT_FLOAT, x.shape(), wide));
    if (values) Convert<Eigen::half, float>(x, wide);
    return Status();
  }

  template <typename From, typename To>
  static void Convert(const Tensor& from, Tensor* to) {
    const auto values = from.flat<From>();
    std::transform(values.data(), values.data() + values.size(), to->flat<To>().data(),
                   [](From value) { return static_cast<To>(value); });
  }
};

#define FLOWNET_REGISTER(device, Computes, T)                                                   \
  REGISTER_KERNEL_BUILDER(Name("FlownetCorrelation").Device(device).TypeConstraint<T>("T"),     \
                          CorrelationKernel<Computes>);                                         \
  REGISTER_KERNEL_BUILDER(Name("FlownetCorrelationGrad").Device(device).TypeConstraint<T>("T"), \
                          GradientKernel<Computes>)

FLOWNET_REGISTER(tensorflow::DEVICE_CPU, Cpu, float);
FLOWNET_REGISTER(tensorflow::DEVICE_CPU, Cpu, Eigen::half);

#ifdef FLOWNET_CUDA
// The CUDA stream behind TensorFlow's: TensorFlow 2.13 and later are asked for it in one way, earlier ones in another.
template <typename Stream>
auto CudaStream(Stream* stream, int) -> decltype(stream->platform_specific_handle().stream) {
  return stream->platform_specific_handle().stream;
}
template <typename Stream>
auto CudaStream(Stream* stream, long) -> decltype(stream->implementation()->GpuStreamHack()) {
  return stream->implementation()->GpuStreamHack();
}

template <typename T, typename Element>
struct Gpu {
  static Status Correlate(OpKernelContext* context, const Sizes& sizes, const Tensor& a, const Tensor& b,
                          Tensor* cost) {
    return Launched(LaunchCorrelation(Stream(context), sizes, In(a), In(b), Out(cost)));
  }

  static Status Differentiate(OpKernelContext* context, const Sizes& sizes, Map map, const Tensor& dcost,
                              const Tensor& other, Tensor* gradient) {
    return Launched(LaunchGradient(Stream(context), sizes, map, In(dcost), In(other), Out(gradient)));
  }

 private:
  static CUstream_st* Stream(OpKernelContext* context) {
    return static_cast<CUstream_st*>(CudaStream(context->op_device_context()->stream(), 0));
  }
  static const Element* In(const Tensor& x) { return reinterpret_cast<const Element*>(x.flat<T>().data()); }
  static Element* Out(Tensor* x) { return reinterpret_cast<Element*>(x->flat<T>().data()); }
  static Status Launched(const char* error) {
    return error ? tensorflow::errors::Internal("the correlation's kernel did not start: ", error) : Status();
  }
};

using GpuFloat = Gpu<float, float>;
using GpuHalf = Gpu<Eigen::half, __half>;
FLOWNET_REGISTER(tensorflow::DEVICE_GPU, GpuFloat, float);
FLOWNET_REGISTER(tensorflow::DEVICE_GPU, GpuHalf, Eigen::half);
#endif

}  // namespace
}  // namespace flownet
