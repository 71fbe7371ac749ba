// The options that every program which looks at faces has: the model and the face detector.
#pragma once

#include <string>

namespace CLI {
class App;
}

namespace apps {

struct FaceOptions {
  std::string model;  // empty: the one that ships
  std::string face;
  float confidence = 0.5f;
};

// Adds -m/--model, -f/--face with `default_face`, and -c/--confidence.
void add_face_options(CLI::App& app, FaceOptions& options, const std::string& default_face);

// The model file that was named, or the one that ships. UsageError if that is missing.
std::string model_file(const FaceOptions& options);

}  // namespace apps
