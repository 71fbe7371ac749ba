// Joining tensors along an axis.
#pragma once

#include <string>
#include <vector>

#include "nn/ops/check.h"
#include "nn/tensor.h"

namespace maskwatch::nn {

// Shapes are equal but for `axis`, which is added up; negative axes count from the last.
inline Tensor concat(const std::vector<Tensor>& parts, int axis) {
  if (parts.empty()) reject("concat", "nothing to join");
  Shape shape = parts.front().shape();
  const int rank = static_cast<int>(shape.size());
  const int at = axis < 0 ? axis + rank : axis;
  if (at < 0 || at >= rank)
    reject("concat", "axis " + std::to_string(axis) + " of shape " + to_string(shape));
  const auto along = static_cast<std::size_t>(at);
  shape[along] = 0;
  for (const Tensor& part : parts) {
    Shape others = part.shape();
    if (others.size() == shape.size()) others[along] = 0;
    require(others == shape, "concat", parts.front(), part);
  }
  std::int64_t outer = 1, inner = 1, joined = 0;
  for (std::size_t i = 0; i < along; ++i) outer *= shape[i];
  for (std::size_t i = along + 1; i < shape.size(); ++i) inner *= shape[i];
  for (const Tensor& part : parts) joined += part.dim(at);
  shape[along] = joined;

  kernels::Device& device = parts.front().device();
  const auto& k = device.table();
  Tensor y = Tensor::empty(shape, device);
  const std::int64_t row = joined * inner;
  std::int64_t begin = 0;
  for (const Tensor& part : parts) {
    device_of("concat", parts.front(), part);
    const std::int64_t length = part.dim(at) * inner;
    k.copy_rows(y.data() + begin, row, part.data(), length, {outer, length});
    begin += length;
  }
  y.record(parts, [=, &device, &k](const Tensor& dy) {
    std::int64_t from = 0;
    for (const Tensor& part : parts) {
      const std::int64_t length = part.dim(at) * inner;
      if (part.requires_grad()) {
        const Tensor dx = Tensor::empty(part.shape(), device);
        k.copy_rows(dx.data(), length, dy.data() + from, row, {outer, length});
        part.add_gradient(dx);
      }
      from += length;
    }
  });
  return y;
}

}  // namespace maskwatch::nn
