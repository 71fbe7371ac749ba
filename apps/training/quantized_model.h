// A trained classifier in int8 (nn/quantize.h), right after training: ranges from images that it
// learned from, and what it answers on those kept for validation.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "apps/training/face_crops.h"
#include "apps/training/load_images.h"
#include "apps/training/trainer.h"

namespace maskwatch::apps {

// Writes `output`: the classifier of `model_file` in int8, as quantize_model makes one with its
// usual options. Its ranges come from at most nn::kCalibrationPictures of the images `indices`,
// spread evenly; where the face in an image is known, from that. done(i) follows each, of `count`.
void write_quantized(
    const std::string& model_file, const std::string& output, const LoadedDataset& data,
    const std::vector<int>& indices, const FaceCrops* faces,
    const std::function<void(std::int64_t done, std::int64_t count)>& progress = {});

// What the classifier of a file answers on the images `indices`, as they are, on the CPU.
Evaluation evaluate_file(const std::string& model_file, const LoadedDataset& data,
                         const std::vector<int>& indices);

}  // namespace maskwatch::apps
