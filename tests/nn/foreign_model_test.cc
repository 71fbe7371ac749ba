#include "nn/foreign_model.h"

#include <doctest/doctest.h>

#include <cstddef>
#include <filesystem>
#include <stdexcept>
#include <string>

#include "nn/classifier.h"
#include "tests/nn/temporary.h"

using namespace maskwatch;

using namespace nn;
using namespace nn_test;
using namespace std::string_literals;

namespace {

// What begins, and ends, like the file of another program.
struct Foreign {
  const char* name;
  std::string bytes;
  const char* kind;
};

const Foreign kForeign[] = {
    {"m.h5", "\x89HDF\r\n\x1A\n"s + std::string(40, '\0'), "a Keras model (HDF5)"},
    {"mask_detector.model", "\x89HDF\r\n\x1A\n"s + std::string(40, '\0'), "a Keras model (HDF5)"},
    {"m.keras", "PK\x03\x04"s + std::string(40, 'x') + "config.jsonPK\x01\x02model.weights.h5",
     "a Keras model (.keras)"},
    {"m.pth", "PK\x03\x04"s + std::string(40, 'x') + "PK\x01\x02m/data.pkl", "a PyTorch model"},
    {"old.pth", "\x80\x02\x8A\x0A\x6C\xFC\x9C\x46\xF9 j\xA8P\x19"s, "a PyTorch model"},
    {"m.tflite", "\x1C\0\0\0TFL3"s + std::string(40, '\0'), "a TFLite model"},
    {"m.onnx", "\x08\x07\x12\x07tf2onnx\x1A\x06"s + "1.16.1 and the graph", "an ONNX model"},
    {"m.onnx", "\x08\x04\x12\x07pytorch\x1A\x03"s + "1.2 and the graph", "an ONNX model"},
};

}  // namespace

TEST_CASE("foreign_model: models of other programs are told apart, and how to convert them") {
  const TemporaryFolder folder;
  for (const Foreign& foreign : kForeign) {
    CAPTURE(foreign.name);
    const std::string path = folder.file(foreign.name);
    write(path, foreign.bytes);
    const std::string fault = message_of<std::runtime_error>([&] { load_classifier(path); });
    CHECK(contains(fault, path + ": not a valid safetensors file: it is " + foreign.kind));
    const std::string target =
        std::filesystem::path(foreign.name).replace_extension("safetensors").string();
    CHECK(contains(fault, "python3 data/convert_weights.py " + path + " " + target));
  }
}

TEST_CASE("foreign_model: a SavedModel is a folder") {
  const TemporaryFolder folder;
  const std::string path = folder.file("mask_detector.model");
  std::filesystem::create_directory(path);
  const auto fault = [&](const std::string& given) {
    return message_of<std::runtime_error>([&] { load_classifier(given); });
  };
  CHECK(contains(fault(path), "is not a regular file"));
  write(path + "/saved_model.pb", "graph");
  CHECK(contains(fault(path), "it is a TensorFlow SavedModel"));
  CHECK(contains(fault(path + "/"), "convert_weights.py " + path + " mask_detector.safetensors"));
}

TEST_CASE("foreign_model: nothing is seen in files of our own, in cut ones and in other archives") {
  const TemporaryFolder folder;
  ClassifierOptions options;
  options.labels = {"a", "b"};
  options.backbone.width = 0.35;
  save_classifier(folder.file("ours"), Classifier(options));
  CHECK(foreign_model(read(folder.file("ours")), "ours") == "");
  CHECK(foreign_model("PK\x03\x04 some pictures", "pictures.zip") == "");
  // The length of a header may look like the beginning of an ONNX file.
  CHECK(foreign_model("\x08\x07\x12\0\0\0\0\0{\"__metadata__\":{}}"s, "ours") == "");
  for (const Foreign& foreign : kForeign)
    for (const std::size_t size : {0, 1, 2, 3, 7})
      CHECK(foreign_model(foreign.bytes.substr(0, size), "cut") == "");
}
