#include "vision/masks/view.h"

#include <fmt/format.h>

#include <stdexcept>

namespace maskwatch::vision {

std::vector<FacesInView> looks_at(std::span<const ImageView> images,
                                  std::span<const LocatedFaces> found) {
  if (images.size() != found.size())
    throw std::invalid_argument(
        fmt::format("looks_at: {} images, faces of {}", images.size(), found.size()));
  std::vector<FacesInView> looks;
  for (std::size_t i = 0; i < images.size(); ++i) looks.push_back({images[i], &found[i]});
  return looks;
}

}  // namespace maskwatch::vision
