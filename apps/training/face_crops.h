// The face in each image of a data set, cut out as the detecting programs cut it out, so that
// training sees what they will show the network.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "apps/common/dataset.h"
#include "apps/training/load_images.h"
#include "kernels/communicator.h"

namespace maskwatch::apps {

struct FaceCrops {
  int size = 0;
  std::vector<bool> found;           // of each image of the data set
  std::vector<std::uint8_t> pixels;  // [images, size, size, 3], RGB; black where no face was found

  std::int64_t count() const;
  const std::uint8_t* image(int index) const {
    return pixels.data() + static_cast<std::size_t>(index) * size * size * 3;
  }
};

// The surest face in every image of `data`, by the detector that `face` names
// (vision::make_face_detector), grown by its margin and scaled to data.size. Reads the images
// again, on all threads of all ranks, each of which gets all crops.
FaceCrops find_face_crops(const LoadedDataset& data, const std::string& face,
                          kernels::Communicator& communicator,
                          const std::function<void(std::int64_t done)>& progress = {});

}  // namespace maskwatch::apps
