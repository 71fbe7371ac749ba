// train_face_detector: from pictures with boxes around their faces to a model file that finds faces
// and says who wears a mask.
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <filesystem>
#include <optional>
#include <stdexcept>

#include "apps/common/device_option.h"
#include "apps/common/files.h"
#include "apps/common/options.h"
#include "apps/common/program.h"
#include "apps/common/progress.h"
#include "apps/common/ranks.h"
#include "apps/common/rounded_weights.h"
#include "apps/training/box_messages.h"
#include "apps/training/boxes.h"
#include "apps/training/checkpoint.h"
#include "apps/training/curves.h"
#include "apps/training/detection_crops.h"
#include "apps/training/detection_pictures.h"
#include "apps/training/detection_report.h"
#include "apps/training/detection_split.h"
#include "apps/training/detection_task.h"
#include "apps/training/shard_option.h"
#include "apps/training/step_trainer.h"
#include "apps/training/teacher.h"
#include "base/file.h"
#include "base/parallel.h"
#include "nn/classifier.h"
#include "nn/memory.h"
#include "nn/ssd.h"

namespace maskwatch::apps {
namespace {

constexpr double kScratchRate = 2e-3, kFineTuneRate = 3e-4;
constexpr int kFrozenStages = 4;  // stem and blocks 0 to 2: ImageNet's edges and colours
constexpr int kBackboneStages = 18;
constexpr double kLastShare = 0.02;  // of the learning rate, at the end
constexpr double kThreshold = 0.5;   // of the figures and pictures at the end
constexpr const char* kStartAgain = "start again with --overwrite instead of --resume";

// Share of the old running statistics that a step keeps: a run has thousands of steps, where Keras
// counts on many times more.
constexpr double kStatisticsMomentum = 0.99;

struct Options {
  std::vector<std::string> datasets, classes, negatives, leave_out, without_boxes;
  std::string device;
  std::string teacher;
  double teacher_score = TeacherOptions().sure;
  std::string model = "face_detector.safetensors";
  std::string history = "face_detector.json";
  std::string plot, precision_plot, misses, false_alarms, preview;
  std::string weights, fine_tune;
  bool scratch = false;
  double width = 0.35;
  int size = 256;
  std::int64_t steps = 0, epochs = 0, stretch = 500, warm_up = -1;
  int batch_size = 16;
  double rate = 0, weight_decay = 0.02, clip = 5, average = 0.997, mosaic = 0.5;
  int freeze = -1;
  int longest_side = 640;
  double validation = 0.15;
  std::uint64_t seed = 42;
  int threads = 0;
  bool resume = false;
  bool overwrite = false;
  int shards = 1;
  std::string precision = "f32";
};

void define_data_options(OptionParser& parser, Options& o) {
  add_box_options(parser, o.datasets, o.classes);
  parser.add("--negatives", &o.negatives, "Folders of pictures without any face");
  parser
      .add("--validation", &o.validation,
           "Share of the photographs kept for validation; what looks alike stays together")
      .range(0.01, 0.9)
      .show_default();
  auto& teacher = parser.add(
      "--teacher", &o.teacher,
      "Face detector (ours, ssd or a file) that finds faces which nobody has boxed: what it "
      "is sure of beside the boxes of a picture is neither trained as a face nor as background");
  parser
      .add("--teacher-score", &o.teacher_score, "Least score of a face that the teacher is sure of")
      .range(kFaintestTaught, 1.0)
      .show_default()
      .needs(teacher);
  parser
      .add("--without-boxes", &o.without_boxes,
           "Folders of pictures for training alone, whose faces the teacher finds; in folders "
           "called as a class (with_mask, without_mask, ...) pictures of one face, of that class")
      .needs(teacher);
  parser.add("--leave-out", &o.leave_out,
             "Validate on all pictures of the sources whose name holds this instead");
  parser
      .add("--longest-side", &o.longest_side,
           "Pictures are kept in memory with their longest side at most this, in pixels")
      .range(64, 4096)
      .show_default();
}

void define_network_options(OptionParser& parser, Options& o) {
  parser.add("--weights", &o.weights,
             "Pretrained backbone (safetensors; see data/README.md); its width is taken over");
  parser.add("--fine-tune", &o.fine_tune, "Go on from this face detector");
  parser.add("--scratch", &o.scratch, "Begin with random weights");
  parser.add("--width", &o.width, "With --scratch: width multiplier")
      .range(0.05, 4.0)
      .show_default();
  parser
      .add("--freeze", &o.freeze,
           "Stages of the backbone that are not trained, of 18 (default 4; 0 with --scratch)")
      .range(0, kBackboneStages);
}

void define_training_options(OptionParser& parser, Options& o) {
  auto& steps = parser.add("--steps", &o.steps, "Steps of training (default 3000)");
  steps.range(1, 100000000);
  parser.add("--epochs", &o.epochs, "Or: as many crops as pictures, this many times")
      .range(1, 1000000)
      .excludes(steps);
  parser.add("--batch-size", &o.batch_size, "Crops a step").range(1, 1024).show_default();
  parser.add("--size", &o.size, "Side of a crop in pixels").range(64, 1024).show_default();
  parser.add("--mosaic", &o.mosaic, "Share of crops made of four pictures")
      .range(0.0, 1.0)
      .show_default();
  parser.add("--lr", &o.rate, "Learning rate (default 2e-3; 3e-4 with --fine-tune)")
      .range(1e-9, 10.0);
  parser
      .add("--warm-up", &o.warm_up,
           "Steps until the full learning rate, which then falls as a cosine (default 150, "
           "at most a tenth)")
      .range(0, 100000000);
  parser.add("--weight-decay", &o.weight_decay, "Of weights alone (AdamW)")
      .range(0.0, 10.0)
      .show_default();
  parser.add("--clip", &o.clip, "Largest norm of the gradient; 0: any")
      .range(0.0, 1e6)
      .show_default();
  parser
      .add("--average", &o.average,
           "Decay of the moving average of the weights that is validated and written")
      .range(0.0, 0.999999)
      .show_default();
  parser.add("--stretch", &o.stretch, "Steps between validations and checkpoints")
      .range(1, 10000000)
      .show_default();
  parser.add("--seed", &o.seed, "Seed of everything random").show_default();
  parser
      .add("--threads", &o.threads,
           "Threads (default: all cores); the model is the same for any number")
      .range(0, 1024);
  add_device_option(parser, o.device);
  add_shard_option(parser, o.shards);
  add_checkpoint_options(parser, o.resume, o.overwrite);
}

void define_output_options(OptionParser& parser, Options& o) {
  parser.add("-m,--model", &o.model, "Model file to write").show_default();
  parser.add("--precision", &o.precision, "Numbers of the model file: f32 or f16 (half the size)")
      .choices({"f32", "f16"})
      .show_default();
  parser.add("--history", &o.history, "Figures of the run to write (JSON)").show_default();
  parser.add("-p,--plot", &o.plot, "Picture of the curves of the run to write");
  parser.add("--precision-plot", &o.precision_plot,
             "Picture of precision over recall on the validation part to write");
  parser.add("--misses", &o.misses, "Picture of the largest faces not found to write");
  parser.add("--false-alarms", &o.false_alarms, "Picture of the surest false faces to write");
  parser.add("--preview", &o.preview,
             "Write a picture of training crops with their boxes, and do not train");
}

std::vector<NamedFile> pictures_of(const Options& o) {
  return {{"--plot", o.plot},
          {"--precision-plot", o.precision_plot},
          {"--misses", o.misses},
          {"--false-alarms", o.false_alarms},
          {"--preview", o.preview}};
}

std::vector<NamedFile> outputs_of(const Options& o) {
  std::vector<NamedFile> outputs = pictures_of(o);
  outputs.push_back({"--model", o.model});
  outputs.push_back({"--history", o.history});
  outputs.push_back({"the checkpoint", checkpoint_path(o.model)});
  return outputs;
}

void check_options(const OptionParser& parser, const Options& o) {
  const int starts =
      (o.scratch ? 1 : 0) + (o.weights.empty() ? 0 : 1) + (o.fine_tune.empty() ? 0 : 1);
  if (starts > 1) throw UsageError("--weights, --fine-tune and --scratch exclude each other");
  if (starts == 0 && o.preview.empty())
    throw UsageError("nothing to begin with",
                     "name a pretrained backbone with --weights or a face detector with "
                     "--fine-tune, or use --scratch");
  if (o.teacher == "haar" || o.teacher == "none" || o.teacher.ends_with(".xml"))
    throw UsageError("--teacher " + o.teacher +
                     ": it gives no probabilities, which tell sure faces from faint ones");
  if (!o.scratch && parser.given("--width"))
    throw UsageError("--width needs --scratch", "pretrained weights have their own width");
  check_outputs(outputs_of(o),
                {{"--weights", o.weights}, {"--fine-tune", o.fine_tune}, {"--teacher", o.teacher}});
  for (const auto& [option, path] : pictures_of(o)) require_picture(option, path);
}

DetectionPictures load(const Options& o, kernels::Communicator& communicator) {
  const BoxDataset data =
      read_boxes(o.datasets, {ClassMap(o.classes), o.negatives, o.without_boxes});
  require_apart(outputs_of(o), files_of(data));
  tell_of_boxes(data);
  // Of several ranks this is the share of one; the others are about as far.
  const std::int64_t ranks = communicator.ranks();
  ProgressBar bar(std::ssize(data.pictures));
  DetectionPicturesOptions options;
  options.communicator = &communicator;
  options.longest_side = o.longest_side;
  options.progress = [&](std::int64_t done) { bar.update(done * ranks); };
  DetectionPictures pictures = load_detection_pictures(data, options);
  bar.finish();
  for (const SkippedFile& file : pictures.broken) fmt::print("skipped {}\n", one_line(file.reason));
  fmt::print("{}\n", summary_of(pictures.data));
  return pictures;
}

std::unique_ptr<vision::FaceDetector> make_teacher(const Options& o) {
  return vision::make_face_detector(o.teacher, static_cast<float>(kFaintestTaught));
}

// Adds what the teacher sees in the training pictures.
void ask_teacher(const Options& o, DetectionPictures& pictures, std::vector<int>& chosen,
                 kernels::Communicator& communicator) {
  ProgressBar bar(static_cast<std::int64_t>(chosen.size()));
  TeacherOptions options;
  options.make = [&] { return make_teacher(o); };
  options.sure = o.teacher_score;
  options.communicator = &communicator;
  options.progress = [&](std::int64_t done) { bar.update(done); };
  const TaughtFaces taught = teach(pictures, chosen, options);
  bar.finish();
  fmt::print("the teacher added {} faces and {} that are ignored", taught.faces, taught.ignored);
  if (!o.without_boxes.empty())
    fmt::print(
        "; {} pictures without boxes are not used: it is sure of no face there, or of "
        "several where the folder says one class",
        taught.left_out);
  fmt::print("\n");
}

void write_preview(const Options& o, const DetectionPictures& pictures,
                   const DetectionSplit& split) {
  std::vector<DetectionCrop> crops;
  for (std::uint64_t i = 0; i < 24; ++i)
    crops.push_back(make_crop(pictures, split.train, {o.size, o.mosaic, o.seed}, 0, i));
  vision::save_image(o.preview, crop_sheet(crops, 6));
  fmt::print(
      "wrote {}: green wears a mask, red none, orange wrongly, blue unknown, grey is "
      "ignored\n",
      o.preview);
}

std::unique_ptr<nn::SsdNetwork> make_network(const Options& o) {
  nn::SsdNetworkOptions options;
  options.labels.assign(kFaceClasses.begin(), kFaceClasses.end());
  options.seed = o.seed;
  if (!o.fine_tune.empty()) {
    const nn::Safetensors contents = nn::load_safetensors(o.fine_tune);
    tell_if_rounded(contents, o.fine_tune, "training starts");
    auto network = nn::make_ssd(contents, o.fine_tune);
    if (network->options().labels != options.labels)
      throw UsageError(o.fine_tune +
                       ": its classes are not with_mask, without_mask and "
                       "mask_worn_wrongly");
    options = network->options();
    options.backbone.input_size = o.size;
    options.quantization.clear();
    auto started = std::make_unique<nn::SsdNetwork>(options);
    started->load_state_dict(network->state_dict());
    return started;
  }
  if (o.scratch) {
    options.backbone.width = o.width;
    options.backbone.input_size = o.size;
    options.backbone.batch_norm.momentum = kStatisticsMomentum;
    return std::make_unique<nn::SsdNetwork>(options);
  }
  const nn::Safetensors contents = nn::load_safetensors(o.weights);
  tell_if_rounded(contents, o.weights, "training starts");
  options.backbone = nn::classifier_options(contents, o.weights).backbone;
  options.backbone.input_size = o.size;
  options.backbone.batch_norm.momentum = kStatisticsMomentum;
  auto network = std::make_unique<nn::SsdNetwork>(options);
  try {
    network->backbone().load_state_dict(contents.tensors);
  } catch (const std::invalid_argument& fault) {
    throw UsageError(o.weights + ": " + fault.what());
  }
  return network;
}

std::int64_t steps_of(const Options& o, const DetectionSplit& split) {
  if (o.epochs == 0) return o.steps > 0 ? o.steps : 3000;
  return (o.epochs * static_cast<std::int64_t>(split.train.size()) + o.batch_size - 1) /
         o.batch_size;
}

nn::Schedule schedule_of(const Options& o, std::int64_t steps) {
  nn::Schedule schedule;
  schedule.kind = nn::Schedule::Kind::cosine;
  schedule.rate = o.rate > 0 ? o.rate : o.fine_tune.empty() ? kScratchRate : kFineTuneRate;
  schedule.steps = steps;
  schedule.warm_up = o.warm_up >= 0 ? o.warm_up : std::min<std::int64_t>(150, steps / 10);
  schedule.last_share = kLastShare;
  return schedule;
}

int frozen_stages(const Options& o) {
  return o.freeze >= 0 ? o.freeze : o.scratch ? 0 : kFrozenStages;
}

// Everything that the bytes of the model depend on.
std::string recipe_of(const Options& o, const DetectionPictures& pictures,
                      const nn::SsdNetwork& network, std::int64_t steps) {
  std::uint64_t weights = 0;
  for (const auto& [name, tensor] : network.state_dict())
    for (std::int64_t i = 0; i < tensor.count(); ++i)
      weights = weights * 0x100000001b3u + std::bit_cast<std::uint32_t>(tensor.data()[i]);
  std::string left_out;
  for (const std::string& source : o.leave_out) left_out += (left_out.empty() ? "" : ",") + source;
  const nn::Schedule schedule = schedule_of(o, steps);
  // The faces that a teacher added are part of the data.
  return fmt::format(
      "data {:016x}, start {:016x}, steps {}, batch {}, size {}, mosaic {}, lr {}, warm-up {}, "
      "decay {}, clip {}, average {}, freeze {}, stretch {}, validation {}, leave out '{}', seed "
      "{}{}",
      fingerprint(pictures), weights, steps, o.batch_size, o.size, o.mosaic, schedule.rate,
      schedule.warm_up, o.weight_decay, o.clip, o.average, frozen_stages(o), o.stretch,
      o.validation, left_out, o.seed, recipe_of_shards(o.shards));
}

struct Run {
  const Options& options;
  nn::SsdNetwork& network;
  StepTrainer& trainer;
  CheckpointFile& file;
  kernels::Communicator& communicator;
  kernels::Device& device;
  std::int64_t steps;
  std::string recipe;
  std::vector<StretchRecord> records;
};

void restore(Run& run) {
  if (!run.options.resume) return;
  const std::string& path = run.file.path();
  try {
    const std::optional<Checkpoint> checkpoint = run.file.load(run.recipe);
    if (!checkpoint) {
      fmt::print("no checkpoint {}: starting with the first step\n", path);
      return;
    }
    run.records = parse_stretches(checkpoint->history, path);
    run.trainer.restore(*checkpoint);
  } catch (const std::invalid_argument& fault) {
    throw UsageError(path + ": " + fault.what(), kStartAgain);
  } catch (const std::runtime_error& fault) {
    throw UsageError(fault.what(), kStartAgain);
  }
  fmt::print("going on after step {} of {}\n", run.trainer.steps_taken(), run.steps);
}

void train_stretch(Run& run) {
  const std::int64_t first = run.trainer.steps_taken();
  const std::int64_t count = std::min(run.options.stretch, run.steps - first);
  ProgressBar bar(count);
  run.records.push_back(run.trainer.run(
      count, [&](std::int64_t done, const Figures& figures) { bar.update(done, figures); }));
  bar.finish();
  const StretchRecord& record = run.records.back();
  const double left =
      record.seconds / static_cast<double>(count) * static_cast<double>(run.steps - record.step);
  fmt::print("Step {}/{}  {}  {}  {:.1f} s, {} left\n", record.step, run.steps,
             format_figures(record.training), format_figures(record.validation), record.seconds,
             format_duration(left));
  run.file.save(run.trainer.checkpoint(run.recipe, run.records));
}

vision::Image curves_of(const std::vector<StretchRecord>& records) {
  const auto gather = [&](const Figures StretchRecord::*part) {
    std::vector<Curve> curves;
    for (const StretchRecord& record : records)
      for (std::size_t i = 0; i < (record.*part).size(); ++i) {
        if (curves.size() <= i) curves.push_back({(record.*part)[i].first, {}});
        curves[i].points.emplace_back(static_cast<double>(record.step), (record.*part)[i].second);
      }
    return curves;
  };
  const std::vector<vision::Image> charts{
      draw_chart({"loss of the training crops", "steps"}, gather(&StretchRecord::training)),
      draw_chart({"validation", "steps"}, gather(&StretchRecord::validation))};
  return side_by_side(charts);
}

void write_results(Run& run, const DetectionPictures& pictures, const DetectionSplit& split) {
  const Options& o = run.options;
  run.trainer.swap_average();
  run.network.eval();
  const auto judged =
      judge_pictures(run.network, pictures, split.validation, run.communicator, run.device);
  if (run.communicator.rank() > 0) return;
  const DetectionFigures figures = detection_figures(judged, kThreshold);
  fmt::print("\n{}", detection_text(figures));
  Json history = stretches_json(run.records);
  history["recipe"] = run.recipe;
  history["validation"] = detection_json(figures);
  history["validation_files"] = Json::list();
  for (const int index : split.validation)
    history["validation_files"].push_back(
        pictures.data.pictures[static_cast<std::size_t>(index)].name);
  try {
    nn::save_ssd(o.model, run.network, {{"seed", std::to_string(o.seed)}, {"recipe", run.recipe}},
                 o.precision == "f16" ? nn::Precision::f16 : nn::Precision::f32);
  } catch (const std::invalid_argument& fault) {  // values that half precision cannot hold
    throw std::domain_error(fault.what() + std::string(" (go on with --resume --precision f32)"));
  }
  write_file_atomically(o.history, history.dump(2) + "\n");
  if (!o.plot.empty()) vision::save_image(o.plot, curves_of(run.records));
  if (!o.precision_plot.empty()) vision::save_image(o.precision_plot, plot_precision(judged));
  for (const auto& [file, kind] :
       {std::pair{o.misses, Mistake::miss}, std::pair{o.false_alarms, Mistake::false_alarm}})
    if (!file.empty())
      vision::save_image(file,
                         worst_mistakes(kind, pictures, split.validation, judged, kThreshold));
  run.file.remove();
  fmt::print("wrote {} and {} (peak memory of tensors {} MiB)\n", o.model, o.history,
             nn::memory_use().peak >> 20);
}

int train(int argc, char** argv, kernels::Communicator& communicator) {
  Options o;
  OptionParser parser("train_face_detector",
                      "Trains a face detector on pictures with boxes around their faces.");
  define_data_options(parser, o);
  define_network_options(parser, o);
  define_training_options(parser, o);
  define_output_options(parser, o);
  parser.parse(argc, argv);
  check_options(parser, o);
  check_shards(o.shards, o.batch_size, communicator);
  set_threads(threads_of_rank(o.threads, communicator));
  kernels::Device& device = chosen_device(o.device, communicator.local_rank());
  std::optional<CheckpointFile> file;
  if (o.preview.empty()) file.emplace(o.model, o.resume, o.overwrite, communicator);

  const auto network = o.preview.empty() ? make_network(o) : nullptr;
  if (!o.teacher.empty()) make_teacher(o);  // its faults are known before the pictures are read
  DetectionPictures pictures = load(o, communicator);
  DetectionSplit split = split_detection(pictures, {o.validation, o.seed, o.leave_out});
  fmt::print("training on {} pictures, validating on {}; {} look like another, kept on one side",
             split.train.size(), split.validation.size(), split.look_alikes);
  if (!split.unused.empty())
    fmt::print("; {} unused: they look like one for validation", split.unused.size());
  fmt::print("\n");
  if (!o.teacher.empty()) ask_teacher(o, pictures, split.train, communicator);
  if (!network) {
    if (communicator.rank() == 0) write_preview(o, pictures, split);
    return 0;
  }
  const std::int64_t steps = steps_of(o, split);
  const std::string recipe = recipe_of(o, pictures, *network, steps) + recipe_of_device(device);
  check_same_recipe(recipe, communicator);
  // A backbone that normalised by ImageNet's statistics while its weights move at this rate would
  // drift away from them; a detector's own statistics fit a person's few pictures better than
  // theirs.
  network->freeze_before(frozen_stages(o), /*keep_statistics=*/!o.fine_tune.empty());

  DetectionTaskOptions task_options;
  task_options.batches.crops = {o.size, o.mosaic, o.seed};
  task_options.batches.batch_size = o.batch_size;
  task_options.batches.shards = ShardRange::of(o.shards, communicator);
  task_options.batches.preprocessing = network->options().backbone.preprocessing;
  // Few faces of the third class are known, and it is the hardest.
  task_options.loss.weight_of_class = {1, 1, 1.5};
  task_options.device = &device;
  task_options.batches.device = &device;
  DetectionTask task(*network, pictures, split, task_options, communicator);
  StepTrainer trainer(task, {schedule_of(o, steps), o.weight_decay, o.clip, o.average, o.shards},
                      communicator);
  tell_of_ranks(o.shards, trainer.bytes_sent(), communicator);
  Run run{o, *network, trainer, *file, communicator, device, steps, recipe, {}};
  restore(run);
  while (trainer.steps_taken() < steps) train_stretch(run);
  write_results(run, pictures, split);
  return 0;
}

}  // namespace
}  // namespace maskwatch::apps

int main(int argc, char** argv) {
  maskwatch::apps::print_lines_at_once();
  return maskwatch::apps::run_program_on_ranks(argc, argv, maskwatch::apps::train);
}
