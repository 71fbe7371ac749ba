// quantize_model: a model in int8, a quarter of the size of one in float32 and faster, made from a
// trained one and some pictures like those that it will see.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>
#include <set>

#include "apps/common/dataset.h"
#include "apps/common/files.h"
#include "apps/common/options.h"
#include "apps/common/program.h"
#include "apps/common/progress.h"
#include "apps/common/rounded_weights.h"
#include "apps/training/picture_lists.h"
#include "base/parallel.h"
#include "nn/classifier.h"
#include "nn/ssd.h"
#include "vision/faces/face_detector.h"
#include "vision/faces/trained_ssd.h"
#include "vision/image/codec.h"
#include "vision/image/network_input.h"
#include "vision/image/resize.h"

namespace maskwatch::apps {
namespace {

using vision::Image;

struct Options {
  std::string model, output, without, ranges = "error", precision = "i8";
  std::vector<std::string> pictures;
  int most = nn::kCalibrationPictures, threads = 0;
};

// Detectors are calibrated on squares of this side, out of the middle of pictures.
constexpr int kDetectorSide = 320;

void define_options(OptionParser& parser, Options& o) {
  parser.add("model", &o.model, "A classifier or a face detector that was trained here").required();
  parser
      .add("-d,--dataset", &o.pictures,
           "Pictures like those that the model will see: folders, and what lies below them. For a "
           "classifier faces, as it is trained on; for a detector whole photographs")
      .required();
  parser.add(
      "--without", &o.without,
      "JSON that the training wrote (--history): leave out the pictures that it was validated "
      "on");
  parser.add("-o,--output", &o.output, "The model in int8, a .safetensors file").required();
  parser
      .add("--ranges", &o.ranges,
           "How the range of a layer's values is found: extremes that occur, all but one in 10,000 "
           "(percentile), or what makes the squared error least (error)")
      .choices({"extremes", "percentile", "error"})
      .show_default();
  parser
      .add("--precision", &o.precision,
           "How weights are written: as the integers that it computes with (i8), or in half "
           "precision (f16), twice as large, which programs round as they read it and can train on")
      .choices({"i8", "f16"})
      .show_default();
  parser
      .add("--most", &o.most,
           "Pictures to look at, at most: spread evenly over those there are; each takes 0.3 MB "
           "of memory at 320 pixels a side")
      .range(1, 1 << 20)
      .show_default();
  parser.add("--threads", &o.threads, "Threads (default: all cores); they change no byte")
      .range(0, 1024);
}

nn::Precision precision_of(const std::string& name) {
  return name == "i8" ? nn::Precision::i8 : nn::Precision::f16;
}

nn::RangeMethod method_of(const std::string& name) {
  if (name == "extremes") return nn::RangeMethod::extremes;
  return name == "error" ? nn::RangeMethod::error : nn::RangeMethod::percentile;
}

Image whole_face(const Image& image, int size) {
  const vision::Box all{0, 0, static_cast<float>(image.width), static_cast<float>(image.height)};
  return vision::face_crop(image, all, 0, size);
}

// The square in the middle.
Image middle(const Image& image, int size) {
  const int side = std::min(image.width, image.height);
  const vision::Box box{static_cast<float>((image.width - side) / 2),
                        static_cast<float>((image.height - side) / 2), static_cast<float>(side),
                        static_cast<float>(side)};
  return vision::face_crop(image, box, 0, size);
}

// Pictures that can be read, as the network will see them; of each of the others a note.
struct Samples {
  std::vector<std::string> files;
  std::vector<Image> inputs;
};

Samples read_samples(const std::vector<std::string>& files, int size,
                     Image (*input)(const Image&, int size)) {
  Samples samples;
  for (const std::string& file : files) {
    try {
      samples.inputs.push_back(input(vision::load_image(file), size));
      samples.files.push_back(file);
    } catch (const std::runtime_error& fault) {
      tell("skipped " + one_line(fault.what()));
    }
  }
  if (samples.files.empty()) throw UsageError("none of the pictures can be read");
  return samples;
}

nn::Quantization find_ranges(const nn::Graph& graph, const Samples& samples, const Options& o,
                             nn::Preprocessing preprocessing) {
  const auto count = std::ssize(samples.inputs);
  const nn::Graph fused = nn::fuse(graph);
  const auto load = [&](std::int64_t i, float* pixels) {
    vision::to_network_input(samples.inputs[static_cast<std::size_t>(i)], pixels, preprocessing);
  };
  ProgressBar bar(2 * count);
  nn::Quantization ranges = nn::calibrate(fused, count, load, method_of(o.ranges),
                                          [&](std::int64_t done) { bar.update(done); });
  bar.finish(fmt::format("ranges of {} layers from {} pictures", ranges.size(), count));
  ProgressBar layers(std::ssize(ranges) + 1);
  ranges = nn::correct_biases(fused, std::move(ranges), count, load,
                              [&](std::int64_t done) { layers.update(done); });
  layers.finish(fmt::format("biases corrected on {} of them",
                            std::min<std::int64_t>(count, nn::kCorrectionPictures)));
  return ranges;
}

void report_sizes(const Options& o) {
  const auto kilobytes = [](const std::string& path) {
    return static_cast<double>(std::filesystem::file_size(path)) / 1e3;
  };
  fmt::print("wrote {}: {:.0f} kB ({}: {:.0f} kB)\n", one_line(o.output), kilobytes(o.output),
             one_line(o.model), kilobytes(o.model));
}

// --- Classifiers ---

// Of two vectors, 1 where they point the same way.
double cosine(const float* a, const float* b, std::size_t count) {
  double ab = 0, aa = 0, bb = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const double x = static_cast<double>(a[i]), y = static_cast<double>(b[i]);
    ab += x * y;
    aa += x * x;
    bb += y * y;
  }
  return aa > 0 && bb > 0 ? ab / std::sqrt(aa * bb) : 0;
}

// How the answers of the written model differ from those of the one that it was made of.
void compare_classifiers(const nn::Classifier& before, const Options& o, const Samples& samples) {
  const auto after = nn::load_classifier(o.output);
  nn::Plan in_float = before.compile(1), in_int8 = after->compile(1);
  const auto outputs = static_cast<std::size_t>(in_float.output_shape().count());
  std::vector<float> pixels(static_cast<std::size_t>(in_float.input_shape().count()));
  std::size_t same = 0;
  double difference = 0, likeness = 0;
  for (const Image& input : samples.inputs) {
    vision::to_network_input(input, pixels.data(), before.options().backbone.preprocessing);
    in_float.run(pixels.data(), 1);
    in_int8.run(pixels.data(), 1);
    const float *a = in_float.output(), *b = in_int8.output();
    same += std::max_element(a, a + outputs) - a == std::max_element(b, b + outputs) - b;
    likeness += cosine(a, b, outputs);
    for (std::size_t i = 0; i < outputs; ++i)
      difference += std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i]));
  }
  const auto count = static_cast<double>(samples.inputs.size());
  if (before.options().labels.empty())
    fmt::print("features like before: cosine {:.4f} on average\n", likeness / count);
  else
    fmt::print(
        "the same class as before in {} of {} pictures; probabilities differ by {:.4f} on "
        "average\n",
        same, samples.inputs.size(), difference / count / static_cast<double>(outputs));
}

void quantize_classifier(const Options& o, const std::vector<std::string>& files) {
  const auto model = nn::load_classifier(o.model);
  const nn::MobileNetV2Options& backbone = model->options().backbone;
  const Samples samples = read_samples(files, backbone.input_size, whole_face);
  nn::save_quantized(o.output, *model, nn::load_safetensors(o.model).metadata,
                     find_ranges(model->graph(), samples, o, backbone.preprocessing),
                     precision_of(o.precision));
  report_sizes(o);
  compare_classifiers(*model, o, samples);
}

// --- Face detectors ---

// Faces of `found` that `others` hold too.
std::size_t found_again(const std::vector<vision::Detection>& found,
                        const std::vector<vision::Detection>& others) {
  constexpr float kSameFace = 0.5f;
  return static_cast<std::size_t>(std::count_if(found.begin(), found.end(), [&](const auto& face) {
    return std::any_of(others.begin(), others.end(), [&](const auto& other) {
      return vision::intersection_over_union(face.box, other.box) >= kSameFace;
    });
  }));
}

void compare_detectors(const Options& o, const std::vector<std::string>& files) {
  vision::SsdDetector before(o.model), after(o.output);
  std::size_t in_float = 0, in_int8 = 0, again = 0;
  ProgressBar bar(std::ssize(files));
  for (std::size_t i = 0; i < files.size(); ++i) {
    const Image image = vision::load_image(files[i]);
    const auto a = before.detect(image, {}), b = after.detect(image, {});
    in_float += a.size();
    in_int8 += b.size();
    again += found_again(a, b);
    bar.update(static_cast<std::int64_t>(i) + 1);
  }
  bar.finish();
  fmt::print("{} faces in these pictures, {} before; {} of those are found again\n", in_int8,
             in_float, again);
}

void quantize_detector(const Options& o, const std::vector<std::string>& files) {
  const nn::Safetensors source = nn::load_safetensors(o.model);
  const auto network = nn::make_ssd(source, o.model);
  const Samples samples = read_samples(files, kDetectorSide, middle);
  nn::Safetensors contents{source.metadata, network->state_dict()};
  contents.metadata[nn::kQuantizationKey] =
      nn::text_of_quantization(find_ranges(network->graph(kDetectorSide, kDetectorSide), samples, o,
                                           network->options().backbone.preprocessing));
  nn::save_safetensors(o.output, contents, precision_of(o.precision));
  report_sizes(o);
  compare_detectors(o, samples.files);
}

// At most as many as are to be looked at, spread evenly.
std::vector<std::string> chosen_files(const Options& o, bool is_detector) {
  Dataset all = scan_images(o.pictures);
  if (!o.without.empty()) {
    const std::set<std::string> names =
        names_in_history(o.without, is_detector ? "train_face_detector" : "train_mask_detector");
    require_different_names(all.images, o.without);
    const auto left_out = std::erase_if(all.images, [&](const DatasetImage& image) {
      return names.contains(listed_name(image.name));
    });
    tell(fmt::format("{}: {} of {} pictures that it names are left out", o.without, left_out,
                     names.size()));
    if (left_out == 0 || all.images.empty())
      throw UsageError(one_line(o.without) + ": it names " + (left_out == 0 ? "none" : "all") +
                       " of the pictures");
  }
  std::vector<std::string> files;
  for (const std::size_t i : spread_evenly(all.images.size(), static_cast<std::size_t>(o.most)))
    files.push_back(all.images[i].path);
  return files;
}

int run(int argc, char** argv) {
  Options o;
  OptionParser parser("quantize_model",
                      "Makes a model in int8 of a trained one: a quarter of the size of one in "
                      "float32, and faster. Every program takes it as it takes the other.");
  define_options(parser, o);
  parser.parse(argc, argv);
  set_threads(o.threads);
  check_outputs({{"--output", o.output}}, {{"the model", o.model}, {"--without", o.without}});
  const nn::Safetensors contents = nn::load_safetensors(o.model);
  if (contents.metadata.contains("graph"))
    throw UsageError(one_line(o.model) + ": a converted network, which quantize_model cannot read",
                     "it takes classifiers and face detectors that were trained here");
  const bool is_detector = nn::is_ssd(contents);
  if (!is_detector) nn::classifier_options(contents, o.model);
  const std::vector<std::string> files = chosen_files(o, is_detector);
  require_apart({{"--output", o.output}}, files);
  tell_if_rounded(contents, o.model, "this one is made");
  if (is_detector)
    quantize_detector(o, files);
  else
    quantize_classifier(o, files);
  return 0;
}

}  // namespace
}  // namespace maskwatch::apps

int main(int argc, char** argv) {
  return maskwatch::apps::run_program(argc, argv, maskwatch::apps::run);
}
