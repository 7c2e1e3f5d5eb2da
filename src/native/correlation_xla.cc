// XLA's side of the correlation: the ops become calls of the same kernels from within a cluster, which they would
// otherwise split in two. They can be recorded in CUDA graphs.
#include "correlation_shapes.h"
#include "tensorflow/compiler/tf2xla/xla_op_kernel.h"
#include "tensorflow/compiler/tf2xla/xla_op_registry.h"
#include "xla/ffi/api/ffi.h"
#include "xla/hlo/builder/xla_builder.h"
#include "xla/shape_util.h"

extern "C" const XLA_FFI_Api* XLA_FFI_GetApi();  // of TensorFlow's library

namespace flownet {
namespace {

namespace ffi = xla::ffi;
using Buffer = ffi::AnyBuffer;
using Result = ffi::Result<ffi::AnyBuffer>;

Sizes SizesOf(const Buffer& map, int reach, int stride) {
  const auto shape = map.dimensions();
  return {int(shape[0]), int(shape[1]), int(shape[2]), int(shape[3]), reach, stride};
}

// --- what a cluster calls when it runs ---

// In place of a stream, for a CPU.
struct Host {};

template <typename T>
const char* Correlate(Host, const Sizes& s, const T* a, const T* b, T* cost) {
  CorrelationRows(s, a, b, cost, 0, s.rows());
  return nullptr;
}

template <typename T>
const char* Differentiate(Host, const Sizes& s, Map map, const T* dcost, const T* other, T* gradient) {
  GradientRows(s, map, dcost, other, gradient, 0, s.rows());
  return nullptr;
}

#ifdef FLOWNET_CUDA
template <typename T>
const char* Correlate(CUstream_st* stream, const Sizes& s, const T* a, const T* b, T* cost) {
  return LaunchCorrelation(stream, s, a, b, cost);
}

template <typename T>
const char* Differentiate(CUstream_st* stream, const Sizes& s, Map map, const T* dcost, const T* other, T* gradient) {
  return LaunchGradient(stream, s, map, dcost, other, gradient);
}
#endif

template <typename T>
const T* In(const Buffer& x) {
  return static_cast<const T*>(x.untyped_data());
}

template <typename T>
T* Out(Result x) {
  return static_cast<T*>((*x).untyped_data());
}

ffi::Error Launched(const char* error) {
  return error ? ffi::Error::Internal(std::string("the correlation's kernel did not start: ") + error)
               : ffi::Error::Success();
}

template <typename T, typename Stream>
ffi::Error Run(Stream stream, Buffer a, Buffer b, Result cost, int reach, int stride) {
  if (cost->element_count() == 0) return ffi::Error::Success();
  return Launched(Correlate(stream, SizesOf(a, reach, stride), In<T>(a), In<T>(b), Out<T>(cost)));
}

template <typename T, typename Stream>
ffi::Error RunGradient(Stream stream, Buffer dcost, Buffer a, Buffer b, Result da, Result db, int reach, int stride) {
  if (da->element_count() == 0) return ffi::Error::Success();
  const Sizes sizes = SizesOf(a, reach, stride);
  const char* error = Differentiate(stream, sizes, Map::kA, In<T>(dcost), In<T>(b), Out<T>(da));
  if (!error) error = Differentiate(stream, sizes, Map::kB, In<T>(dcost), In<T>(a), Out<T>(db));
  return Launched(error);
}

ffi::Error HostRun(Buffer a, Buffer b, Result cost, int reach, int stride) {
  return Run<float>(Host(), a, b, cost, reach, stride);
}

ffi::Error HostRunGradient(Buffer dcost, Buffer a, Buffer b, Result da, Result db, int reach, int stride) {
  return RunGradient<float>(Host(), dcost, a, b, da, db, reach, stride);
}

#define FLOWNET_MAPS .Arg<Buffer>().Arg<Buffer>()
#define FLOWNET_ATTRIBUTES .Attr<int32_t>("reach").Attr<int32_t>("stride")

XLA_FFI_DEFINE_HANDLER(kHostRun, HostRun, ffi::Ffi::Bind() FLOWNET_MAPS.Ret<Buffer>() FLOWNET_ATTRIBUTES);
XLA_FFI_DEFINE_HANDLER(kHostRunGradient, HostRunGradient,
                       ffi::Ffi::Bind().Arg<Buffer>() FLOWNET_MAPS.Ret<Buffer>().Ret<Buffer>() FLOWNET_ATTRIBUTES);
XLA_FFI_REGISTER_HANDLER(XLA_FFI_GetApi(), "flownet_correlation", "Host", kHostRun);
XLA_FFI_REGISTER_HANDLER(XLA_FFI_GetApi(), "flownet_correlation_grad", "Host", kHostRunGradient);

#ifdef FLOWNET_CUDA
ffi::Error GpuRun(CUstream_st* stream, Buffer a, Buffer b, Result cost, int reach, int stride) {
  return a.element_type() == ffi::F16 ? Run<__half>(stream, a, b, cost, reach, stride)
                                      : Run<float>(stream, a, b, cost, reach, stride);
}

ffi::Error GpuRunGradient(CUstream_st* stream, Buffer dcost, Buffer a, Buffer b, Result da, Result db, int reach,
                          int stride) {
  return a.element_type() == ffi::F16 ? RunGradient<__half>(stream, dcost, a, b, da, db, reach, stride)
                                      : RunGradient<float>(stream, dcost, a, b, da, db, reach, stride);
}

#define FLOWNET_STREAM .Ctx<ffi::PlatformStream<CUstream_st*>>()

XLA_FFI_DEFINE_HANDLER(kGpuRun, GpuRun,
                       ffi::Ffi::Bind() FLOWNET_STREAM FLOWNET_MAPS.Ret<Buffer>() FLOWNET_ATTRIBUTES,
                       {ffi::Traits::kCmdBufferCompatible});
XLA_FFI_DEFINE_HANDLER(
    kGpuRunGradient, GpuRunGradient,
    ffi::Ffi::Bind() FLOWNET_STREAM.Arg<Buffer>() FLOWNET_MAPS.Ret<Buffer>().Ret<Buffer>() FLOWNET_ATTRIBUTES,
    {ffi::Traits::kCmdBufferCompatible});
XLA_FFI_REGISTER_HANDLER(XLA_FFI_GetApi(), "flownet_correlation", "CUDA", kGpuRun);
XLA_FFI_REGISTER_HANDLER(XLA_FFI_GetApi(), "flownet_correlation_grad", "CUDA", kGpuRunGradient);
#endif

// --- how a cluster is compiled ---

// An array of a tensor's shape as it lies in memory here: the channels innermost.
xla::Shape Dense(xla::PrimitiveType type, const tensorflow::TensorShape& shape) {
  return xla::ShapeUtil::MakeShapeWithDenseLayout(type, shape.dim_sizes(), {3, 2, 1, 0});
}

class XlaKernel : public tensorflow::XlaOpKernel {
 public:
  explicit XlaKernel(tensorflow::OpKernelConstruction* construction) : XlaOpKernel(construction) {
    OP_REQUIRES_OK(construction, ReadAttributes(construction, &sizes_));
  }

 protected:
  // The call of `target` with all inputs.
  xla::XlaOp Call(tensorflow::XlaOpKernelContext* context, const char* target, const xla::Shape& result) const {
    std::vector<xla::XlaOp> inputs;
    std::vector<xla::Shape> shapes;
    for (int i = 0; i < context->num_inputs(); i++) {
      inputs.push_back(context->Input(i));
      shapes.push_back(Dense(context->input_xla_type(i), context->InputShape(i)));
    }
    const std::string attributes = "{reach = " + std::to_string(sizes_.reach) +
                                   " : i32, stride = " + std::to_string(sizes_.stride) + " : i32}";
    return xla::CustomCallWithLayout(context->builder(), target, inputs, result, shapes, attributes,
                                     /*has_side_effect=*/false, /*output_operand_aliasing=*/{}, /*literal=*/nullptr,
                                     xla::CustomCallSchedule::SCHEDULE_NONE,
                                     xla::CustomCallApiVersion::API_VERSION_TYPED_FFI);
  }

  Sizes sizes_;
};

class XlaCorrelation : public XlaKernel {
 public:
  using XlaKernel::XlaKernel;

  void Compile(tensorflow::XlaOpKernelContext* context) override {
    Sizes sizes = sizes_;
    OP_REQUIRES_OK(context, ReadShapes(context->InputShape(0), context->InputShape(1), &sizes));
    context->SetOutput(0, Call(context, "flownet_correlation", Dense(context->input_xla_type(0), CostShape(sizes))));
  }
};

class XlaGradient : public XlaKernel {
 public:
  using XlaKernel::XlaKernel;

  void Compile(tensorflow::XlaOpKernelContext* context) override {
    Sizes sizes = sizes_;
    OP_REQUIRES_OK(context, ReadShapes(context->InputShape(1), context->InputShape(2), &sizes));
    OP_REQUIRES_OK(context, CheckCost(context->InputShape(0), sizes));
    const xla::Shape map = Dense(context->input_xla_type(1), context->InputShape(1));
    const xla::XlaOp both = Call(context, "flownet_correlation_grad", xla::ShapeUtil::MakeTupleShape({map, map}));
    context->SetOutput(0, xla::GetTupleElement(both, 0));
    context->SetOutput(1, xla::GetTupleElement(both, 1));
  }
};

#define FLOWNET_REGISTER_XLA(device, types)                                                              \
  REGISTER_XLA_OP(Name("FlownetCorrelation").Device(device).TypeConstraint("T", types), XlaCorrelation); \
  REGISTER_XLA_OP(Name("FlownetCorrelationGrad").Device(device).TypeConstraint("T", types), XlaGradient)

FLOWNET_REGISTER_XLA(tensorflow::DEVICE_CPU_XLA_JIT, {tensorflow::DT_FLOAT});
#ifdef FLOWNET_CUDA
constexpr tensorflow::DataType kGpuTypes[] = {tensorflow::DT_FLOAT, tensorflow::DT_HALF};
FLOWNET_REGISTER_XLA(tensorflow::DEVICE_GPU_XLA_JIT, kGpuTypes);
#endif

}  // namespace
}  // namespace flownet
