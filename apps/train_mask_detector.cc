// train_mask_detector: from folders of pictures to a model file, like the original's training
// script, and more.
#include <fmt/format.h>

#include <bit>
#include <charconv>
#include <chrono>
#include <filesystem>

#include "apps/common/class_rules.h"
#include "apps/common/dataset.h"
#include "apps/common/device_option.h"
#include "apps/common/files.h"
#include "apps/common/options.h"
#include "apps/common/program.h"
#include "apps/common/progress.h"
#include "apps/common/ranks.h"
#include "apps/common/rounded_weights.h"
#include "apps/training/checkpoint.h"
#include "apps/training/history.h"
#include "apps/training/load_images.h"
#include "apps/training/plot.h"
#include "apps/training/quantized_model.h"
#include "apps/training/report.h"
#include "apps/training/shard_option.h"
#include "apps/training/split.h"
#include "apps/training/trainer.h"
#include "base/data_files.h"
#include "base/file.h"
#include "base/parallel.h"
#include "nn/memory.h"
#include "vision/image/image.h"

namespace maskwatch::apps {
namespace {

using nn::MobileNetV2;

constexpr double kHeadRate = 1e-4;     // the original's
constexpr double kScratchRate = 2e-3;  // a whole network needs larger steps
// Running statistics must follow the few thousand steps of a small data set; the published 0.999 is
// for ImageNet.
constexpr double kScratchMomentum = 0.99;

constexpr const char* kDefaultWeights = "weights/mobilenet_v2_1.0_224.safetensors";
constexpr const char* kStartAgain = "start again with --overwrite instead of --resume";

struct Options {
  std::vector<std::string> datasets, classes;
  std::string device;
  std::string plot = "plot.png";
  std::string model = "mask_detector.safetensors";
  std::string weights;
  std::string history = "history.json";
  bool scratch = false;
  double width = 1.0;
  int size = 224;
  int epochs = 20;
  double rate = 0;  // 0: by what is trained
  int batch_size = 32;
  std::string fine_tune;
  std::uint64_t seed = 42;
  int threads = 0;
  bool resume = false;
  bool overwrite = false;
  bool allow_leakage = false;
  double validation = 0.2;
  std::string augment = "original";
  std::string schedule;
  std::string precision = "f32";
  std::string quantized;
  std::string face;
  double label_smoothing = 0;
  std::string teacher;
  double teacher_share = 0.7;
  std::int64_t memory_budget = 0;  // MiB
  int shards = 1;
};

void define_options(OptionParser& parser, Options& o) {
  parser
      .add("-d,--dataset", &o.datasets,
           "Data set: a folder with one folder of pictures for each class; several are merged. "
           "Folders called train, validation and test above or below those of the classes split "
           "it")
      .required();
  parser.add("--classes", &o.classes, kClassesHelp);
  parser.add("-p,--plot", &o.plot, "Picture of the loss and accuracy curves to write (.png, .jpg)")
      .show_default();
  parser.add("-m,--model", &o.model, "Model file to write").show_default();
  parser.add("--history", &o.history, "Figures of every epoch to write (JSON)").show_default();
  parser.add("--weights", &o.weights,
             "Pretrained backbone (safetensors; see data/README.md). Its width and input size "
             "are taken over (default: data/weights/mobilenet_v2_1.0_224.safetensors)");
  parser.add("--scratch", &o.scratch, "Train the whole network from random weights");
  parser.add("--width", &o.width, "With --scratch: width multiplier")
      .range(0.05, 4.0)
      .show_default();
  parser.add("--size", &o.size, "Side of the input in pixels (default 224, or the weights')")
      .range(33, 1024);
  parser.add("--epochs", &o.epochs, "Passes over the training part")
      .range(1, 100000)
      .show_default();
  parser.add("--lr", &o.rate, "Learning rate (default 1e-4; 2e-3 with --scratch)")
      .range(1e-9, 10.0);
  parser.add("--batch-size", &o.batch_size, "Pictures a step").range(1, 4096).show_default();
  parser.add(
      "--fine-tune", &o.fine_tune,
      "Also train the last convolution and the last N of the 17 blocks of the backbone, or 'all'");
  parser
      .add("--schedule", &o.schedule,
           "Learning rate over time: original (lr / (1 + lr/epochs * step)), cosine or constant "
           "(default original; cosine with --scratch)")
      .choices({"original", "cosine", "constant"});
  parser
      .add("--augment", &o.augment,
           "Variation of the pictures: original, strong (also colour, blur, noise), light (strong, "
           "in dusk and under coloured lamps too, seldom on the side or upside down) or none")
      .choices({"original", "strong", "light", "none"})
      .show_default();
  parser.add("--label-smoothing", &o.label_smoothing, "Share of the target spread over all classes")
      .range(0.0, 0.9)
      .show_default();
  auto& teacher = parser.add(
      "--teacher", &o.teacher,
      "A model of the same classes, better and mostly larger, whose answers are learned too");
  parser
      .add("--teacher-share", &o.teacher_share,
           "Share of its answer in what is learned of each picture; the rest is the picture's "
           "class")
      .range(0.01, 1.0)
      .show_default()
      .needs(teacher);
  parser.add("--validation", &o.validation, "Share of the pictures kept for validation")
      .range(0.01, 0.9)
      .show_default();
  parser.add("--face", &o.face,
             "Also train on the face in each picture, found and cut out as detect_mask_image "
             "does: ours, haar, ssd or a file");
  parser.add("--allow-leakage", &o.allow_leakage,
             "Split as the original: copies of a picture may stand on both sides");
  parser.add("--precision", &o.precision, "Numbers of the model file: f32 or f16 (half the size)")
      .choices({"f32", "f16"})
      .show_default();
  parser.add("--quantize", &o.quantized,
             "Write the model in int8 too, with ranges from training pictures, and say what it "
             "answers on those for validation");
  parser.add("--seed", &o.seed, "Seed of everything random").show_default();
  parser
      .add("--threads", &o.threads,
           "Threads (default: all cores); the model is the same for any number")
      .range(0, 1024);
  parser
      .add("--memory-budget", &o.memory_budget,
           "MiB that a training step may hold: what does not fit is computed twice (default: "
           "everything is kept); the model is the same for any")
      .range(1, 1 << 24);
  add_device_option(parser, o.device);
  add_shard_option(parser, o.shards);
  add_checkpoint_options(parser, o.resume, o.overwrite);
}

std::vector<NamedFile> outputs_of(const Options& o) {
  return {{"--model", o.model},
          {"--quantize", o.quantized},
          {"--plot", o.plot},
          {"--history", o.history},
          {"the checkpoint", checkpoint_path(o.model)}};
}

void check_options(const OptionParser& parser, const Options& o) {
  if (o.scratch && !o.weights.empty())
    throw UsageError("--scratch and --weights exclude each other");
  if (o.scratch && !o.fine_tune.empty())
    throw UsageError("--scratch trains everything; --fine-tune is for pretrained weights");
  if (!o.scratch && parser.given("--width"))
    throw UsageError("--width needs --scratch", "pretrained weights have their own width");
  check_outputs(outputs_of(o),
                {{"--weights", o.weights}, {"the detector", o.face}, {"--teacher", o.teacher}});
  require_picture("--plot", o.plot);
}

// The first stage of the backbone that is trained.
int first_trained_stage(const Options& o) {
  if (o.scratch || o.fine_tune == "all") return 0;
  if (o.fine_tune.empty()) return MobileNetV2::kStages;
  int blocks = 0;
  const char* end = o.fine_tune.data() + o.fine_tune.size();
  const auto [stop, error] = std::from_chars(o.fine_tune.data(), end, blocks);
  if (error != std::errc() || stop != end || blocks < 0 || blocks > 17)
    throw UsageError("--fine-tune " + o.fine_tune +
                     ": neither 'all' nor a number of blocks from 0 to 17");
  return MobileNetV2::kStages - 1 - blocks;
}

std::string default_weights() {
  if (const auto path = find_data_file(kDefaultWeights)) return *path;
  throw UsageError(
      std::string("no pretrained weights: data/") + kDefaultWeights + " does not exist",
      "make it with data/fetch.sh and data/convert_weights.py, name others with "
      "--weights, or use --scratch");
}

// A model for the classes of `labels`, its backbone from the weights or random.
std::unique_ptr<nn::Classifier> make_model(const Options& o, bool size_given,
                                           const std::vector<std::string>& labels,
                                           const std::vector<std::string>& meanings) {
  nn::ClassifierOptions options;
  options.labels = labels;
  options.meanings = meanings;
  if (o.scratch) {
    options.backbone.width = o.width;
    options.backbone.input_size = o.size;
    options.backbone.batch_norm.momentum = kScratchMomentum;
    return std::make_unique<nn::Classifier>(options, o.seed);
  }
  const std::string path = o.weights.empty() ? default_weights() : o.weights;
  const nn::Safetensors contents = nn::load_safetensors(path);
  tell_if_rounded(contents, path, "training starts");
  options.backbone = nn::classifier_options(contents, path).backbone;
  if (size_given) options.backbone.input_size = o.size;
  auto model = std::make_unique<nn::Classifier>(options, o.seed);
  try {
    model->backbone().load_state_dict(contents.tensors);
  } catch (const std::invalid_argument& fault) {
    throw UsageError(path + ": " + fault.what());
  }
  return model;
}

// Null without one. Its classes are those of the data set.
std::unique_ptr<nn::Classifier> make_teacher(const Options& o, const nn::Classifier& model) {
  if (o.teacher.empty()) return nullptr;
  auto teacher = nn::load_classifier(o.teacher);
  try {
    teacher_columns(model.options(), teacher->options());
  } catch (const std::invalid_argument& fault) {
    throw UsageError("--teacher " + o.teacher + ": " + fault.what());
  }
  return teacher;
}

vision::AugmentOptions augmentation(const std::string& name) {
  vision::AugmentOptions options;
  if (name != "strong" && name != "light") return options;
  options.brightness = 0.15f;
  options.contrast = 0.3f;
  options.saturation = 0.4f;
  options.hue = 12;
  options.grey = 0.1f;
  options.blur = 2;
  options.low_resolution = 3;
  options.noise = 12;
  options.jpeg = 0.3f;
  options.zoom = 0.3f;
  if (name == "light") options.turned = 0.05f;
  return options;
}

double rate_of(const Options& o) {
  return o.rate > 0 ? o.rate : (o.scratch ? kScratchRate : kHeadRate);
}

nn::Schedule schedule(const Options& o, std::int64_t steps) {
  nn::Schedule schedule;
  schedule.rate = rate_of(o);
  const std::string name = !o.schedule.empty() ? o.schedule : (o.scratch ? "cosine" : "original");
  if (name == "original") {
    schedule.kind = nn::Schedule::Kind::inverse_time;
    schedule.decay = schedule.rate / o.epochs;
  } else if (name == "cosine") {
    schedule.kind = nn::Schedule::Kind::cosine;
    schedule.steps = steps;
    schedule.warm_up = std::min<std::int64_t>(steps / 10, 200);
  }
  return schedule;
}

std::uint64_t fingerprint(const nn::Classifier& model) {
  std::uint64_t hash = 0;
  for (const auto& [name, tensor] : model.state_dict())
    for (std::int64_t i = 0; i < tensor.count(); ++i)
      hash = hash * 0x100000001b3u + std::bit_cast<std::uint32_t>(tensor.data()[i]);
  return hash;
}

// Everything that the bytes of the model depend on.
std::string recipe(const Options& o, const LoadedDataset& data, const nn::Classifier& model) {
  const auto& backbone = model.options().backbone;
  return fmt::format(
      "data {:016x}, start {:016x}, width {}, size {}, epochs {}, lr {}, batch {}, fine-tune {}, "
      "schedule {}, augment {}, "
      "smoothing {}, validation {}, leakage {}, scratch {}, face {}, seed {}",
      fingerprint(data.dataset), fingerprint(model), backbone.width, backbone.input_size, o.epochs,
      rate_of(o), o.batch_size, o.fine_tune, o.schedule, o.augment, o.label_smoothing, o.validation,
      o.allow_leakage, o.scratch, std::filesystem::path(o.face).filename().string(), o.seed);
}

// What stands in the model file for each class: what the option or its name says; nothing where
// neither does, which is warned of.
std::vector<std::string> words_of_classes(const Options& o, const Dataset& dataset) {
  const ClassMeanings stated = class_meanings(o.classes);
  check_class_names(stated, dataset.classes, "the data set");
  std::vector<std::string> words, unknown;
  std::vector<vision::LabelMeaning> meanings;
  for (const std::string& name : dataset.classes) {
    const auto found = stated.find(name);
    const auto meaning = found != stated.end() ? found->second : vision::meaning_of(name);
    meanings.push_back(meaning);
    const bool known = found != stated.end() || meaning != vision::LabelMeaning::other;
    words.push_back(known ? std::string(vision::word_of(meaning)) : "");
    if (!known) unknown.push_back(name);
  }
  warn_of_unknown_classes(unknown,
                          "detect_mask_video will neither count who is called so nor raise "
                          "--alert, and its --threshold will not heed it");
  tell_of_shared_meanings(dataset.classes, meanings);
  return words;
}

// What is trained and validated on. The test part of a data set that has one for validation too is
// left for later.
Dataset scan(const OptionParser& parser, const Options& o) {
  const Dataset all = scan_dataset(o.datasets);
  if (!has_parts(all)) return all;
  if (count_part(all, DatasetPart::train) == 0)
    throw UsageError("the data set has folders for validation or test, but none called train");
  const DatasetPart validation = validation_part(all);
  if (validation == DatasetPart::none) return all;
  if (parser.given("--validation"))
    throw UsageError("--validation does nothing: the data set is split by its folders",
                     "-d DIR/train splits that part at random");
  const bool tested = validation == DatasetPart::test;
  fmt::print("split by the folders of the data set: {} pictures to train on, {} {}\n",
             count_part(all, DatasetPart::train), count_part(all, validation),
             tested ? "of test to validate on" : "to validate on");
  const auto left = tested ? 0 : count_part(all, DatasetPart::test);
  if (left == 0) return all;
  fmt::print("{} pictures of test are left for evaluate_mask_detector\n", left);
  return without_part(all, DatasetPart::test);
}

Split split(const Options& o, const Dataset& dataset) {
  if (validation_part(dataset) == DatasetPart::none)
    return split_dataset(dataset, o.validation, o.seed, o.allow_leakage);
  FolderSplit by_folders = split_by_folders(dataset, o.allow_leakage);
  if (by_folders.copies > 0)
    fmt::print("{} pictures are not trained on: validation holds a copy of them\n",
               by_folders.copies);
  return std::move(by_folders.split);
}

LoadedDataset load(const Options& o, const Dataset& dataset, int size,
                   kernels::Communicator& communicator) {
  for (const SkippedFile& file : dataset.skipped)
    fmt::print("skipped {}: {}\n", one_line(file.path), file.reason);
  // Of several ranks this is the share of one; the others are about as far.
  const std::int64_t ranks = communicator.ranks();
  ProgressBar bar(std::ssize(dataset.images));
  LoadOptions options;
  options.communicator = &communicator;
  options.progress = [&](std::int64_t done, std::int64_t) { bar.update(done * ranks); };
  LoadedDataset data = load_images(dataset, size, options);
  bar.finish();
  for (const SkippedFile& file : data.broken) fmt::print("skipped {}\n", one_line(file.reason));
  const std::size_t skipped = dataset.skipped.size() + data.broken.size();
  const std::vector<std::int64_t> counts = class_counts(data.dataset);
  fmt::print("{} pictures of {} classes", data.dataset.images.size(), data.dataset.classes.size());
  for (std::size_t i = 0; i < counts.size(); ++i)
    fmt::print("{}{} {}", i ? ", " : ": ", one_line(data.dataset.classes[i]), counts[i]);
  if (skipped > 0) fmt::print("; {} files skipped", skipped);
  if (const auto copies = count_copies(data.dataset))
    fmt::print("; {} exact copies{}", copies, o.allow_leakage ? "" : ", kept on one side");
  fmt::print("\n");
  for (const auto& group : data.dataset.conflicts)
    fmt::print("warning: the same picture stands in more than one class: {}\n",
               one_line(data.dataset.images[static_cast<std::size_t>(group.front())].name));
  return data;
}

std::optional<FaceCrops> find_faces(const Options& o, const LoadedDataset& data,
                                    kernels::Communicator& communicator) {
  if (o.face.empty() || o.face == "none") return std::nullopt;
  ProgressBar bar(static_cast<std::int64_t>(data.dataset.images.size()));
  FaceCrops crops =
      find_face_crops(data, o.face, communicator, [&](std::int64_t done) { bar.update(done); });
  bar.finish();
  fmt::print("found a face in {} of {} pictures\n", crops.count(), data.dataset.images.size());
  return crops;
}

struct Run {
  const Options& options;
  nn::Classifier& model;
  Trainer& trainer;
  CheckpointFile& file;
  bool writes;  // of several ranks one does
  std::string recipe;
  History history;
};

void restore(Run& run) {
  const std::string& path = run.file.path();
  if (!run.options.resume) return;
  try {
    const std::optional<Checkpoint> checkpoint = run.file.load(run.recipe);
    if (!checkpoint) {
      fmt::print("no checkpoint {}: starting with the first epoch\n", path);
      return;
    }
    run.model.load_state_dict(checkpoint->model);
    run.trainer.restore(checkpoint->optimizer, checkpoint->steps_taken);
    run.history = parse_history(checkpoint->history, path);
  } catch (const std::invalid_argument& fault) {
    throw UsageError(path + ": " + fault.what(), kStartAgain);
  } catch (const std::runtime_error& fault) {
    throw UsageError(fault.what(), kStartAgain);
  }
  fmt::print("going on after epoch {} of {}\n", run.history.size(), run.options.epochs);
}

void train_epoch(Run& run, int epoch) {
  const auto start = std::chrono::steady_clock::now();
  const double rate = run.trainer.learning_rate();
  std::unique_ptr<ProgressBar> bar;
  const EpochResult result =
      run.trainer.run_epoch(epoch, [&](int batch, int batches, double loss, double accuracy) {
        if (!bar) bar = std::make_unique<ProgressBar>(batches);
        bar->update(batch, {{"loss", loss}, {"accuracy", accuracy}});
      });
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  run.history.push_back({epoch + 1, result.loss, result.accuracy, result.validation_loss,
                         result.validation_accuracy, rate, seconds});
  const double left = seconds * (run.options.epochs - epoch - 1);
  bar->finish();
  fmt::print(
      "Epoch {}/{}  loss {:.4f}  accuracy {:.4f}  val_loss {:.4f}  val_accuracy {:.4f}  {:.1f} s, "
      "{} left\n",
      epoch + 1, run.options.epochs, result.loss, result.accuracy, result.validation_loss,
      result.validation_accuracy, seconds, format_duration(left));
  run.file.save({run.recipe, run.trainer.steps_taken(), 0, history_text(run.history),
                 run.model.state_dict(), run.trainer.optimizer_state()});
}

// Of the model that was written.
void write_in_int8(const Options& o, const LoadedDataset& data, const Split& split,
                   const FaceCrops* faces, const Evaluation& in_float) {
  std::unique_ptr<ProgressBar> bar;
  write_quantized(o.model, o.quantized, data, split.train, faces,
                  [&](std::int64_t done, std::int64_t count) {
                    if (!bar) bar = std::make_unique<ProgressBar>(count);
                    bar->update(done);
                  });
  if (bar) bar->finish();
  const Evaluation in_int8 = evaluate_file(o.quantized, data, split.validation);
  std::size_t same = 0;
  for (std::size_t i = 0; i < in_int8.predictions.size(); ++i)
    same += in_int8.predictions[i] == in_float.predictions[i];
  fmt::print(
      "in int8: validation accuracy {:.4f}, loss {:.4f}; the same class in {} of {} pictures\n"
      "wrote {}\n",
      in_int8.accuracy(), in_int8.loss, same, in_int8.predictions.size(), o.quantized);
}

void write_results(Run& run, const LoadedDataset& data, const Split& split,
                   const FaceCrops* faces) {
  const Evaluation evaluation = run.trainer.evaluate();
  if (!run.writes) return;
  const auto& classes = data.dataset.classes;
  const ConfusionMatrix confusion =
      confusion_matrix(classes, evaluation.labels, evaluation.predictions);
  fmt::print("\n{}\n{}\n", classification_report(confusion), confusion_table(confusion));
  Json history = history_json(run.history);
  history["recipe"] = run.recipe;
  history["report"] = report_json(confusion);
  history["validation_files"] = Json::list();
  for (const int index : split.validation)
    history["validation_files"].push_back(
        data.dataset.images[static_cast<std::size_t>(index)].name);
  const Options& o = run.options;
  try {
    nn::save_classifier(o.model, run.model,
                        {{"seed", std::to_string(o.seed)}, {"recipe", run.recipe}},
                        o.precision == "f16" ? nn::Precision::f16 : nn::Precision::f32);
  } catch (const std::invalid_argument& fault) {  // values that half precision cannot hold
    throw std::domain_error(fault.what() + std::string(" (go on with --resume --precision f32)"));
  }
  write_file_atomically(o.history, history.dump(2) + "\n");
  vision::save_image(o.plot, draw_history(run.history));
  run.file.remove();
  fmt::print(
      "validation accuracy {:.4f}, loss {:.4f}\nwrote {}, {} and {} (peak memory of tensors {} "
      "MiB)\n",
      evaluation.accuracy(), evaluation.loss, o.model, o.history, o.plot,
      nn::memory_use().peak >> 20);
  if (!o.quantized.empty()) write_in_int8(o, data, split, faces, evaluation);
}

TrainingOptions training_options(const Options& o, const Split& parts, const FaceCrops* faces) {
  const std::int64_t steps = (std::ssize(parts.train) + o.batch_size - 1) / o.batch_size * o.epochs;
  TrainingOptions training;
  training.epochs = o.epochs;
  training.batch_size = o.batch_size;
  training.seed = o.seed;
  training.schedule = schedule(o, steps);
  training.augment = augmentation(o.augment);
  training.augmented = o.augment != "none";
  training.light = o.augment == "light";
  training.faces = faces;
  training.label_smoothing = o.label_smoothing;
  training.first_trained_stage = first_trained_stage(o);
  training.keep_statistics = !o.scratch;
  training.memory_budget = o.memory_budget << 20;
  training.shards = o.shards;
  return training;
}

int train(int argc, char** argv, kernels::Communicator& communicator) {
  Options o;
  OptionParser parser("train_mask_detector",
                      "Trains a face-mask detector on a folder of labelled pictures.");
  define_options(parser, o);
  parser.parse(argc, argv);
  check_options(parser, o);
  check_shards(o.shards, o.batch_size, communicator);
  const int first_trained = first_trained_stage(o);
  set_threads(threads_of_rank(o.threads, communicator));
  kernels::Device& device = chosen_device(o.device, communicator.local_rank());
  CheckpointFile file(o.model, o.resume, o.overwrite, communicator);

  const Dataset dataset = scan(parser, o);
  const std::vector<std::string> meanings = words_of_classes(o, dataset);
  if (has_parts(dataset) && validation_part(dataset) != DatasetPart::none)
    split_by_folders(dataset, o.allow_leakage);  // before the work: each class can be trained
  require_apart(outputs_of(o), paths_of(dataset));
  const auto model = make_model(o, parser.given("--size"), dataset.classes, meanings);
  const auto teacher = make_teacher(o, *model);
  const LoadedDataset data = load(o, dataset, model->options().backbone.input_size, communicator);
  const std::optional<FaceCrops> faces = find_faces(o, data, communicator);
  const Split parts = split(o, data.dataset);
  fmt::print("training on {}, validating on {}; backbone {}\n", parts.train.size(),
             parts.validation.size(),
             first_trained == 0                      ? "trained"
             : first_trained == MobileNetV2::kStages ? "frozen"
                                                     : "trained in part");
  std::string made_from = recipe(o, data, *model);
  for (const std::string& rule : o.classes) made_from += ", classes " + rule;
  if (teacher)
    made_from += fmt::format(", teacher {:016x} {}", fingerprint(*teacher), o.teacher_share);
  made_from += recipe_of_shards(o.shards) + recipe_of_device(device);
  check_same_recipe(made_from, communicator);

  TrainingOptions training = training_options(o, parts, faces ? &*faces : nullptr);
  training.device = &device;
  training.teacher = teacher.get();
  training.teacher_share = o.teacher_share;
  Trainer trainer(*model, data, parts, training, communicator);
  if (o.memory_budget > 0)
    fmt::print("{} of {} stages are computed twice to save memory\n",
               model->backbone().recomputed_stages(), MobileNetV2::kStages);
  tell_of_ranks(o.shards, trainer.bytes_sent(), communicator);
  Run run{o, *model, trainer, file, communicator.rank() == 0, made_from, {}};
  restore(run);
  for (int epoch = static_cast<int>(run.history.size()); epoch < o.epochs; ++epoch)
    train_epoch(run, epoch);
  write_results(run, data, parts, faces ? &*faces : nullptr);
  return 0;
}

}  // namespace
}  // namespace maskwatch::apps

int main(int argc, char** argv) {
  maskwatch::apps::print_lines_at_once();
  return maskwatch::apps::run_program_on_ranks(argc, argv, maskwatch::apps::train);
}
