// evaluate_face_detector: how well a detector finds the faces of pictures with boxes, and how well
// it, or a classifier behind it, labels what it finds.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <map>
#include <memory>
#include <set>

#include "apps/common/device_option.h"
#include "apps/common/face_options.h"
#include "apps/common/files.h"
#include "apps/common/options.h"
#include "apps/common/program.h"
#include "apps/common/progress.h"
#include "apps/common/ranks.h"
#include "apps/common/share.h"
#include "apps/training/average_precision.h"
#include "apps/training/box_crops.h"
#include "apps/training/box_messages.h"
#include "apps/training/boxes.h"
#include "apps/training/boxes_format.h"
#include "apps/training/detection_report.h"
#include "apps/training/picture_lists.h"
#include "base/file.h"
#include "base/json.h"
#include "base/json_fields.h"
#include "base/parallel.h"
#include "vision/faces/face_detector.h"
#include "vision/masks/mask_detector.h"

namespace maskwatch::apps {
namespace {

struct Options {
  std::vector<std::string> datasets, classes, negatives;
  std::string device;
  std::string face = vision::kDefaultFaceDetector;
  std::string model;
  double least_score = 0.05, threshold = 0.5;
  std::string history, found, write_found, plot;
  bool json = false;
  int threads = 0;
};

void define_options(OptionParser& parser, Options& o) {
  add_box_options(parser, o.datasets, o.classes);
  parser.add("--negatives", &o.negatives, "Folders of pictures without any face");
  auto& face = parser.add("-f,--face", &o.face, "Face detector: ours, haar, ssd or a file");
  face.show_default();
  auto& model = parser.add(
      "-m,--model", &o.model,
      "Classifier that labels what the detector finds, and says what of it is no face if it knows "
      "background, together with the detector's own labels and scores, if it has any, as "
      "detect_mask_image does (default: these alone)");
  auto& least = parser.add("--least-score", &o.least_score,
                           "The detector's confidence: fainter faces are not looked at");
  least.range(0.0, 1.0).show_default();
  const auto& device = add_device_option(parser, o.device);
  parser
      .add("-c,--confidence", &o.threshold,
           "Least score of a face in the figures that are for one threshold")
      .range(0.0, 1.0)
      .show_default();
  parser.add("--history", &o.history,
             "JSON of a training run: only the pictures that it was validated on");
  parser
      .add("--found", &o.found,
           "JSON of faces found by another program, to judge instead of a detector: "
           "[{\"file\", \"found\": [{\"box\": [x, y, width, height], \"score\", \"label\"}]}]")
      .excludes(face)
      .excludes(model)
      .excludes(device)
      .excludes(least);
  parser.add("--write-found", &o.write_found, "Write what was found in the form of --found");
  parser.add("-p,--plot", &o.plot, "Picture of precision over recall to write (.png, .jpg)");
  parser.add("--json", &o.json, "Print the figures as JSON");
  parser.add("--threads", &o.threads, "Threads (default: all cores)").range(0, 1024);
}

// What came of the pictures, in the order of the data set.
struct Findings {
  std::vector<JudgedPicture> pictures;
  std::vector<std::string> names, broken;
  double seconds = 0;  // of the detector and the classifier
  std::string by;      // who found it
};

std::size_t surest(const std::vector<float>& probabilities) {
  return static_cast<std::size_t>(std::max_element(probabilities.begin(), probabilities.end()) -
                                  probabilities.begin());
}

// A detector that labels what it finds itself, if it knows classes, or with a classifier as the
// detecting programs have it.
class Finder {
 public:
  Finder(const Options& o, int local_rank) {
    const auto least_score = static_cast<float>(o.least_score);
    kernels::Device& device = chosen_device(o.device, local_rank);
    if (o.model.empty()) {
      detector_ = vision::make_face_detector(o.face, least_score, {}, device);
      name_ = detector_->name();
      return;
    }
    MaskDetectorOptions options;
    options.model = o.model;
    options.face_detector = o.face;
    options.confidence = least_score;
    options.device = &device;
    with_classifier_ = std::make_unique<MaskDetector>(options);
    name_ = with_classifier_->face_detector_name() + ", classified by " + o.model;
  }

  const std::string& name() const { return name_; }

  std::vector<FoundFace> find(const vision::Image& image) {
    std::vector<FoundFace> found;
    if (with_classifier_) {
      for (const Face& face : with_classifier_->detect(image))
        found.push_back({face.box, face.score, face_class(face.meaning)});
      return found;
    }
    const vision::LocatedFaces located = detector_->locate(image);
    const std::vector<vision::LabelMeaning> meanings = vision::meanings_of(located.labels);
    for (std::size_t i = 0; i < located.faces.size(); ++i)
      found.push_back({located.faces[i].box, located.faces[i].score,
                       meanings.empty() ? kUnlabelled
                                        : face_class(meanings[surest(located.probabilities[i])])});
    return found;
  }

 private:
  std::unique_ptr<vision::FaceDetector> detector_;  // one of these two
  std::unique_ptr<MaskDetector> with_classifier_;
  std::string name_;
};

// Why a picture cannot be read, or nothing; then seconds and faces.
std::string look_at(const BoxPicture& picture, Finder& finder) {
  MessageWriter message;
  try {
    const vision::Image image = vision::load_image(picture.path);
    const auto start = std::chrono::steady_clock::now();
    const std::vector<FoundFace> found = finder.find(image);
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
    message.put_text("");
    message.put(taken.count());
    for (const FoundFace& face : found) message.put(face);
  } catch (const std::runtime_error& fault) {
    message.put_text(fault.what());
  }
  return message.bytes();
}

// The pictures are shared out among the ranks; every rank gets all findings.
Findings detect_all(const Options& o, const BoxDataset& data, kernels::Communicator& communicator) {
  Finder finder(o, communicator.local_rank());
  Findings findings;
  findings.by = finder.name();
  ProgressBar bar(static_cast<std::int64_t>(data.pictures.size()));
  const std::vector<std::string> looks = share_out(
      communicator, data.pictures.size(),
      [&](std::size_t i) { return look_at(data.pictures[i], finder); },
      [&](std::size_t done) { bar.update(static_cast<std::int64_t>(done)); });
  bar.finish();
  for (std::size_t i = 0; i < looks.size(); ++i) {
    MessageReader reader(looks[i]);
    if (std::string fault = reader.get_text(); !fault.empty()) {
      findings.broken.push_back(std::move(fault));
      continue;
    }
    findings.seconds += reader.get<double>();
    JudgedPicture& picture = findings.pictures.emplace_back();
    picture.truth = data.pictures[i].faces;
    while (!reader.at_end()) picture.found.push_back(reader.get<FoundFace>());
    findings.names.push_back(data.pictures[i].name);
  }
  if (findings.names.empty())
    throw UsageError("no picture of the data set can be read: " + findings.broken.front());
  return findings;
}

FoundFace read_face(const JsonFields& face) {
  const std::vector<double> box = face["box"].numbers(4);
  if (box[2] < 0 || box[3] < 0) face["box"].fail("has a width or height below 0");
  if (const double score = face["score"].number(); score < 0 || score > 1)
    face["score"].fail("is not from 0 to 1");
  FoundFace found{{static_cast<float>(box[0]), static_cast<float>(box[1]),
                   static_cast<float>(box[2]), static_cast<float>(box[3])},
                  face["score"].number(),
                  kUnlabelled};
  const auto label = face.find("label");
  if (!label || label->is_null()) return found;
  const auto meaning = ClassMap().meaning(label->text());
  if (!meaning || meaning->kind != ClassMeaning::Kind::face)
    label->fail("is not with_mask, without_mask or mask_worn_wrongly");
  found.label = meaning->label;
  return found;
}

using FoundFaces = std::map<std::string, std::vector<FoundFace>>;  // by the picture's name

FoundFaces read_faces(const std::string& path) {
  FoundFaces found;
  const std::string text = read_file(path);
  try {
    for (const JsonFields& entry : JsonFields::parse(text, path).list()) {
      const auto [faces, first] = found.try_emplace(listed_name(entry["file"].text()));
      if (!first) entry["file"].fail("is named by an entry before it");
      for (const JsonFields& face : entry["found"].list()) faces->second.push_back(read_face(face));
    }
  } catch (const std::runtime_error& fault) {
    throw UsageError(fault.what());
  }
  std::vector<vision::Box> boxes;
  for (const auto& [name, faces] : found)
    for (const FoundFace& face : faces) boxes.push_back(face.box);
  if (look_like_shares(boxes))
    throw UsageError(one_line(path) + ": its boxes are shares of the pictures' sides, not pixels");
  return found;
}

// Files that were skipped are no fault of a program that looked at all pictures.
void require_known(const FoundFaces& found, const BoxDataset& data, const std::string& path) {
  const PictureNames known(data.pictures, path);
  std::set<std::string> names;
  for (const auto& entry : found) {
    const auto is_it = [&](const SkippedFile& file) {
      return file.path.ends_with("/" + entry.first);
    };
    if (std::none_of(data.skipped.begin(), data.skipped.end(), is_it)) names.insert(entry.first);
  }
  if (!names.empty()) known.require_all(names, path);
}

// What another program found. A picture that the file does not name has no face found in it.
Findings read_found(const FoundFaces& found, const std::string& path, const BoxDataset& data) {
  Findings findings;
  findings.by = path;
  for (const BoxPicture& picture : data.pictures) {
    const auto faces = found.find(listed_name(picture.name));
    findings.pictures.push_back(
        {picture.faces, faces == found.end() ? std::vector<FoundFace>() : faces->second});
    findings.names.push_back(picture.name);
  }
  return findings;
}

void write_found(const std::string& path, const Findings& findings) {
  Json list = Json::list();
  for (std::size_t i = 0; i < findings.names.size(); ++i) {
    Json faces = Json::list();
    for (const FoundFace& face : findings.pictures[i].found) {
      Json entry = Json::object(
          {{"box", Json::list({face.box.x, face.box.y, face.box.width, face.box.height})},
           {"score", face.score}});
      if (face.label != kUnlabelled)
        entry["label"] = kFaceClasses[static_cast<std::size_t>(face.label)];
      faces.push_back(std::move(entry));
    }
    list.push_back(Json::object({{"file", findings.names[i]}, {"found", std::move(faces)}}));
  }
  write_file_atomically(path, list.dump() + "\n");
}

void print_figures(const Options& o, const BoxDataset& data, const Findings& findings) {
  const DetectionFigures figures = detection_figures(findings.pictures, o.threshold);
  const double milliseconds =
      1e3 * findings.seconds / static_cast<double>(findings.pictures.size());
  if (o.json) {
    Json all = detection_json(figures);
    all["detector"] = findings.by;
    all["datasets"] = o.datasets;
    if (o.found.empty()) all["milliseconds_per_picture"] = milliseconds;
    all["skipped"] = data.skipped.size() + findings.broken.size();
    fmt::print("{}\n", all.dump(2));
    return;
  }
  fmt::print("{}\n{}: {} faces found\n{}", summary_of(data), one_line(findings.by), figures.found,
             detection_text(figures));
  if (o.found.empty()) fmt::print("{:.2f} ms a picture\n", milliseconds);
}

int evaluate(int argc, char** argv, kernels::Communicator& communicator) {
  Options o;
  OptionParser parser(
      "evaluate_face_detector",
      "Evaluates a face detector on pictures with boxes: COCO's average precision, recall at a "
      "rate of false faces, labels of the faces found.");
  define_options(parser, o);
  parser.parse(argc, argv);
  check_sureness(parser, "--least-score", "--face", o.face);
  if (o.found.empty() && o.threshold < o.least_score)
    throw UsageError(
        fmt::format("--confidence {} is below --least-score {}: fainter faces are not looked at",
                    o.threshold, o.least_score));
  set_threads(threads_of_rank(o.threads, communicator));
  const std::vector<NamedFile> outputs{{"--write-found", o.write_found}, {"--plot", o.plot}};
  check_outputs(outputs, {{"--found", o.found},
                          {"--history", o.history},
                          {"the model", o.model},
                          {"the detector", o.face}});
  require_picture("--plot", o.plot);
  BoxDataset data = read_boxes(o.datasets, {ClassMap(o.classes), o.negatives});
  if (!o.write_found.empty()) require_different_names(data.pictures, "--write-found");
  FoundFaces found;
  if (!o.found.empty()) {
    found = read_faces(o.found);
    require_known(found, data, o.found);
  }
  if (!o.history.empty())
    choose_pictures(data, names_in_history(o.history, "train_face_detector"), true, o.history);
  require_apart(outputs, files_of(data));
  if (!o.json) tell_of_boxes(data);
  const Findings findings =
      o.found.empty() ? detect_all(o, data, communicator) : read_found(found, o.found, data);
  if (communicator.rank() > 0) return 0;
  for (const std::string& fault : findings.broken) tell_line("skipped " + fault);
  // First, so that a picture which cannot be written loses no figures.
  print_figures(o, data, findings);
  if (!o.write_found.empty()) write_found(o.write_found, findings);
  if (!o.plot.empty()) vision::save_image(o.plot, plot_precision(findings.pictures));
  return 0;
}

}  // namespace
}  // namespace maskwatch::apps

int main(int argc, char** argv) {
  return maskwatch::apps::run_program_on_ranks(argc, argv, maskwatch::apps::evaluate);
}
