// profile_model: where a network's time goes, layer by layer.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "apps/common/device_option.h"
#include "apps/common/files.h"
#include "apps/common/options.h"
#include "apps/common/program.h"
#include "base/file.h"
#include "base/json.h"
#include "base/parallel.h"
#include "base/random.h"
#include "kernels/machine.h"
#include "kernels/scratch.h"
#include "nn/classifier.h"
#include "nn/graph_dot.h"
#include "nn/graph_file.h"
#include "nn/ssd.h"
#include "vision/faces/network_metadata.h"
#include "vision/image/draw.h"
#include "vision/masks/mask_detector.h"

namespace maskwatch::apps {
namespace {

using vision::Color;
using vision::Image;

struct Options {
  std::string model, device, plot, dot;
  std::int64_t batch = 1;
  int threads = 0, repeats = 50, height = 480, width = 640;
  bool unfused = false, in_float = false, json = false;
};

void define_options(OptionParser& parser, Options& o) {
  parser.add("MODEL", &o.model,
             "Model file: a classifier, a face detector or a converted network (default: the "
             "classifier that ships)");
  parser.add("--batch", &o.batch, "Pictures a run").range(1, 4096).show_default();
  parser.add("--height", &o.height, "Of the pictures that a face detector trained here looks at")
      .range(32, 4096)
      .show_default();
  parser.add("--width", &o.width, "Likewise").range(32, 4096).show_default();
  parser.add("--repeats", &o.repeats, "Runs, of which the median counts")
      .range(1, 100000)
      .show_default();
  parser.add("--float", &o.in_float, "In float32, where the file says that the model runs in int8");
  parser.add("--unfused", &o.unfused,
             "The layers as they were trained, in float32, none joined to another");
  add_device_option(parser, o.device);
  parser.add("--threads", &o.threads, "Threads (default: all cores)").range(0, 1024);
  parser.add("-p,--plot", &o.plot, "Picture of the table to write (.png, .jpg)");
  parser.add("--dot", &o.dot, "The layers as a graph to write, for Graphviz: dot -Tsvg draws it");
  parser.add("--json", &o.json, "Print the figures as JSON");
}

// All outputs of a converted network, for the input that its metadata names.
nn::Graph converted_graph(const nn::Safetensors& contents, const std::string& path) {
  const vision::MetadataReader reader(contents, path);
  const vision::InputForm input = reader.input();
  std::vector<std::string> outputs;
  for (const auto& [name, value] : reader["outputs"].members()) outputs.push_back(value.text());
  return nn::read_graph(contents, path, {input.height, input.width, 3}, outputs);
}

// As it runs: fused, and in int8 where the file says so.
nn::Graph graph_of(const OptionParser& parser, const Options& o, const std::string& path) {
  const nn::Safetensors contents = nn::load_safetensors(path);
  const bool any_size = nn::is_ssd(contents);
  for (const char* option : {"--height", "--width"})
    if (parser.given(option) && !any_size)
      throw UsageError(std::string(option) + " is for face detectors trained here: " +
                       one_line(path) + " looks at pictures of one size");
  const auto as_it_runs = [&](const nn::Graph& graph, const nn::Quantization& ranges) {
    if (o.in_float && ranges.empty())
      warn("--float changes nothing: " + one_line(path) + " runs in float32");
    if (o.unfused) return graph;
    return o.in_float ? nn::fuse(graph) : nn::fuse_quantized(graph, ranges);
  };
  if (any_size) {
    const auto network = nn::make_ssd(contents, path);
    return as_it_runs(network->graph(o.height, o.width), network->options().quantization);
  }
  if (contents.metadata.contains("graph")) return as_it_runs(converted_graph(contents, path), {});
  const auto model = nn::load_classifier(path);
  return as_it_runs(model->graph(), model->options().quantization);
}

struct Row {
  nn::PlanStep step;
  double seconds = 0;  // the median, for the whole batch
};

struct Profile {
  std::vector<Row> rows;
  double seconds = 0;  // the median of whole runs
  std::int64_t batch = 1;
  // 10^9 operations a second; of the CPU alone, and that of int8 where steps run in it.
  std::optional<double> peak, int8_peak;

  double products() const {
    double sum = 0;
    for (const Row& row : rows) sum += row.step.products;
    return sum;
  }
  double gflops(double products_of_one, double time) const {
    return 2e-9 * products_of_one * static_cast<double>(batch) / time;
  }
  // That of the operations of a step.
  double peak_of(const Row& row) const { return row.step.in_int8 ? *int8_peak : *peak; }
  double share_of_peak(const Row& row) const {
    return gflops(row.step.products, std::max(row.seconds, 1e-9)) / peak_of(row);
  }
  // Of the time of a run, what its multiply-adds would take at the peak.
  double share_of_peak() const {
    double at_peak = 0;
    for (const Row& row : rows) at_peak += gflops(row.step.products, 1) / peak_of(row);
    return at_peak / seconds;
  }
  double longest() const {
    double longest = 0;
    for (const Row& row : rows) longest = std::max(longest, row.seconds);
    return longest;
  }
};

double median(std::vector<double> values) {
  const auto middle = values.begin() + std::ssize(values) / 2;
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

std::vector<float> random_pixels(std::int64_t count) {
  Random random = Random::of_seed(1);
  std::vector<float> pixels(static_cast<std::size_t>(count));
  for (float& value : pixels) value = static_cast<float>(2 * random.uniform() - 1);
  return pixels;
}

Profile profile(const Options& o, const nn::Graph& graph, kernels::Device& device) {
  using Clock = std::chrono::steady_clock;
  nn::Plan plan(graph, o.batch, device);
  const std::vector<float> pixels = random_pixels(o.batch * plan.input_shape().count());
  const std::vector<nn::PlanStep> steps = plan.steps();
  std::vector<double> whole;
  std::vector<std::vector<double>> times(steps.size());
  // The first run, which finds its memory cold, does not count.
  for (int run = 0; run <= o.repeats; ++run) {
    const auto start = Clock::now();
    plan.run(pixels.data(), o.batch);
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    std::vector<double> of_steps(steps.size());
    plan.run_timed(pixels.data(), o.batch, of_steps);
    if (run == 0) continue;
    whole.push_back(seconds);
    for (std::size_t i = 0; i < times.size(); ++i) times[i].push_back(of_steps[i]);
  }
  Profile profile;
  profile.batch = o.batch;
  profile.seconds = median(whole);
  for (std::size_t i = 0; i < steps.size(); ++i)
    profile.rows.push_back({steps[i], median(std::move(times[i]))});
  if (device.on_host()) {
    profile.peak = kernels::peak_gflops();
    if (std::any_of(steps.begin(), steps.end(), [](const auto& step) { return step.in_int8; }))
      profile.int8_peak = kernels::peak_int8_gops();
  }
  return profile;
}

// The smallest memory that holds what a layer reads and makes for one picture.
std::string held_by(const nn::PlanStep& step) {
  const kernels::CacheSizes& caches = kernels::cache_sizes();
  const std::int64_t bytes = step.value_bytes + step.weight_bytes;
  if (bytes <= caches.level1) return "L1";
  if (bytes <= caches.level2) return "L2";
  if (bytes <= caches.level3) return "L3";
  return caches.level3 > 0 ? "memory" : "beyond L2";
}

std::string kilobytes(std::int64_t bytes) {
  return fmt::format("{:.1f}", static_cast<double>(bytes) / 1024);
}

struct Cells {
  std::string name, time, share, gflops, of_peak, values, weights, held;
};

Cells heading(const Profile& p) {
  return {"layer",
          "us",
          "of all",
          "GFLOP/s",
          p.peak ? "of peak" : "",
          "KiB values",
          "KiB weights",
          p.peak ? "held by" : ""};
}

Cells cells_of(const Profile& p, const Row& row) {
  Cells cells;
  cells.name = row.step.name;
  cells.time = fmt::format("{:.1f}", row.seconds * 1e6);
  double sum = 0;
  for (const Row& each : p.rows) sum += each.seconds;
  cells.share = fmt::format("{:.1f} %", 100 * row.seconds / std::max(sum, 1e-12));
  if (row.step.products > 0) {
    const double gflops = p.gflops(row.step.products, std::max(row.seconds, 1e-9));
    cells.gflops = fmt::format("{:.1f}", gflops);
    if (p.peak) cells.of_peak = fmt::format("{:.0f} %", 100 * p.share_of_peak(row));
  }
  cells.values = kilobytes(row.step.value_bytes);
  cells.weights = row.step.weight_bytes > 0 ? kilobytes(row.step.weight_bytes) : "";
  if (p.peak) cells.held = held_by(row.step);
  return cells;
}

std::string line_of(const Cells& c) {
  std::string line = fmt::format("{:<52}{:>10}{:>9}{:>10}{:>9}{:>12}{:>13}{:>10}", c.name, c.time,
                                 c.share, c.gflops, c.of_peak, c.values, c.weights, c.held);
  line.erase(line.find_last_not_of(' ') + 1);
  return line;
}

std::string summary(const Profile& p) {
  const double gflops = p.gflops(p.products(), p.seconds);
  std::string text = fmt::format(
      "a run of {} {}: {:.3f} ms ({:.3f} ms a picture), {:.1f} million multiply-adds a picture, "
      "{:.1f} GFLOP/s",
      p.batch, p.batch == 1 ? "picture" : "pictures", 1e3 * p.seconds,
      1e3 * p.seconds / static_cast<double>(p.batch), p.products() / 1e6, gflops);
  if (p.peak)
    text += fmt::format(", {:.0f} % of the peak ({:.0f}{})", 100 * p.share_of_peak(), *p.peak,
                        p.int8_peak ? fmt::format("; in int8 {:.0f}", *p.int8_peak) : "");
  return text;
}

Json json_of(const Profile& p, const std::string& path, const kernels::Device& device) {
  Json layers = Json::list();
  for (const Row& row : p.rows) {
    Json layer = Json::object({{"name", row.step.name},
                               {"us", row.seconds * 1e6},
                               {"products", row.step.products},
                               {"value_bytes", row.step.value_bytes},
                               {"weight_bytes", row.step.weight_bytes}});
    if (p.peak) layer["held_by"] = held_by(row.step);
    if (p.peak && row.step.products > 0) layer["of_peak"] = p.share_of_peak(row);
    layers.push_back(std::move(layer));
  }
  Json all = Json::object({{"model", path},
                           {"device", device.name()},
                           {"batch", p.batch},
                           {"threads", threads()},
                           {"ms", 1e3 * p.seconds},
                           {"products", p.products()},
                           {"gflops", p.gflops(p.products(), p.seconds)},
                           {"layers", std::move(layers)}});
  if (p.peak) all["peak_gflops"] = *p.peak;
  if (p.int8_peak) all["peak_int8_gops"] = *p.int8_peak;
  return all;
}

// A line for each layer with a bar as long as its time is a part of the longest, in a colour that
// says how near it comes to the peak: red far, green near, grey without multiply-adds.
Image draw_profile(const Profile& p, const std::string& title) {
  constexpr int kRow = 22, kName = 430, kBars = 420, kNumbers = 240, kMargin = 16;
  constexpr Color kInk{0x33, 0x33, 0x33}, kGrey{0xaa, 0xaa, 0xaa};
  const int rows = static_cast<int>(p.rows.size());
  Image image(2 * kMargin + kName + kBars + kNumbers, 2 * kMargin + (rows + 3) * kRow);
  std::fill(image.pixels.begin(), image.pixels.end(), std::uint8_t{255});
  const auto text = [&](float x, int line, const std::string& words, float height = 13) {
    const auto y = static_cast<float>(kMargin + line * kRow);
    vision::draw_text(image, {x, y + (kRow - height) / 2 - 1}, words, height, kInk);
  };
  text(kMargin, 0, title, 16);
  text(kMargin, 1, summary(p));
  for (int i = 0; i < rows; ++i) {
    const Row& row = p.rows[static_cast<std::size_t>(i)];
    const Cells cells = cells_of(p, row);
    const int line = i + 3;
    text(kMargin, line, cells.name);
    const float share = static_cast<float>(row.seconds / std::max(p.longest(), 1e-12));
    const bool counts = p.peak && row.step.products > 0;
    const double of_peak = counts ? std::min(p.share_of_peak(row), 1.0) : 0;
    const Color color = counts ? Color{static_cast<std::uint8_t>(210 - 160 * of_peak),
                                       static_cast<std::uint8_t>(80 + 100 * of_peak), 70}
                               : kGrey;
    const float x = kMargin + kName, y = static_cast<float>(kMargin + line * kRow);
    vision::fill_rectangle(image, {x, y + 3, std::max(share * kBars, 1.0f), kRow - 6}, color);
    text(x + kBars + 10, line,
         cells.time + " us, " + cells.share +
             (counts ? ", " + cells.of_peak + " of peak" : std::string()));
  }
  return image;
}

int run(int argc, char** argv) {
  Options o;
  OptionParser parser("profile_model", "Says where the time of a network goes, layer by layer.");
  define_options(parser, o);
  parser.parse(argc, argv);
  require_picture("--plot", o.plot);
  const std::string path = o.model.empty() ? shipped_model_file() : o.model;
  check_outputs({{"--plot", o.plot}, {"--dot", o.dot}}, {{"the model", path}});
  set_threads(o.threads);
  kernels::Device& device = chosen_device(o.device);
  const nn::Graph graph = graph_of(parser, o, path);
  if (!o.dot.empty()) write_file_atomically(o.dot, nn::to_dot(graph, one_line(path)));
  const Profile found = profile(o, graph, device);
  if (o.json) {
    fmt::print("{}\n", json_of(found, path, device).dump(2));
  } else {
    fmt::print("{}\n", line_of(heading(found)));
    for (const Row& row : found.rows) fmt::print("{}\n", line_of(cells_of(found, row)));
    fmt::print("{}\n", summary(found));
  }
  if (!o.plot.empty())
    vision::save_image(o.plot,
                       draw_profile(found, fmt::format("{} on {}, {} threads", one_line(path),
                                                       device.name(), threads())));
  return 0;
}

}  // namespace
}  // namespace maskwatch::apps

int main(int argc, char** argv) {
  return maskwatch::apps::run_program(argc, argv, maskwatch::apps::run);
}
