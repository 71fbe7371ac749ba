// The pictures of a data set with boxes, decoded into memory and scaled down to what training can
// use; and which of them show the same photograph.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "apps/training/boxes.h"
#include "kernels/communicator.h"

namespace maskwatch::apps {

// What a photograph looks like from far: whether grey rises from each point of an 8x8 grid to its
// right and lower neighbour. Copies in another size, compression or light differ in few bits.
struct PictureHash {
  std::uint64_t right = 0, down = 0;
  int distance(const PictureHash& other) const;  // bits, of 128
};

// Throws std::invalid_argument for an empty picture.
PictureHash picture_hash(const vision::Image& image);

struct DetectionPictures {
  // Without the broken pictures; sizes and boxes are those of `images`.
  BoxDataset data;
  std::vector<vision::Image> images;  // RGB
  std::vector<PictureHash> hashes, mirrored;
  std::vector<SkippedFile> broken;  // pictures that cannot be decoded
};

struct DetectionPicturesOptions {
  int longest_side = 640;        // larger pictures are scaled down to this
  std::size_t memory_limit = 0;  // bytes of all pixels; 0: half of the machine's memory
  // Called after each picture, from any thread but from one at a time; must not throw.
  std::function<void(std::int64_t done)> progress;
  // Its ranks share the decoding out, and each gets all pictures. Null: this process does it all.
  kernels::Communicator* communicator = nullptr;
};

// Decodes on all threads. Throws std::invalid_argument for a side below 32, and std::runtime_error
// when the pixels take more than the limit or no picture can be decoded, RankFault where another
// rank is lost.
DetectionPictures load_detection_pictures(BoxDataset data,
                                          const DetectionPicturesOptions& options = {});

// 64 bits over names, pixels' hashes and boxes: whether a data set is still the one that training
// began with.
std::uint64_t fingerprint(const DetectionPictures& pictures);

}  // namespace maskwatch::apps
