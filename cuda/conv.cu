// Full convolutions and their gradients: products whose operands are gathered from images.
#include "cuda/conv_operands.h"
#include "cuda/multiply.h"
#include "cuda/table.h"

namespace maskwatch::MASKWATCH_GPU_NAMESPACE {
namespace {

// Every output reads just its own input position: images are a matrix of positions by channels.
bool is_pointwise(const ConvShape& s) {
  return s.kernel_height == 1 && s.kernel_width == 1 && s.stride == 1 && s.pad_top == 0 &&
         s.pad_left == 0 && s.in_height == s.out_height && s.in_width == s.out_width;
}

struct Size {
  explicit Size(const ConvShape& s)
      : inputs(narrow(s.batch * s.in_height * s.in_width)),
        outputs(narrow(s.batch * s.out_height * s.out_width)),
        taps(s.kernel_height * s.kernel_width),
        in_channels(narrow(s.in_channels)),
        out_channels(narrow(s.out_channels)),
        patch(narrow(taps * s.in_channels)) {}

  int inputs, outputs;  // positions
  int taps, in_channels, out_channels;
  int patch;
};

Images images(const float* data, std::int64_t batch, std::int64_t height, std::int64_t width,
              std::int64_t channels) {
  return {data,          narrow(batch),    narrow(height),
          narrow(width), narrow(channels), channels % 4 == 0 && aligned(data)};
}

KernelWindow window(const ConvShape& s) {
  return {s.kernel_height, s.kernel_width, s.stride, s.dilation, s.pad_top, s.pad_left};
}

Patches patches(const float* x, const ConvShape& s) {
  return {images(x, s.batch, s.in_height, s.in_width, s.in_channels), window(s),
          narrow(s.out_height), narrow(s.out_width)};
}

// w: [patch, columns], of which columns behind the output channels are zeros.
void convolve(float* y, const float* x, const float* w, int columns, const float* bias,
              Activation activation, const ConvShape& s) {
  const Size size(s);
  const Store store = {
      .c = y, .m = size.outputs, .n = size.out_channels, .bias = bias, .activation = activation};
  const Columns b = {{w, size.patch, columns}};
  if (is_pointwise(s))
    multiply_matrices(Rows{{x, size.outputs, size.patch}}, b, store.vectorised(), size.patch);
  else
    multiply(patches(x, s), b, store.vectorised(), size.patch);
}

}  // namespace

void conv2d(float* y, const float* x, const float* w, const float* bias, Activation activation,
            ConvShape s) {
  convolve(y, x, w, narrow(s.out_channels), bias, activation, s);
}

void packed_conv2d(float* y, const float* x, const float* packed, const float* bias,
                   Activation activation, ConvShape s) {
  convolve(y, x, packed, packed_columns(narrow(s.out_channels)), bias, activation, s);
}

void conv2d_backward_input(float* dx, const float* dy, const float* w, ConvShape s) {
  const Size size(s);
  const Store store = {.c = dx, .m = size.inputs, .n = size.in_channels};
  const int k = narrow(std::int64_t{size.taps} * size.out_channels);
  if (is_pointwise(s)) {
    multiply_matrices(Rows{{dy, size.outputs, k}}, Rows{{w, size.in_channels, k}},
                      store.vectorised(), k);
    return;
  }
  const GradientPatches a = {images(dy, s.batch, s.out_height, s.out_width, s.out_channels),
                             window(s), narrow(s.in_height), narrow(s.in_width)};
  const TurnedWeights b = {w, size.taps, size.in_channels, size.out_channels,
                           size.out_channels % 4 == 0 && aligned(w)};
  multiply(a, b, store.vectorised(), k);
}

void conv2d_backward_weight(float* dw, const float* dy, const float* x, ConvShape s) {
  const Size size(s);
  const Store store = {.c = dw, .m = size.patch, .n = size.out_channels};
  const Columns b = {{dy, size.outputs, size.out_channels}};
  if (is_pointwise(s))
    multiply_matrices(Columns{{x, size.outputs, size.patch}}, b, store.vectorised(), size.outputs);
  else
    multiply(PatchColumns{patches(x, s)}, b, store.vectorised(), size.outputs);
}

}  // namespace maskwatch::MASKWATCH_GPU_NAMESPACE
