#include "nn/padding.h"

#include <doctest/doctest.h>

using namespace maskwatch;

namespace maskwatch::nn {

bool operator==(const Window& a, const Window& b) {
  return a.out == b.out && a.pad_before == b.pad_before;
}

TEST_CASE("TensorFlow's SAME: the odd zero comes last") {
  // tf.nn.conv2d documents: out = ceil(in / stride), total = max((out - 1) stride + kernel - in,
  // 0), before = total / 2.
  CHECK(place_window(224, 3, 2, Padding::tf) == Window{112, 0});
  CHECK(place_window(225, 3, 2, Padding::tf) == Window{113, 1});
  CHECK(place_window(33, 3, 2, Padding::tf) == Window{17, 1});
  CHECK(place_window(7, 3, 1, Padding::tf) == Window{7, 1});
  CHECK(place_window(2, 3, 2, Padding::tf) == Window{1, 0});
  CHECK(place_window(1, 3, 2, Padding::tf) == Window{1, 1});
  CHECK(place_window(1, 3, 1, Padding::tf) == Window{1, 1});
  CHECK(place_window(224, 7, 2, Padding::tf) == Window{112, 2});
  CHECK(place_window(9, 1, 2, Padding::tf) == Window{5, 0});
  CHECK(place_window(8, 2, 2, Padding::tf) == Window{4, 0});
}

TEST_CASE("PyTorch's padding = kernel / 2: the same on both sides") {
  // torch.nn.Conv2d documents: out = floor((in + 2 padding - kernel) / stride) + 1.
  CHECK(place_window(224, 3, 2, Padding::symmetric) == Window{112, 1});
  CHECK(place_window(225, 3, 2, Padding::symmetric) == Window{113, 1});
  CHECK(place_window(33, 3, 2, Padding::symmetric) == Window{17, 1});
  CHECK(place_window(7, 3, 1, Padding::symmetric) == Window{7, 1});
  CHECK(place_window(1, 3, 2, Padding::symmetric) == Window{1, 1});
  CHECK(place_window(224, 7, 2, Padding::symmetric) == Window{112, 3});
  CHECK(place_window(9, 1, 2, Padding::symmetric) == Window{5, 0});
}

TEST_CASE("a window that does not fit gives no output") {
  CHECK(place_window(0, 3, 2, Padding::tf).out == 0);
  CHECK(place_window(0, 3, 2, Padding::symmetric).out == 0);
  CHECK(place_window(1, 2, 2, Padding::symmetric).out == 0);
}

TEST_CASE("conv_shape places both axes") {
  const kernels::ConvShape shape = conv_shape(2, 224, 33, 8, 16, 3, 2, Padding::tf);
  CHECK(shape.batch == 2);
  CHECK(shape.out_height == 112);
  CHECK(shape.out_width == 17);
  CHECK(shape.pad_top == 0);
  CHECK(shape.pad_left == 1);
  CHECK(shape.in_channels == 8);
  CHECK(shape.out_channels == 16);
  CHECK(shape.kernel_height == 3);
  CHECK(shape.kernel_width == 3);
}

}  // namespace maskwatch::nn
