// detect_mask_image: finds the faces in pictures, says for each whether it wears a mask, and draws
// it into a copy of the picture.
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <map>
#include <memory>
#include <set>

#include "apps/common/class_rules.h"
#include "apps/common/face_options.h"
#include "apps/common/files.h"
#include "apps/common/options.h"
#include "apps/common/program.h"
#include "apps/common/ranks.h"
#include "apps/common/share.h"
#include "apps/common/stop_signals.h"
#include "base/file.h"
#include "base/json.h"
#include "base/parallel.h"
#include "base/unavailable.h"
#include "vision/image/draw.h"
#include "vision/image/picture_kinds.h"
#include "vision/masks/mask_detector.h"
#include "vision/video/picture_folder.h"
#include "vision/window/picture_window.h"

namespace maskwatch::apps {
namespace {

namespace fs = std::filesystem;

struct Options {
  std::vector<std::string> named, more;  // files and folders: -i, and without it
  std::vector<std::string> images;       // the pictures that they name
  bool several = false;                  // or a folder, which may hold one only
  FaceOptions faces;
  std::string output;
  std::string landmarks;  // empty: none
  bool json = false;
  bool show = false;
  int threads = 0;
};

// Everything that is found in one picture.
struct Result {
  vision::Image picture;  // with boxes and labels drawn
  std::vector<Face> faces;
  std::vector<vision::Landmarks> landmarks;  // of each face, if asked for
};

void define_options(OptionParser& parser, Options& o) {
  parser.add("-i,--image", &o.named,
             fmt::format("Pictures to look at, one or more, or folders of them: {}; /dev/stdin: "
                         "from a pipe",
                         vision::kPictureExtensions));
  parser.add("pictures", &o.more, "More pictures to look at, as with --image");
  add_face_options(parser, o.faces, vision::kDefaultFaceDetector);
  parser.add("-o,--output", &o.output,
             "Where to write the picture with the boxes: a .png or .jpg file for one picture, "
             "a folder for several (default: NAME_detected.png in the current folder)");
  add_landmark_option(parser, o.landmarks, "Also find and draw the 68 landmarks of each face");
  parser.add("--json", &o.json, "Print what was found as JSON");
  parser.add("--show", &o.show,
             "Show each picture in a window; any key goes on, q or Escape shows no more");
  parser.add("--threads", &o.threads, "Threads (default: all cores)").range(0, 1024);
}

// Whether a picture is what an earlier run wrote beside those that it looked at.
bool is_result(const fs::path& path, const std::set<std::string>& stems) {
  const std::string stem = path.stem().string();
  const std::size_t mark = stem.rfind("_detected");
  if (mark == std::string::npos || path.extension() != ".png") return false;
  const std::string_view rest = std::string_view(stem).substr(mark + 9);
  const bool numbered =
      rest.size() > 1 && rest[0] == '_' && rest.find_first_not_of("0123456789", 1) == rest.npos;
  return (rest.empty() || numbered) && stems.contains(stem.substr(0, mark));
}

// The pictures of a folder and of those below it, in the natural order of their names. Says what
// else lies there.
std::vector<std::string> pictures_in(const std::string& folder) {
  std::vector<fs::path> found;
  std::set<std::string> stems;
  std::size_t others = 0;
  std::error_code fault;
  for (fs::recursive_directory_iterator it(folder, fault), end; !fault && it != end;
       it.increment(fault)) {
    std::error_code unknown;
    const bool is_folder = it->is_directory(unknown);
    if (vision::is_hidden_name(it->path().filename().string())) {
      if (is_folder) it.disable_recursion_pending();
    } else if (is_folder) {
      continue;
    } else if (vision::has_image_extension(it->path().string())) {
      found.push_back(it->path());
      stems.insert(it->path().stem().string());
    } else {
      ++others;
    }
  }
  if (fault) throw UsageError(folder + ": cannot list the folder: " + fault.message());
  const std::size_t results =
      std::erase_if(found, [&](const fs::path& path) { return is_result(path, stems); });
  if (found.empty())
    throw UsageError(fmt::format("{}: holds no pictures ({})", folder, vision::kPictureExtensions));
  if (others > 0)
    tell(fmt::format("{}: {} files are not pictures by their extensions", folder, others));
  if (results > 0)
    tell(fmt::format("{}: {} pictures NAME_detected.png of an earlier run are left out", folder,
                     results));
  std::vector<std::string> pictures;
  for (const fs::path& path : found) pictures.push_back(path.string());
  std::sort(pictures.begin(), pictures.end(), vision::natural_less);
  return pictures;
}

void find_pictures(Options& o) {
  o.named.insert(o.named.end(), o.more.begin(), o.more.end());
  if (o.named.empty())
    throw UsageError("--image: no picture is named", "detect_mask_image PICTURE..., see --help");
  for (const std::string& name : o.named) {
    std::error_code missing;
    if (!fs::is_directory(name, missing)) {
      o.images.push_back(name);
      continue;
    }
    o.several = true;
    const std::vector<std::string> pictures = pictures_in(name);
    o.images.insert(o.images.end(), pictures.begin(), pictures.end());
  }
  o.several |= o.images.size() > 1;
}

// Whether -o names a file to write rather than a folder: by its ending, unless there is such a
// folder. For several pictures other endings than those of pictures are part of a folder's name.
bool names_file(const Options& o) {
  std::error_code missing;
  if (fs::is_directory(o.output, missing)) return false;
  return o.several ? vision::has_image_extension(o.output) : fs::path(o.output).has_extension();
}

// The folder that -o names, made if it is not there.
fs::path output_folder(const Options& o) {
  if (o.output.empty()) return {};
  std::error_code fault;
  fs::create_directories(o.output, fault);
  if (fault) throw UsageError("--output " + o.output + ": " + fault.message());
  return o.output;
}

// Throws rather than write over a picture that is to be read, or look at pictures for nothing.
void check_output_files(const Options& o, const std::vector<std::string>& outputs) {
  std::set<fs::path> inputs;
  std::error_code pathless;  // as a pipe is
  for (const std::string& image : o.images) inputs.insert(fs::weakly_canonical(image, pathless));
  inputs.erase("");
  for (const std::string& output : outputs) {
    if (inputs.contains(fs::weakly_canonical(output, pathless)))
      throw UsageError(output + " would be written over, but it is one of the pictures to look at",
                       "choose another --output");
    require_writable(output);
  }
}

// So much of a picture's name that what is added to it fits into the name of a file.
std::string stem_of(const std::string& image) {
  constexpr std::size_t kMost = 200;
  std::string stem = fs::path(image).stem().string();
  if (stem.size() <= kMost) return stem;
  const auto continues = [](char byte) {
    return (static_cast<unsigned char>(byte) & 0xC0) == 0x80;
  };
  std::size_t end = kMost;
  while (end > 0 && continues(stem[end])) --end;
  return stem.substr(0, end);
}

// One file to write for each picture; NAME_detected.png, NAME_detected_2.png for a second NAME.
std::vector<std::string> output_files(const Options& o) {
  if (names_file(o)) {
    if (o.several)
      throw UsageError(fmt::format("--output {}: one file for {} picture{}", o.output,
                                   o.images.size(), o.images.size() == 1 ? " of a folder" : "s"),
                       "name a folder");
    require_picture("--output", o.output);
    return {o.output};
  }
  const fs::path folder = output_folder(o);
  std::map<std::string, int> uses;
  std::vector<std::string> files;
  for (const std::string& image : o.images) {
    const std::string stem = stem_of(image) + "_detected";
    const int use = ++uses[stem];
    files.push_back((folder / (use == 1 ? stem + ".png" : fmt::format("{}_{}.png", stem, use))));
  }
  return files;
}

void draw_landmarks(vision::Image& picture, const vision::Landmarks& points) {
  constexpr vision::Color color{255, 220, 60};
  const float thickness = static_cast<float>(vision::line_width_for(picture)) / 2;
  for (const auto& [name, range] : vision::landmarks::lines) {
    std::vector<vision::Point> line;
    for (const vision::Point& p : vision::points_of(points, range))
      line.push_back({p.x + .5f, p.y + .5f});
    vision::draw_polyline(picture, line, thickness, color, range.closed);
  }
}

Result look_at(const std::string& image, MaskDetector& detector,
               vision::LandmarkFinder* landmarks) {
  Result result{load_image(image), {}, {}};
  result.faces = detector.detect(result.picture);
  if (landmarks != nullptr)
    for (const Face& face : result.faces)
      result.landmarks.push_back(landmarks->find(result.picture, face.box).points);
  for (const vision::Landmarks& points : result.landmarks) draw_landmarks(result.picture, points);
  draw(result.picture, result.faces);
  return result;
}

// Each line of the face by its name, as [x, y] from the middle of the picture's first pixel.
Json to_json(const vision::Landmarks& points) {
  Json lines = Json::object();
  for (const auto& [name, range] : vision::landmarks::lines)
    for (const vision::Point& p : vision::points_of(points, range))
      lines[name].push_back(Json::list({p.x, p.y}));
  return lines;
}

Json to_json(const Result& result, const std::vector<std::string>& labels) {
  Json faces = Json::list();
  for (std::size_t i = 0; i < result.faces.size(); ++i) {
    const Face& face = result.faces[i];
    Json probabilities = Json::object();
    for (std::size_t c = 0; c < labels.size(); ++c)
      probabilities[labels[c]] = face.probabilities[c];
    Json entry = Json::object(
        {{"box", Json::list({face.box.x, face.box.y, face.box.width, face.box.height})},
         {"score", face.score},
         {"label", face.label},
         {"probability", face.probability},
         {"probabilities", probabilities}});
    if (!result.landmarks.empty()) entry["landmarks"] = to_json(result.landmarks[i]);
    faces.push_back(std::move(entry));
  }
  return Json::object(
      {{"width", result.picture.width}, {"height", result.picture.height}, {"faces", faces}});
}

std::string text_of(const std::string& image, const std::string& output, const Result& result) {
  const std::size_t count = result.faces.size();
  const std::string found =
      count == 0 ? "no face found" : fmt::format("{} face{}", count, count == 1 ? "" : "s");
  std::string text =
      fmt::format("{}: {}, written to {}\n", one_line(image), found, one_line(output));
  for (const Face& face : result.faces)
    text += fmt::format("  {} at x {:.0f}, y {:.0f}, {:.0f} x {:.0f} pixels\n",
                        one_line(face_text(face)), face.box.x, face.box.y, face.box.width,
                        face.box.height);
  return text;
}

// Every line two spaces further in.
std::string indented(const std::string& text) {
  std::string out = "  ";
  for (const char c : text) {
    out += c;
    if (c == '\n') out += "  ";
  }
  return out;
}

// What a rank has to say of one picture.
struct Report {
  int code = done;
  std::string fault;  // empty: none
  std::string text;   // for people
  std::string json;

  std::string message() const {
    MessageWriter writer;
    writer.put(code);
    for (const std::string* part : {&fault, &text, &json}) writer.put_text(*part);
    return writer.bytes();
  }
  static Report of(const std::string& message) {
    MessageReader reader(message);
    Report report;
    report.code = reader.get<int>();
    for (std::string* part : {&report.fault, &report.text, &report.json}) *part = reader.get_text();
    return report;
  }
};

// What finds faces, and shows them.
struct Tools {
  MaskDetector detector;
  std::unique_ptr<vision::LandmarkFinder> landmarks;
  std::unique_ptr<vision::PictureWindow> window;
};

// Looks at one picture and writes what was found.
Report report_on(const std::string& image, const std::string& output, Tools& tools) {
  Report report;
  Json entry = Json::object({{"image", image}});
  try {
    const Result result = look_at(image, tools.detector, tools.landmarks.get());
    vision::save_image(output, result.picture);
    entry["output"] = output;
    entry.update(to_json(result, tools.detector.labels()));
    report.text = text_of(image, output, result);
    if (tools.window && !tools.window->show(result.picture)) tools.window.reset();
  } catch (const std::runtime_error& fault) {
    report.fault = fault.what();
    entry["error"] = report.fault;
    const bool window_is_lost = dynamic_cast<const Unavailable*>(&fault) != nullptr;
    if (window_is_lost) tools.window.reset();
    const bool at_work = window_is_lost || dynamic_cast<const WriteError*>(&fault) != nullptr;
    report.code = at_work ? failure : bad_input;
  }
  report.json = entry.dump(2);
  return report;
}

// Looks at all pictures, which are shared out among the ranks, and tells what was found in their
// order: a process that is alone as soon as it knows, several of them a few pictures at a time.
// One that is alone, and waits for no key, may be told to stop between two pictures.
int report_on_all(const Options& o, const std::vector<std::string>& outputs, Tools& tools,
                  kernels::Communicator& communicator) {
  constexpr std::size_t kPicturesARank = 8;
  const auto ranks = static_cast<std::size_t>(communicator.ranks());
  const std::size_t round = ranks == 1 ? 1 : ranks * kPicturesARank;
  static const std::atomic<bool> never{false};
  const std::atomic<bool>& stop = ranks == 1 && !o.show ? stop_on_signals() : never;
  int code = done;
  const char* separator = "[\n";
  std::size_t begin = 0;
  for (; begin < o.images.size() && !stop; begin += round) {
    const std::size_t count = std::min(round, o.images.size() - begin);
    const auto work = [&](std::size_t i) {
      return report_on(o.images[begin + i], outputs[begin + i], tools).message();
    };
    for (const std::string& message : share_out(communicator, count, work)) {
      const Report report = Report::of(message);
      if (!report.fault.empty()) tell_fault(report.fault);
      if (report.code == failure || code == done) code = report.code;
      if (o.json)
        fmt::print("{}{}", separator, indented(report.json));
      else
        fmt::print("{}", report.text);
      separator = ",\n";
    }
    std::fflush(stdout);
  }
  if (o.json) fmt::print("{}]\n", *separator == '[' ? separator : "\n");
  if (begin >= o.images.size()) return code;
  tell(fmt::format("stopped after {} of {} pictures", begin, o.images.size()));
  return failure;
}

// Ranks other than the first have neither window nor standard input.
void check_ranks(const Options& o, const kernels::Communicator& communicator) {
  if (communicator.ranks() == 1) return;
  if (o.show) throw UsageError("--show needs one process: several have no common window");
  std::error_code missing;
  for (const std::string& image : o.images)
    if (fs::exists(image, missing) && !fs::is_regular_file(image, missing))
      throw UsageError(image + ": several processes cannot read a pipe", "start one process");
}

int detect(int argc, char** argv, kernels::Communicator& communicator) {
  Options o;
  OptionParser parser("detect_mask_image",
                      "Finds the faces in pictures and says for each whether it wears a mask.");
  define_options(parser, o);
  parser.parse(argc, argv);
  check_sureness(parser, "--confidence", "--face", o.faces.face);
  set_threads(threads_of_rank(o.threads, communicator));
  o.faces.local_rank = communicator.local_rank();
  find_pictures(o);
  check_ranks(o, communicator);
  const std::vector<std::string> outputs = output_files(o);
  check_output_files(o, outputs);
  Tools tools{MaskDetector(detector_options(o.faces)), nullptr, nullptr};
  check_detail(o.faces, tools.detector.heeds_detail());
  check_class_names(class_meanings(o.faces.classes), tools.detector.all_labels(), "the model");
  warn_of_unknown_classes(tools.detector.unknown_labels(),
                          "faces called so are drawn grey, and what the face detector says of "
                          "masks does not count for them");
  if (!o.landmarks.empty()) tools.landmarks = landmark_finder(o.landmarks);
  if (o.show) tools.window = std::make_unique<vision::PictureWindow>("Maskwatch");
  return report_on_all(o, outputs, tools, communicator);
}

}  // namespace
}  // namespace maskwatch::apps

int main(int argc, char** argv) {
  return maskwatch::apps::run_program_on_ranks(argc, argv, maskwatch::apps::detect);
}
