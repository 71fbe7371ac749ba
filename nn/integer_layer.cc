#include "nn/integer_layer.h"

#include <algorithm>
#include <cmath>

namespace maskwatch::nn {
namespace {

constexpr double kMostWeight = 127, kMostCode = 255;
// Together with the products of kMostQuantizedSteps weights it stays in 32 bits.
constexpr double kMostBias = 1 << 29;

}  // namespace

ActivationCodes codes_of(ValueRange range) {
  const double least = std::min(0.0, static_cast<double>(range.least));
  const double most = std::max(0.0, static_cast<double>(range.most));
  if (!(most > least)) return {};
  const double scale = (most - least) / kMostCode;
  return {scale, static_cast<std::int32_t>(std::lround(-least / scale))};
}

double weight_scale(double largest_magnitude) { return largest_magnitude / kMostWeight; }

IntegerLayer integer_layer(const LayerWeights& layer, const ActivationCodes& input,
                           const ActivationCodes* result) {
  const Tensor& weight = layer.weight;
  const std::int64_t channels = weight.dim(-1), steps = weight.count() / channels;
  IntegerLayer made;
  made.weight.resize(static_cast<std::size_t>(weight.count()));
  for (std::int64_t c = 0; c < channels; ++c) {
    double largest = 0;
    for (std::int64_t i = 0; i < steps; ++i)
      largest = std::max(largest, std::abs(static_cast<double>(weight.data()[i * channels + c])));
    const double bias = layer.bias.defined() ? static_cast<double>(layer.bias.data()[c]) : 0;
    // A channel of next to no weights has integers that are coarse enough for its bias.
    double scale = std::max(weight_scale(largest), std::abs(bias) / input.scale / kMostBias);
    if (scale == 0) scale = 1;
    std::int64_t sum = 0, most = 0;
    for (std::int64_t i = 0; i < steps; ++i) {
      const auto at = static_cast<std::size_t>(i * channels + c);
      const long integer = std::lround(static_cast<double>(weight.data()[at]) / scale);
      made.weight[at] = static_cast<std::int8_t>(integer);
      sum += integer;
      most += std::abs(integer);
    }
    made.bias.push_back(
        static_cast<std::int32_t>(std::lround(bias / (input.scale * scale)) - input.zero * sum));
    double factor = input.scale * scale;
    if (result) {
      const double largest_sum =
          std::abs(static_cast<double>(made.bias.back())) + kMostCode * static_cast<double>(most);
      // The second is the less only where next to every sum is far beyond the codes.
      factor = std::min(factor / result->scale, kernels::kMostUnrounded / (largest_sum + 1));
    }
    made.factor.push_back(static_cast<float>(factor));
  }
  return made;
}

}  // namespace maskwatch::nn
