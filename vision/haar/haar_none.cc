// Stands in for the cascades where they are not built: in the browser, whose vectors have no
// doubles in Highway, and where a network finds the faces.
#include <stdexcept>

#include "vision/haar/haar.h"
#include "vision/haar/haar_model.h"

namespace maskwatch::vision {
namespace {

[[noreturn]] void refuse(const std::string& name) {
  throw std::runtime_error(name + ": this build knows no Haar cascades");
}

}  // namespace

struct HaarPlan {};

std::optional<std::string> find_haar_cascade(const std::string&) { return std::nullopt; }

HaarCascade HaarCascade::load(const std::string& file) { refuse(file); }
HaarCascade HaarCascade::parse(std::string_view, const std::string& name) { refuse(name); }
int HaarCascade::window_width() const { refuse(name_); }
int HaarCascade::window_height() const { refuse(name_); }
std::vector<Detection> HaarCascade::detect(const ImageView&, const HaarOptions&) const {
  refuse(name_);
}

}  // namespace maskwatch::vision
