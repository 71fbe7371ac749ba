// What a page calls of the engine (web/site/engine.js does): the front door
// (vision/masks/mask_detector.h) and the tracker, compiled by Emscripten. Bytes and pixels cross in
// one buffer, what was found as JSON; nothing is thrown across: a fault is {"error": "..."}. All
// calls come from one thread, the page's worker.
#include <emscripten/emscripten.h>
#include <fmt/format.h>

#include <cstdint>
#include <exception>
#include <new>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/parallel.h"
#include "base/version.h"  // made by meson
#include "kernels/table.h"
#include "vision/masks/mask_detector.h"
#include "vision/masks/tracker.h"

namespace {

using maskwatch::Box;
using maskwatch::Face;
using maskwatch::Image;
using maskwatch::Json;
using maskwatch::LabelMeaning;
using maskwatch::MaskDetector;
using maskwatch::vision::Track;
using maskwatch::vision::Tracker;
using maskwatch::vision::TrackState;

constexpr float kConfidence = .5f;

struct Engine {
  std::optional<MaskDetector> detector;
  Tracker tracker;
  std::vector<std::uint8_t> buffer;  // what the page hands over or is handed
  std::string answer;                // valid until the next call
};

Engine& engine() {
  static Engine engine;
  return engine;
}

// Of the exception that is being handled.
[[gnu::noinline]] std::string fault_text() {
  try {
    throw;
  } catch (const std::bad_alloc&) {
    return "out of memory";
  } catch (const std::exception& fault) {
    return fault.what();
  } catch (...) {
    return "an unknown fault";
  }
}

template <typename Body>
const char* answer(const Body& body) {
  std::string& text = engine().answer;
  try {
    text = body().dump();
  } catch (...) {
    text = Json::object({{"error", fault_text()}}).dump();
  }
  return text.c_str();
}

MaskDetector& detector() {
  if (!engine().detector) throw std::logic_error("the models are not loaded");
  return *engine().detector;
}

std::span<const std::uint8_t> handed_over(std::size_t begin, std::size_t size) {
  return std::span<const std::uint8_t>(engine().buffer).subspan(begin, size);
}

std::string hex_of(const maskwatch::vision::Color& color) {
  return fmt::format("#{:02x}{:02x}{:02x}", color.r, color.g, color.b);
}

Json to_json(const Box& box) { return Json::list({box.x, box.y, box.width, box.height}); }

// As detect_mask_image --json prints a face, and what a page needs to draw it.
Json to_json(const Face& face) {
  Json probabilities = Json::object();
  const auto& labels = detector().labels();
  for (std::size_t i = 0; i < labels.size(); ++i) probabilities[labels[i]] = face.probabilities[i];
  return Json::object({{"box", to_json(face.box)},
                       {"score", face.score},
                       {"label", face.label},
                       {"probability", face.probability},
                       {"probabilities", probabilities},
                       {"meaning", maskwatch::vision::word_of(face.meaning)},
                       {"text", maskwatch::face_text(face)}});
}

// "#3 Mask 97%", as the video program writes it.
Json to_json(const Track& track) {
  LabelMeaning meaning = LabelMeaning::other;
  std::string text = fmt::format("#{}", track.number);
  if (const auto label = static_cast<std::size_t>(track.label); track.label >= 0) {
    meaning = detector().meanings()[label];
    text += fmt::format(" {} {:.0f}%",
                        maskwatch::vision::display_name(detector().labels()[label], meaning),
                        100 * track.confidence);
  }
  return Json::object({{"box", to_json(track.box)},
                       {"number", track.number},
                       {"lost", track.state == TrackState::lost},
                       {"meaning", maskwatch::vision::word_of(meaning)},
                       {"text", text}});
}

template <typename Item>
Json to_json(const std::vector<Item>& items) {
  Json list = Json::list();
  for (const Item& item : items) list.push_back(to_json(item));
  return list;
}

Json found_in(const Image& image, const std::vector<Face>& faces) {
  return Json::object(
      {{"width", image.width}, {"height", image.height}, {"faces", to_json(faces)}});
}

Json people_at(double time) {
  const Tracker& tracker = engine().tracker;
  return Json::object({{"tracks", to_json(tracker.at(time))}, {"people", tracker.people()}});
}

// The pixels in the buffer, R, G, B, A, without A: a camera's are opaque.
Image image_in_buffer(int width, int height) {
  const std::size_t count = static_cast<std::size_t>(width) * static_cast<std::size_t>(height);
  if (width < 1 || height < 1 || engine().buffer.size() < 4 * count)
    throw std::invalid_argument("the picture is empty");
  Image image(width, height);
  const std::uint8_t* from = engine().buffer.data();
  std::uint8_t* to = image.pixels.data();
  for (std::size_t i = 0; i < count; ++i, from += 4, to += 3) {
    to[0] = from[0];
    to[1] = from[1];
    to[2] = from[2];
  }
  return image;
}

// The other way: for the page to show.
void put_into_buffer(const Image& image) {
  const std::size_t count = image.pixels.size() / 3;
  engine().buffer.resize(4 * count);
  const std::uint8_t* from = image.pixels.data();
  std::uint8_t* to = engine().buffer.data();
  for (std::size_t i = 0; i < count; ++i, from += 3, to += 4) {
    to[0] = from[0];
    to[1] = from[1];
    to[2] = from[2];
    to[3] = 255;
  }
}

void start_tracking() {
  engine().tracker = Tracker(maskwatch::vision::tracker_options(kConfidence));
}

Json meanings() {
  Json all = Json::object();
  for (const LabelMeaning meaning :
       {LabelMeaning::mask, LabelMeaning::worn_wrongly, LabelMeaning::no_mask, LabelMeaning::other})
    all[maskwatch::vision::word_of(meaning)] =
        Json::object({{"name", maskwatch::vision::display_name("Unknown", meaning)},
                      {"color", hex_of(maskwatch::vision::color_of(meaning))}});
  return all;
}

}  // namespace

extern "C" {

// Room for `size` bytes. Valid until the next call of any of these functions; what was in it before
// is lost.
EMSCRIPTEN_KEEPALIVE std::uint8_t* maskwatch_buffer(std::size_t size) {
  try {
    engine().buffer.resize(size);
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
  return engine().buffer.data();
}

// Loads the two models, whose files lie in the buffer one behind the other.
// {"version", "vectors", "threads", "labels", "meanings": {"mask": {"name", "color"}, ...}}
EMSCRIPTEN_KEEPALIVE const char* maskwatch_load(std::size_t face_detector_size,
                                                std::size_t model_size, int threads) {
  return answer([&] {
    maskwatch::MaskDetectorOptions options;
    options.face_detector_bytes = handed_over(0, face_detector_size);
    options.model_bytes = handed_over(face_detector_size, model_size);
    options.confidence = kConfidence;
    options.threads = threads;
    engine().detector.emplace(options);
    start_tracking();
    return Json::object({{"version", maskwatch::kVersion},
                         {"vectors", maskwatch::kernels::target_name()},
                         {"threads", maskwatch::threads()},
                         {"labels", detector().labels()},
                         {"meanings", meanings()}});
  });
}

// The faces of a picture file of `size` bytes in the buffer: {"width", "height", "faces"}. The
// buffer then holds its pixels, R, G, B, A.
EMSCRIPTEN_KEEPALIVE const char* maskwatch_detect_file(const char* name, std::size_t size) {
  return answer([&] {
    const Image image = maskwatch::vision::decode_image(handed_over(0, size), name);
    const std::vector<Face> faces = detector().detect(image);
    put_into_buffer(image);
    return found_in(image, faces);
  });
}

// The same for pixels in the buffer, rows of R, G, B, A bytes.
EMSCRIPTEN_KEEPALIVE const char* maskwatch_detect_pixels(int width, int height) {
  return answer([&] {
    const Image image = image_in_buffer(width, height);
    return found_in(image, detector().detect(image));
  });
}

// The same for a video's frame at `time` (seconds), and the people that the faces belong to:
// "tracks" with "box", "number", "lost", "meaning" and "text", and how many "people" there were.
EMSCRIPTEN_KEEPALIVE const char* maskwatch_follow_pixels(int width, int height, double time) {
  return answer([&] {
    const Image image = image_in_buffer(width, height);
    const std::vector<Face> faces = detector().detect(image);
    std::vector<maskwatch::vision::Observation> seen;
    for (const Face& face : faces)
      seen.push_back(
          {face.box, face.score,
           maskwatch::vision::weighed_by_meaning(face.probabilities, detector().meanings())});
    engine().tracker.update(time, seen);
    Json found = found_in(image, faces);
    found.update(people_at(time));
    return found;
  });
}

// The people as they are expected in a frame that is not looked at: "tracks" and "people".
EMSCRIPTEN_KEEPALIVE const char* maskwatch_expect_people(double time) {
  return answer([&] { return people_at(time); });
}

// Before another video.
EMSCRIPTEN_KEEPALIVE void maskwatch_forget_people() { start_tracking(); }

}  // extern "C"
