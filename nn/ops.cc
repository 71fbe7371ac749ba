#include "nn/ops.h"

#include "nn/shape_checks.h"

namespace maskwatch::nn {
namespace {

using Elementwise = void (*)(float*, const float*, std::int64_t);
using ElementwiseBackward = void (*)(float*, const float*, const float*, std::int64_t);

Tensor elementwise(const Tensor& x, Elementwise forward, ElementwiseBackward backward) {
  Tensor y = Tensor::empty(x.shape());
  forward(y.data(), x.data(), x.count());
  y.record({x}, [x, backward](const Tensor& dy) {
    Tensor dx = Tensor::empty(x.shape());
    backward(dx.data(), dy.data(), x.data(), x.count());
    x.add_gradient(dx);
  });
  return y;
}

using Loss = void (*)(float*, const float*, const float*, kernels::RowShape);
using LossBackward = void (*)(float*, const float*, const float*, const float*, kernels::RowShape);

Tensor loss_on_logits(const Tensor& logits, const Tensor& targets, const char* operation,
                      Loss forward, LossBackward backward) {
  require(logits.shape() == targets.shape() && logits.shape().size() == 2 && logits.count() > 0,
          operation, logits, targets);
  const kernels::RowShape shape = rows_of(logits, operation);
  Tensor loss = Tensor::empty({1});
  forward(loss.data(), logits.data(), targets.data(), shape);
  loss.record({logits}, [=](const Tensor& dloss) {
    Tensor dlogits = Tensor::empty(logits.shape());
    backward(dlogits.data(), dloss.data(), logits.data(), targets.data(), shape);
    logits.add_gradient(dlogits);
  });
  return loss;
}

}  // namespace

Tensor matmul(const Tensor& x, const Tensor& weight) {
  require(weight.shape().size() == 2 && weight.dim(0) > 0 && !x.shape().empty() &&
              x.dim(-1) == weight.dim(0),
          "matmul", x, weight);
  const std::int64_t in = weight.dim(0), out = weight.dim(1), rows = rows_of(x, "matmul").rows;
  Shape shape = x.shape();
  shape.back() = out;
  Tensor y = Tensor::empty(shape);
  backend().gemm(y.data(), x.data(), weight.data(), {rows, out, in});
  y.record({x, weight}, [=](const Tensor& dy) {
    if (x.requires_grad()) {
      Tensor dx = Tensor::empty(x.shape());
      backend().gemm_nt(dx.data(), dy.data(), weight.data(), {rows, in, out});
      x.add_gradient(dx);
    }
    if (weight.requires_grad()) {
      Tensor dw = Tensor::empty(weight.shape());
      backend().gemm_tn(dw.data(), x.data(), dy.data(), {in, out, rows});
      weight.add_gradient(dw);
    }
  });
  return y;
}

Tensor add_bias(const Tensor& x, const Tensor& bias) {
  require_channels(x, bias, "add_bias");
  const kernels::RowShape shape = rows_of(x, "add_bias");
  Tensor y = Tensor::empty(x.shape());
  backend().add_bias(y.data(), x.data(), bias.data(), shape);
  y.record({x, bias}, [=](const Tensor& dy) {
    x.add_gradient(dy);
    if (!bias.requires_grad()) return;
    Tensor dbias = Tensor::empty(bias.shape());
    backend().add_bias_backward(dbias.data(), dy.data(), shape);
    bias.add_gradient(dbias);
  });
  return y;
}

Tensor conv2d(const Tensor& x, const Tensor& weight, int stride, Padding padding) {
  require_stride(stride, "conv2d");
  require(x.shape().size() == 4 && weight.shape().size() == 4 && weight.dim(0) == weight.dim(1) &&
              weight.dim(2) == x.dim(3) && x.count() > 0,
          "conv2d", x, weight);
  const kernels::ConvShape shape = conv_shape(x.dim(0), x.dim(1), x.dim(2), x.dim(3), weight.dim(3),
                                              static_cast<int>(weight.dim(0)), stride, padding);
  require(shape.out_height > 0 && shape.out_width > 0, "conv2d", x, weight);
  Tensor y = Tensor::empty({shape.batch, shape.out_height, shape.out_width, shape.out_channels});
  backend().conv2d(y.data(), x.data(), weight.data(), nullptr, Activation::none, shape);
  y.record({x, weight}, [=](const Tensor& dy) {
    if (x.requires_grad()) {
      Tensor dx = Tensor::empty(x.shape());
      backend().conv2d_backward_input(dx.data(), dy.data(), weight.data(), shape);
      x.add_gradient(dx);
    }
    if (weight.requires_grad()) {
      Tensor dw = Tensor::empty(weight.shape());
      backend().conv2d_backward_weight(dw.data(), dy.data(), x.data(), shape);
      weight.add_gradient(dw);
    }
  });
  return y;
}

Tensor depthwise3x3(const Tensor& x, const Tensor& weight, int stride, Padding padding) {
  require_stride(stride, "depthwise3x3");
  require(x.shape().size() == 4 && weight.shape() == Shape{3, 3, x.dim(3)} && x.count() > 0,
          "depthwise3x3", x, weight);
  const kernels::ConvShape shape =
      conv_shape(x.dim(0), x.dim(1), x.dim(2), x.dim(3), x.dim(3), 3, stride, padding);
  require(shape.out_height > 0 && shape.out_width > 0, "depthwise3x3", x, weight);
  Tensor y = Tensor::empty({shape.batch, shape.out_height, shape.out_width, shape.out_channels});
  backend().depthwise3x3(y.data(), x.data(), weight.data(), nullptr, Activation::none, shape);
  y.record({x, weight}, [=](const Tensor& dy) {
    if (x.requires_grad()) {
      Tensor dx = Tensor::empty(x.shape());
      backend().depthwise3x3_backward_input(dx.data(), dy.data(), weight.data(), shape);
      x.add_gradient(dx);
    }
    if (weight.requires_grad()) {
      Tensor dw = Tensor::empty(weight.shape());
      backend().depthwise3x3_backward_weight(dw.data(), dy.data(), x.data(), shape);
      weight.add_gradient(dw);
    }
  });
  return y;
}

Tensor relu(const Tensor& x) { return elementwise(x, backend().relu, backend().relu_backward); }

Tensor relu6(const Tensor& x) { return elementwise(x, backend().relu6, backend().relu6_backward); }

Tensor add(const Tensor& a, const Tensor& b) {
  require(a.shape() == b.shape(), "add", a, b);
  Tensor y = Tensor::empty(a.shape());
  backend().add(y.data(), a.data(), b.data(), a.count());
  y.record({a, b}, [a, b](const Tensor& dy) {
    a.add_gradient(dy);
    b.add_gradient(dy);
  });
  return y;
}

Tensor global_average_pool(const Tensor& x) {
  if (x.shape().size() != 4 || x.count() == 0)
    reject("global_average_pool", "takes [n, h, w, c], not " + to_string(x.shape()));
  const kernels::PoolShape shape{x.dim(0), x.dim(1) * x.dim(2), x.dim(3)};
  Tensor y = Tensor::empty({shape.batch, shape.channels});
  backend().global_average_pool(y.data(), x.data(), shape);
  y.record({x}, [=](const Tensor& dy) {
    Tensor dx = Tensor::empty(x.shape());
    backend().global_average_pool_backward(dx.data(), dy.data(), shape);
    x.add_gradient(dx);
  });
  return y;
}

Tensor dropout(const Tensor& x, double rate, std::uint64_t seed) {
  if (!(rate >= 0 && rate < 1)) reject("dropout", fmt::format("rate {} is not in [0, 1)", rate));
  Tensor y = Tensor::empty(x.shape());
  backend().dropout(y.data(), x.data(), rate, seed, x.count());
  y.record({x}, [=](const Tensor& dy) {
    Tensor dx = Tensor::empty(x.shape());
    backend().dropout(dx.data(), dy.data(), rate, seed, x.count());
    x.add_gradient(dx);
  });
  return y;
}

Tensor softmax(const Tensor& x) {
  const kernels::RowShape shape = rows_of(x, "softmax");
  Tensor y = Tensor::empty(x.shape());
  backend().softmax(y.data(), x.data(), shape);
  y.record({x}, [=, result = y.detach()](const Tensor& dy) {
    Tensor dx = Tensor::empty(x.shape());
    backend().softmax_backward(dx.data(), dy.data(), result.data(), shape);
    x.add_gradient(dx);
  });
  return y;
}

Tensor softmax_cross_entropy(const Tensor& logits, const Tensor& targets) {
  return loss_on_logits(logits, targets, "softmax_cross_entropy", backend().softmax_cross_entropy,
                        backend().softmax_cross_entropy_backward);
}

Tensor binary_cross_entropy(const Tensor& logits, const Tensor& targets) {
  return loss_on_logits(logits, targets, "binary_cross_entropy", backend().binary_cross_entropy,
                        backend().binary_cross_entropy_backward);
}

Tensor recomputed(const Tensor& x, const std::vector<Tensor>& parameters,
                  const std::function<Tensor(const Tensor&)>& forward) {
  std::vector<Tensor> inputs = parameters;
  inputs.push_back(x);
  const auto run = [&] {
    const RecordingScope nothing(Recording::off);
    return forward(x);
  };
  const Tensor y = run();
  y.record(inputs, [x, forward](const Tensor& dy) {
    Tensor again = x.detach();
    again.set_requires_grad(x.requires_grad());
    const auto run_again = [&] {
      const RecordingScope scope(Recording::again);
      return forward(again);
    };
    run_again().backward(dy);
    if (x.requires_grad()) x.add_gradient(again.grad());
  });
  return y;
}

}  // namespace maskwatch::nn
