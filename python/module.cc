// maskwatch._core: the front door (vision/masks/mask_detector.h), video sources and the tracker as
// Python sees them. Plain values cross: arrays of uint8, tuples, lists; maskwatch/*.py makes
// classes of them. The interpreter's lock is released while a detector or a decoder works.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "base/data_files.h"
#include "base/version.h"  // made by meson
#include "kernels/device.h"
#include "vision/masks/mask_detector.h"
#include "vision/masks/tracker.h"
#include "vision/video/video_source.h"

namespace py = pybind11;

namespace {

using maskwatch::Face;
using maskwatch::Image;
using maskwatch::ImageView;
using maskwatch::MaskDetector;
using maskwatch::MaskDetectorOptions;
using maskwatch::vision::meaning_of_word;
using maskwatch::vision::Track;
using maskwatch::vision::Tracker;
using maskwatch::vision::VideoFrame;
using maskwatch::vision::VideoSource;
using maskwatch::vision::word_of;

using Pixels = py::array_t<std::uint8_t, 0>;

// Height x width x 3 or height x width, of any stride from row to row; maskwatch/detector.py, which
// says more of what is wrong, makes rows without gaps of others.
ImageView view_of(const Pixels& pixels) {
  const bool color = pixels.ndim() == 3 && pixels.shape(2) == 3;
  if (!color && pixels.ndim() != 2)
    throw std::invalid_argument("an image is height x width x 3 or height x width");
  if (pixels.size() == 0) throw std::invalid_argument("the image is empty");
  const py::ssize_t height = pixels.shape(0), width = pixels.shape(1), channels = color ? 3 : 1;
  // Along an axis of length 1 numpy may say any stride.
  const py::ssize_t stride = height > 1 ? pixels.strides(0) : width * channels;
  if ((width > 1 && pixels.strides(1) != channels) || (color && pixels.strides(2) != 1) ||
      stride < width * channels)
    throw std::invalid_argument("the pixels of a row of an image do not touch");
  return {pixels.data(), static_cast<int>(width), static_cast<int>(height),
          static_cast<int>(channels), static_cast<std::size_t>(stride)};
}

// The array owns the image's memory: nothing is copied.
py::array array_of(Image image) {
  auto held = std::make_unique<Image>(std::move(image));
  const std::vector<py::ssize_t> shape{held->height, held->width, held->channels};
  std::uint8_t* pixels = held->pixels.data();
  py::capsule owner(held.release(), [](void* image) { delete static_cast<Image*>(image); });
  return py::array_t<std::uint8_t>(shape, pixels, owner);
}

py::tuple tuple_of(const maskwatch::Box& box) {
  return py::make_tuple(box.x, box.y, box.width, box.height);
}

// (box, score, label, meaning, probability, probabilities)
py::tuple tuple_of(const Face& face) {
  return py::make_tuple(tuple_of(face.box), face.score, face.label,
                        std::string(word_of(face.meaning)), face.probability, face.probabilities);
}

py::list list_of(const std::vector<Face>& faces) {
  py::list list;
  for (const Face& face : faces) list.append(tuple_of(face));
  return list;
}

std::span<const std::uint8_t> bytes_of(const std::string& bytes) {
  return {reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()};
}

// A detector that several Python threads may call: one after the other.
class Detector {
  template <typename Work>
  auto run(const Work& work) {
    const py::gil_scoped_release released;
    const std::lock_guard lock(mutex_);
    return work();
  }

 public:
  Detector(const std::string& model, const std::string& model_bytes, const std::string& face,
           const std::string& face_bytes, float confidence, std::optional<int> detail, int threads,
           const std::string& device) {
    MaskDetectorOptions options;
    options.model = model;
    options.model_bytes = bytes_of(model_bytes);
    if (!face.empty()) options.face_detector = face;
    options.face_detector_bytes = bytes_of(face_bytes);
    options.confidence = confidence;
    options.detail = detail;
    options.threads = threads;
    confidence_ = confidence;
    const py::gil_scoped_release released;
    options.device = &maskwatch::kernels::device_named(device);
    detector_ = std::make_unique<MaskDetector>(options);
  }

  py::list detect_array(const Pixels& pixels) {
    const ImageView image = view_of(pixels);
    return list_of(run([&] { return detector_->detect(image); }));
  }
  py::list detect_path(const std::string& path) {
    return list_of(run([&] { return detector_->detect_file(path); }));
  }
  py::list detect_bytes(const std::string& bytes) {
    return list_of(run([&] { return detector_->detect_encoded(bytes_of(bytes)); }));
  }
  py::list detect_arrays(const std::vector<Pixels>& arrays) {
    std::vector<ImageView> images;
    for (const Pixels& pixels : arrays) images.push_back(view_of(pixels));
    py::list list;
    for (const auto& faces : run([&] { return detector_->detect_all(images); }))
      list.append(list_of(faces));
    return list;
  }

  std::vector<Face> detect(const Image& image) {
    return run([&] { return detector_->detect(image); });
  }
  const std::vector<std::string>& labels() const { return detector_->labels(); }
  std::vector<std::string> meanings() const {
    std::vector<std::string> names;
    for (const maskwatch::LabelMeaning meaning : detector_->meanings())
      names.emplace_back(word_of(meaning));
    return names;
  }
  const std::vector<maskwatch::LabelMeaning>& label_meanings() const {
    return detector_->meanings();
  }
  std::string face_detector_name() const { return detector_->face_detector_name(); }
  std::string device() const { return detector_->device_name(); }
  bool heeds_detail() const { return detector_->heeds_detail(); }
  float confidence() const { return confidence_; }

 private:
  std::unique_ptr<MaskDetector> detector_;
  float confidence_ = 0;
  std::mutex mutex_;
};

// Frames of a source, the faces in each, and the people that they belong to. Of several Python
// threads that ask for frames, each gets others.
class Video {
 public:
  Video(std::shared_ptr<Detector> detector, const std::string& source, double timeout,
        bool reconnect)
      : detector_(std::move(detector)),
        tracker_(maskwatch::vision::tracker_options(detector_->confidence())) {
    maskwatch::vision::VideoSourceOptions options;
    options.timeout = timeout;
    options.reconnect = reconnect;
    options.stop = &stop_;
    open(source, options);
  }

  // (frame, time, number, faces, tracks), or None at the end.
  py::object next() {
    const Turn turn(mutex_);
    VideoFrame frame;
    if (!read(frame)) return py::none();
    const std::vector<Face> faces = detector_->detect(frame.image);
    std::vector<maskwatch::vision::Observation> seen;
    for (const Face& face : faces)
      seen.push_back(
          {face.box, face.score,
           maskwatch::vision::weighed_by_meaning(face.probabilities, detector_->label_meanings())});
    tracker_.update(frame.time, seen);
    people_ = tracker_.people();
    py::list tracks;
    for (const Track& track : tracker_.at(frame.time))
      tracks.append(py::make_tuple(track.number, tuple_of(track.box), track.label, track.confidence,
                                   track.first_seen, track.last_seen));
    const double time = frame.time;
    const std::int64_t number = frame.number;
    return py::make_tuple(array_of(std::move(frame.image)), time, number, list_of(faces), tracks);
  }

  void close() {
    stop_ = true;
    if (source_ != nullptr) source_->interrupt();
  }
  std::int64_t people() const { return people_; }
  double fps() const { return source_->fps(); }
  int width() const { return source_->width(); }
  int height() const { return source_->height(); }
  bool live() const { return source_->live(); }
  std::string description() const { return source_->description(); }
  // Once the source has ended, or was lost.
  std::string end_reason() const { return end_reason_.load() ? *end_reason_.load() : ""; }

 private:
  // Holds a mutex, for which it waits while other Python threads run.
  class Turn {
   public:
    explicit Turn(std::mutex& mutex) : lock_(mutex, std::defer_lock) {
      const py::gil_scoped_release released;
      lock_.lock();
    }

   private:
    std::unique_lock<std::mutex> lock_;
  };

  void open(const std::string& source, const maskwatch::vision::VideoSourceOptions& options) {
    const py::gil_scoped_release released;
    source_ = VideoSource::open(source, options);
  }

  // Looks for Ctrl-C between attempts at a stream that was lost.
  bool read(VideoFrame& frame) {
    for (;;) {
      VideoSource::Status status{};
      {
        const py::gil_scoped_release released;
        status = source_->read(frame);
      }
      if (PyErr_CheckSignals() != 0) throw py::error_already_set();
      if (status == VideoSource::Status::frame) return true;
      end_reason_ = std::make_shared<const std::string>(source_->message());
      if (status == VideoSource::Status::end) return false;
    }
  }

  std::shared_ptr<Detector> detector_;
  Tracker tracker_;
  std::atomic<bool> stop_{false};
  std::unique_ptr<VideoSource> source_;
  std::mutex mutex_;  // of the source and the tracker
  std::atomic<std::int64_t> people_{0};
  std::atomic<std::shared_ptr<const std::string>> end_reason_;
};

// `faces`: (box, label, meaning, probability).
py::array draw_faces(const Pixels& pixels, const std::vector<py::tuple>& faces) {
  Image image = copy_of(view_of(pixels));
  std::vector<Face> drawn;
  for (const py::tuple& given : faces) {
    Face face;
    const auto box = given[0].cast<std::array<float, 4>>();
    face.box = {box[0], box[1], box[2], box[3]};
    face.label = given[1].cast<std::string>();
    face.meaning =
        meaning_of_word(given[2].cast<std::string>()).value_or(maskwatch::LabelMeaning::other);
    face.probability = given[3].cast<float>();
    drawn.push_back(std::move(face));
  }
  maskwatch::draw(image, drawn);
  return array_of(std::move(image));
}

}  // namespace

PYBIND11_MODULE(_core, module) {
  module.attr("__version__") = maskwatch::kVersion;
  // std::runtime_error: what the library says of a file, a camera or a stream.
  static py::exception<std::runtime_error> error(module, "Error", PyExc_RuntimeError);
  py::register_exception_translator([](std::exception_ptr thrown) {
    try {
      if (thrown) std::rethrow_exception(thrown);
    } catch (const py::error_already_set&) {
      throw;
    } catch (const py::builtin_exception&) {
      throw;
    } catch (const std::runtime_error& fault) {
      error(fault.what());
    }
  });
  py::class_<Detector, std::shared_ptr<Detector>>(module, "Detector")
      .def(py::init<const std::string&, const std::string&, const std::string&, const std::string&,
                    float, std::optional<int>, int, const std::string&>())
      .def("detect_array", &Detector::detect_array)
      .def("detect_path", &Detector::detect_path)
      .def("detect_bytes", &Detector::detect_bytes)
      .def("detect_arrays", &Detector::detect_arrays)
      .def_property_readonly("labels", &Detector::labels)
      .def_property_readonly("meanings", &Detector::meanings)
      .def_property_readonly("face_detector_name", &Detector::face_detector_name)
      .def_property_readonly("device", &Detector::device)
      .def_property_readonly("heeds_detail", &Detector::heeds_detail);
  py::class_<Video>(module, "Video")
      .def(py::init<std::shared_ptr<Detector>, const std::string&, double, bool>())
      .def("next", &Video::next)
      .def("close", &Video::close)
      .def_property_readonly("people", &Video::people)
      .def_property_readonly("fps", &Video::fps)
      .def_property_readonly("width", &Video::width)
      .def_property_readonly("height", &Video::height)
      .def_property_readonly("live", &Video::live)
      .def_property_readonly("description", &Video::description)
      .def_property_readonly("end_reason", &Video::end_reason);
  module.def("draw", &draw_faces);
  module.def("add_data_folder", &maskwatch::add_data_folder);
  module.def("shipped_file", &maskwatch::shipped_file);
  module.def("load_image", [](const std::string& path) {
    Image image;
    {
      const py::gil_scoped_release released;
      image = maskwatch::load_image(path);
    }
    return array_of(std::move(image));
  });
  module.def("decode_image", [](const std::string& bytes) {
    Image image;
    {
      const py::gil_scoped_release released;
      image = maskwatch::vision::decode_image(bytes_of(bytes), "the image");
    }
    return array_of(std::move(image));
  });
}
