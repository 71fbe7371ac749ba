// Less memory for more arithmetic: a part of a network that keeps nothing for backward() and runs
// again there (Chen et al. 2016).
#pragma once

#include <functional>
#include <vector>

#include "nn/tensor.h"

namespace maskwatch::nn {

// forward(x), of which only the result is kept: backward() runs forward again, once, when it gets
// there. `parameters`: what forward trains. Gradients are the same bytes as without. Saves x.
inline Tensor recomputed(const Tensor& x, const std::vector<Tensor>& parameters,
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
