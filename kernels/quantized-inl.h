// The operations of quantized.def for one instruction set. Included by kernels/quantized.cc alone,
// in a namespace of its own each time.
#include "kernels/quantized_codes-inl.h"
#include "kernels/quantized_tiles-inl.h"
// These use what stands in those.
#include "kernels/quantized_depthwise-inl.h"
#include "kernels/quantized_sinks-inl.h"

// Pieces of a task's memory.
class Carver {
 public:
  explicit Carver(std::int64_t bytes)
      : at_(reinterpret_cast<std::byte*>(scratch(Scratch::task, divide_up(bytes, 4)))) {}
  template <typename T>
  static std::int64_t bytes_of(std::int64_t count) {
    return rounded_up(count * std::int64_t{sizeof(T)}, 64);
  }
  template <typename T>
  T* take(std::int64_t count) {
    T* taken = reinterpret_cast<T*>(at_);
    at_ += bytes_of<T>(count);
    return taken;
  }

 private:
  std::byte* at_;
};

void pack_quantized_pointwise(std::byte* packed, QuantizedLayer layer, std::int64_t in,
                              std::int64_t out) {
  pack_layer(packed, layer, in, in, out);
}

HWY_INLINE std::int64_t row_codes(std::int64_t channels) {
  return rounded_up(channels, kStepCodes);
}

// `count` codes of x from the value at `begin` on. Of floats up to kLanes - 1 more are written.
template <typename To>
HWY_INLINE void read_codes(To* to, const QuantizedInput& x, std::int64_t begin, std::int64_t count,
                           const Rounding& round) {
  if (x.codes)
    std::copy_n(x.codes + begin, count, to);
  else
    quantize_row(to, x.values + begin, count, round);
}

// As rows of row_codes(channels).
void read_positions(Code* to, const QuantizedInput& x, std::int64_t begin, std::int64_t positions,
                    std::int64_t channels) {
  const Rounding round(x.quantization);
  const std::int64_t stride = row_codes(channels);
  if (stride == channels) return read_codes(to, x, begin, positions * channels, round);
  for (std::int64_t i = 0; i < positions; ++i)
    read_codes(to + i * stride, x, begin + i * channels, channels, round);
}

void quantize_rows(Code* to, const float* x, std::int64_t rows, std::int64_t channels,
                   Quantization q) {
  read_positions(to, {x, nullptr, q}, 0, rows, channels);
}

// Panels of a task where there are more weights than values: whole pairs.
HWY_INLINE Range panels_of_task(std::int64_t columns, std::int64_t tasks, std::int64_t task) {
  const std::int64_t panels = divide_up(columns, kColumns);
  const Range pairs = part(divide_up(panels, 2), tasks, task);
  return {2 * pairs.begin, std::min(2 * pairs.end, panels)};
}

HWY_INLINE std::int64_t tasks_by_panels(std::int64_t columns) {
  return std::clamp<std::int64_t>(columns / (8 * kColumns), 1, threads());
}

struct Product {
  float* y;
  const float* x;
  const std::byte* packed;
  Quantization input;
  const float* residual;
  Activation activation;
  GemmShape shape;
};

void run_product(const Product& p, Range rows, Range panels) {
  const GemmShape& s = p.shape;
  const PackedLayer layer(p.packed, s.k, s.n);
  const std::int64_t stride = row_codes(s.k), count = rows.end - rows.begin;
  const std::int64_t codes = count * stride + kSlack;
  Code* a = Carver(Carver::bytes_of<Code>(codes)).take<Code>(codes);
  quantize_rows(a, p.x + rows.begin * s.k, count, s.k, p.input);
  const FloatSink sink{.layer = &layer,
                       .activation = p.activation,
                       .y = p.y + rows.begin * s.n,
                       .residual = p.residual ? p.residual + rows.begin * s.n : nullptr,
                       .columns = s.n};
  multiply(a, stride, count, layer, panels, sink);
}

void quantized_pointwise(float* y, const float* x, const std::byte* packed, Quantization input,
                         const float* residual, Activation activation, GemmShape s) {
  if (s.m <= 0 || s.n <= 0) return;
  constexpr std::int64_t kTaskRows = 14 * 16;
  const Product p{y, x, packed, input, residual, activation, s};
  if (s.m > kTaskRows / 4) {
    parallel_for(divide_up(s.m, kTaskRows), [&](std::int64_t task) {
      run_product(p, {task * kTaskRows, std::min((task + 1) * kTaskRows, s.m)},
                  {0, divide_up(s.n, kColumns)});
    });
    return;
  }
  const std::int64_t tasks = tasks_by_panels(s.n);
  parallel_for(tasks, [&](std::int64_t task) {
    run_product(p, {0, s.m}, panels_of_task(s.n, tasks, task));
  });
}

// One picture's panels.
void run_pool(const Product& p, std::int64_t picture, std::int64_t positions, Range panels) {
  const GemmShape& s = p.shape;
  const PackedLayer layer(p.packed, s.k, s.n);
  const std::int64_t stride = row_codes(s.k), codes = positions * stride + kSlack;
  Carver memory(Carver::bytes_of<Code>(codes) + Carver::bytes_of<float>(layer.out_padded));
  Code* a = memory.take<Code>(codes);
  float* sums = memory.take<float>(layer.out_padded);
  quantize_rows(a, p.x + picture * positions * s.k, positions, s.k, p.input);
  std::fill(sums, sums + layer.out_padded, 0.0f);
  multiply(a, stride, positions, layer, panels,
           PoolSink{.layer = &layer, .activation = p.activation, .sums = sums});
  const std::int64_t last = std::min(panels.end * kColumns, s.n);
  for (std::int64_t c = panels.begin * kColumns; c < last; ++c)
    p.y[picture * s.n + c] = sums[c] / static_cast<float>(positions);
}

void quantized_pointwise_average_pool(float* y, const float* x, const std::byte* packed,
                                      Quantization input, Activation activation,
                                      std::int64_t positions, GemmShape s) {
  if (s.m <= 0 || s.n <= 0) return;
  const std::int64_t pictures = s.m / positions;
  const std::int64_t parts = pictures >= threads() ? 1 : tasks_by_panels(s.n);
  const Product p{y, x, packed, input, nullptr, activation, s};
  parallel_for(pictures * parts, [&](std::int64_t task) {
    run_pool(p, task / parts, positions, panels_of_task(s.n, parts, task % parts));
  });
}

#include "kernels/quantized_block-inl.h"

// Or the compiler would take one product for all sums and rounds.
HWY_INLINE void hide_from_compiler([[maybe_unused]] IntVector& v) {
#if HWY_ARCH_X86
  asm("" : "+x"(v.raw));
#elif HWY_ARCH_ARM_A64
  asm("" : "+w"(v.raw));
#endif
}

// Twelve sums hide the latency of an instruction. They begin differently, or the compiler would
// join them.
template <int... kSums>
HWY_INLINE void multiply_registers(std::int64_t rounds, std::int32_t* sums,
                                   std::integer_sequence<int, kSums...>) {
  constexpr std::uint32_t kCodes = kStepCodes == 4 ? 0x02020202u : 0x00020002u;
  constexpr std::uint32_t kWeights = kStepCodes == 4 ? 0xFDFDFDFDu : 0xFFFDFFFDu;  // -3
  static constexpr std::int32_t kNoBias[kColumns] = {};
  IntVector codes = hn::Set(ints, static_cast<std::int32_t>(kCodes));
  const IntVector weights = hn::Set(ints, static_cast<std::int32_t>(kWeights));
  Sum all[sizeof...(kSums)];
  (all[kSums].begin(hn::Zero(ints)), ...);
  ((all[kSums].first = hn::LoadU(ints, sums + kSums * kLanes)), ...);
  for (std::int64_t round = 0; round < rounds; ++round)
    ((all[kSums].add(codes, weights), hide_from_compiler(codes)), ...);
  (hn::StoreU(all[kSums].total(kNoBias), ints, sums + kSums * kLanes), ...);
}

double multiply_adds(std::int64_t rounds, std::int32_t* sums) {
  multiply_registers(rounds, sums, UpTo<12>());
  return 12.0 * static_cast<double>(rounds * kLanes * kStepCodes);
}

const QuantizedTable& table() {
  static const QuantizedTable table = {
#define QOP(name, parameters) .name = checked<&checks::name, &name>(),
#include "kernels/quantized.def"
#undef QOP
      .multiply_adds = &multiply_adds,
  };
  return table;
}
