// Models of other programs, told apart by content, so that whoever gives one where a Maskwatch file
// is due learns how to convert it.
#pragma once

#include <string>
#include <string_view>

namespace maskwatch::nn {

// What the bytes of the file called `name` are, and the command that converts it; empty for
// anything that is not known as another program's model.
std::string foreign_model(std::string_view bytes, const std::string& name);

// The same for a path that is a folder, as a TensorFlow SavedModel is.
std::string foreign_model_folder(const std::string& path);

}  // namespace maskwatch::nn
