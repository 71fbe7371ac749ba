// evaluate_mask_detector: how well a model tells the classes of labelled folders of pictures apart.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <optional>
#include <set>

#include "apps/common/class_rules.h"
#include "apps/common/dataset.h"
#include "apps/common/face_options.h"
#include "apps/common/files.h"
#include "apps/common/options.h"
#include "apps/common/program.h"
#include "apps/common/progress.h"
#include "apps/common/ranks.h"
#include "apps/common/share.h"
#include "apps/training/judged_classes.h"
#include "apps/training/light.h"
#include "apps/training/picture_lists.h"
#include "apps/training/report.h"
#include "base/file.h"
#include "base/json.h"
#include "base/parallel.h"
#include "vision/masks/mask_detector.h"

namespace maskwatch::apps {
namespace {

constexpr std::size_t kBatch = 32;

struct Options {
  std::vector<std::string> datasets;
  FaceOptions faces;
  std::string history;
  std::string only;
  std::string scores;
  std::string light = "none";
  bool json = false;
  int threads = 0;
};

// What became of each picture, in the order of the data set.
struct Findings {
  std::vector<int> labels;         // of the pictures with a face; indices into the judged classes
  std::vector<int> predictions;    // of the model's labels; then of the judged classes too
  std::vector<std::string> names;  // and what they are called
  std::vector<std::vector<float>> probabilities;
  std::vector<std::string> broken;  // why a picture could not be read; the file is named
  double seconds = 0;
};

void define_options(OptionParser& parser, Options& o) {
  parser
      .add("-d,--dataset", &o.datasets,
           "Folder with one folder of pictures for each class; several are merged")
      .required();
  add_face_options(parser, o.faces, "none");
  const OptionParser::Option& history = parser.add(
      "--history", &o.history,
      "history.json of a training run: evaluate only the pictures that it was validated on");
  parser
      .add("--only", &o.only,
           "Text file with the names of the pictures to evaluate, below the data set, one a "
           "line")
      .excludes(history);
  parser.add("--scores", &o.scores,
             "File to write with a line of JSON for each picture with a face: name, label and "
             "the probabilities of all classes");
  parser
      .add("--light", &o.light,
           "Judge the pictures as they would be in another light: dark (x 0.35), bright (x 1.7), "
           "blue or orange lamps, grey")
      .choices({kNamedLights.begin(), kNamedLights.end()})
      .show_default();
  parser.add("--json", &o.json, "Print the figures as JSON");
  parser.add("--threads", &o.threads, "Threads (default: all cores)").range(0, 1024);
}

// Of a data set that is split by its folders, the part that was neither trained nor validated on;
// that which was validated on where there is none.
Dataset untrained_part(const Dataset& all) {
  if (!has_parts(all)) return all;
  for (const auto& [part, name] :
       {std::pair{DatasetPart::test, "test"}, {DatasetPart::validation, "validation"}}) {
    if (count_part(all, part) == 0) continue;
    std::vector<bool> keep;
    for (const DatasetImage& image : all.images) keep.push_back(image.part == part);
    tell(
        fmt::format("the data set is split by its folders: only its {} pictures of {} are judged "
                    "(for another part name its folder: -d DIR/train)",
                    count_part(all, part), name));
    return filter_dataset(all, keep);
  }
  return all;
}

// The pictures that are to be evaluated. Throws if a list names others.
Dataset chosen(const Options& o) {
  const Dataset all = scan_dataset(o.datasets, 1);
  if (o.history.empty() && o.only.empty()) return untrained_part(all);
  const std::string& file = o.history.empty() ? o.only : o.history;
  const std::set<std::string> names =
      o.history.empty() ? names_in_list(file) : names_in_history(file, "train_mask_detector");
  return filter_dataset(all, in_list(all.images, names, file));
}

// What the option and the names say of the classes of the data set.
std::vector<LabelMeaning> meanings_of_folders(const Dataset& dataset, const ClassMeanings& stated) {
  std::vector<LabelMeaning> meanings = vision::meanings_of(dataset.classes);
  for (std::size_t i = 0; i < meanings.size(); ++i)
    if (const auto found = stated.find(dataset.classes[i]); found != stated.end())
      meanings[i] = found->second;
  return meanings;
}

// The findings by those classes.
void judge_by(const JudgedClasses& judged, Findings& findings) {
  if (judged.classes.names.size() == judged.of_label.size()) return;
  for (std::size_t i = 0; i < findings.labels.size(); ++i) {
    std::vector<float>& probabilities = findings.probabilities[i];
    probabilities = judged.sums(probabilities);
    findings.predictions[i] = static_cast<int>(
        std::max_element(probabilities.begin(), probabilities.end()) - probabilities.begin());
  }
}

// The largest of the faces of a picture; nothing where there is none.
Face* largest(std::vector<Face>& faces) {
  const auto found = std::max_element(faces.begin(), faces.end(), [](const Face& a, const Face& b) {
    return area(a.box) < area(b.box);
  });
  return found == faces.end() ? nullptr : &*found;
}

// Pictures [begin, end) of the data set in that light; empty where one cannot be read, which
// `broken` then tells.
std::vector<vision::Image> load_pictures(const Dataset& dataset, std::size_t begin, std::size_t end,
                                         const Light& light, std::vector<std::string>& broken) {
  std::vector<vision::Image> pictures(end - begin);
  std::vector<std::string> faults(end - begin);
  parallel_for(static_cast<std::int64_t>(end - begin), [&](std::int64_t task) {
    const auto i = static_cast<std::size_t>(task);
    try {
      pictures[i] = vision::load_image(dataset.images[begin + i].path);
      apply_light(pictures[i], light);
    } catch (const std::exception& fault) {
      faults[i] = fault.what();
    }
  });
  for (const std::string& fault : faults)
    if (!fault.empty()) broken.push_back(fault);
  return pictures;
}

// What there is to say of pictures [begin, end) of the data set, as read_batch() reads it.
std::string look_at_batch(const Dataset& dataset, std::size_t begin, std::size_t end,
                          const Light& light, MaskDetector& detector) {
  std::vector<std::string> broken;
  const auto pictures = load_pictures(dataset, begin, end, light, broken);
  std::vector<LocatedFaces> found(pictures.size());
  for (std::size_t i = 0; i < pictures.size(); ++i)
    if (!pictures[i].empty()) found[i] = detector.find_faces(pictures[i]);
  auto results = detector.classify_all(vision::views_of(pictures), found);
  MessageWriter message;
  message.put(broken.size());
  for (const std::string& fault : broken) message.put_text(fault);
  for (std::size_t i = 0; i < results.size(); ++i) {
    const Face* face = largest(results[i]);
    if (face == nullptr) continue;
    message.put(begin + i);
    message.put(face->label_index);
    message.put(face->probabilities.size());
    for (const float probability : face->probabilities) message.put(probability);
  }
  return message.bytes();
}

void read_batch(const std::string& message, const Dataset& dataset,
                const std::vector<int>& class_of_folder, Findings& findings) {
  MessageReader reader(message);
  for (auto left = reader.get<std::size_t>(); left > 0; --left)
    findings.broken.push_back(reader.get_text());
  while (!reader.at_end()) {
    const DatasetImage& image = dataset.images[reader.get<std::size_t>()];
    findings.labels.push_back(class_of_folder[static_cast<std::size_t>(image.label)]);
    findings.names.push_back(image.name);
    findings.predictions.push_back(reader.get<int>());
    std::vector<float>& probabilities = findings.probabilities.emplace_back();
    for (auto left = reader.get<std::size_t>(); left > 0; --left)
      probabilities.push_back(reader.get<float>());
  }
}

// Batches are shared out among the ranks; every rank gets all findings.
Findings evaluate(const Dataset& dataset, const std::vector<int>& class_of_folder,
                  const Light& light, MaskDetector& detector, kernels::Communicator& communicator) {
  Findings findings;
  const std::size_t count = dataset.images.size();
  ProgressBar bar(static_cast<std::int64_t>(count));
  const auto start = std::chrono::steady_clock::now();
  const std::vector<std::string> batches = share_out(
      communicator, (count + kBatch - 1) / kBatch,
      [&](std::size_t i) {
        return look_at_batch(dataset, i * kBatch, std::min((i + 1) * kBatch, count), light,
                             detector);
      },
      [&](std::size_t done) {
        bar.update(static_cast<std::int64_t>(std::min(done * kBatch, count)));
      });
  for (const std::string& batch : batches) read_batch(batch, dataset, class_of_folder, findings);
  findings.seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  bar.finish();
  return findings;
}

struct Summary {
  std::int64_t pictures = 0;  // that could be read
  double faces_found = 0;     // share of them
  double pictures_per_second = 0;
  std::vector<std::string> broken;
  ConfusionMatrix confusion;
  std::optional<Roc> masks;  // by the probability of a mask; where there are pictures of both sides
};

// Of the classes that mean a mask, against all others.
std::optional<Roc> roc_of_masks(const Findings& findings,
                                const std::vector<LabelMeaning>& meanings) {
  if (!vision::knows(meanings, LabelMeaning::mask)) return std::nullopt;
  std::vector<float> scores;
  std::vector<bool> positive;
  for (std::size_t i = 0; i < findings.labels.size(); ++i) {
    float score = 0;
    for (std::size_t c = 0; c < meanings.size(); ++c)
      if (meanings[c] == LabelMeaning::mask) score += findings.probabilities[i][c];
    scores.push_back(score);
    const auto label = static_cast<std::size_t>(findings.labels[i]);
    positive.push_back(meanings[label] == LabelMeaning::mask);
  }
  const auto positives = std::count(positive.begin(), positive.end(), true);
  if (positives == 0 || positives == static_cast<std::ptrdiff_t>(positive.size()))
    return std::nullopt;
  return roc_of(scores, positive);
}

void write_scores(const std::string& path, const Findings& findings,
                  const std::vector<std::string>& labels) {
  std::string lines;
  for (std::size_t i = 0; i < findings.names.size(); ++i) {
    Json probabilities = Json::object();
    for (std::size_t c = 0; c < labels.size(); ++c)
      probabilities[labels[c]] = findings.probabilities[i][c];
    const Json line = Json::object({{"image", findings.names[i]},
                                    {"label", labels[static_cast<std::size_t>(findings.labels[i])]},
                                    {"probabilities", probabilities}});
    lines += line.dump() + "\n";
  }
  write_file_atomically(path, lines);
}

Summary summarise(const Dataset& dataset, const Findings& findings, const JudgedClasses& judged) {
  Summary summary;
  summary.pictures = static_cast<std::int64_t>(dataset.images.size() - findings.broken.size());
  if (summary.pictures == 0) throw UsageError("no picture of the data set can be read");
  if (findings.labels.empty())
    throw UsageError(fmt::format("no face is found in any of the {} pictures", summary.pictures),
                     "--face none takes a whole picture as the face");
  const auto pictures = static_cast<double>(summary.pictures);
  summary.faces_found = static_cast<double>(findings.labels.size()) / pictures;
  summary.pictures_per_second = pictures / findings.seconds;
  summary.broken = findings.broken;
  summary.confusion = confusion_matrix(judged.classes.names, findings.labels, findings.predictions);
  summary.masks = roc_of_masks(findings, judged.classes.meanings);
  return summary;
}

void print_summary(const Summary& summary, const Options& o, const std::string& detector) {
  if (o.light != "none") fmt::print("light: {}\n", o.light);
  fmt::print("{}\n{}\n", classification_report(summary.confusion, 4),
             confusion_table(summary.confusion));
  fmt::print("balanced accuracy {:.4f}\n", figures_of(summary.confusion).balanced_accuracy);
  if (summary.masks) {
    fmt::print("masks: area under the ROC curve {:.4f}; found", summary.masks->area);
    // On small sets several of the limits allow no more than the one before.
    std::string before;
    for (const RocPoint& point : summary.masks->points) {
      const std::string text =
          fmt::format("{:.2f}% at {:.2f}%", 100 * point.recall, 100 * point.false_alarms);
      if (text != before) fmt::print("{} {}", before.empty() ? "" : ",", text);
      before = text;
    }
    fmt::print(" false alarms\n");
  }
  fmt::print("faces found in {:.2f}% of {} pictures with {}\n", 100 * summary.faces_found,
             summary.pictures, one_line(detector));
  if (!summary.broken.empty()) fmt::print("{} pictures skipped\n", summary.broken.size());
  fmt::print("{:.1f} pictures/s\n", summary.pictures_per_second);
}

Json to_json(const Summary& summary, const Options& o, const std::string& model) {
  Json all = report_json(summary.confusion);
  all["model"] = model;
  all["datasets"] = o.datasets;
  all["face"] = o.faces.face;
  all["light"] = o.light;
  all["pictures"] = summary.pictures;
  all["faces_found"] = summary.faces_found;
  all["pictures_per_second"] = summary.pictures_per_second;
  all["skipped"] = summary.broken;
  if (summary.masks) all["masks"] = roc_json(*summary.masks);
  return all;
}

int evaluate_model(int argc, char** argv, kernels::Communicator& communicator) {
  Options o;
  OptionParser parser(
      "evaluate_mask_detector",
      "Evaluates a face-mask model on labelled folders of pictures: report, confusion matrix and "
      "balanced accuracy.");
  define_options(parser, o);
  parser.parse(argc, argv);
  check_sureness(parser, "--confidence", "--face", o.faces.face);
  set_threads(threads_of_rank(o.threads, communicator));
  o.faces.local_rank = communicator.local_rank();
  const std::string model = model_file(o.faces);
  check_outputs({{"--scores", o.scores}}, {{"the model", model},
                                           {"the detector", o.faces.face},
                                           {"--history", o.history},
                                           {"--only", o.only}});
  MaskDetectorOptions options = detector_options(o.faces);
  options.capacity = static_cast<int>(kBatch);
  MaskDetector detector(options);
  check_detail(o.faces, detector.heeds_detail());
  const Dataset dataset = chosen(o);
  require_apart({{"--scores", o.scores}}, paths_of(dataset));
  const ClassMeanings stated = class_meanings(o.faces.classes);
  std::vector<std::string> names = detector.all_labels();
  names.insert(names.end(), dataset.classes.begin(), dataset.classes.end());
  check_class_names(stated, names, "the model and the data set");
  const JudgedClasses judged =
      judged_classes({dataset.classes, meanings_of_folders(dataset, stated)},
                     {detector.labels(), detector.meanings()}, model);
  warn_of_unknown_classes(detector.unknown_labels(),
                          "no ROC curve of masks counts them as what they are");
  Findings findings =
      evaluate(dataset, judged.of_folder, light_named(o.light), detector, communicator);
  if (communicator.rank() > 0) return 0;
  judge_by(judged, findings);
  for (const std::string& fault : findings.broken) tell_line("skipped " + fault);
  const Summary summary = summarise(dataset, findings, judged);
  if (!o.scores.empty()) write_scores(o.scores, findings, judged.classes.names);
  for (const std::string& note : judged.notes) tell(note);
  if (o.json)
    fmt::print("{}\n", to_json(summary, o, model).dump(2));
  else
    print_summary(summary, o, detector.face_detector_name());
  return 0;
}

}  // namespace
}  // namespace maskwatch::apps

int main(int argc, char** argv) {
  return maskwatch::apps::run_program_on_ranks(argc, argv, maskwatch::apps::evaluate_model);
}
