// Boxes in JSON, two forms.
//   COCO: {"images": [{"id", "file_name", "width", "height"}], "categories": [{"id", "name"}],
//     "annotations": [{"image_id", "category_id", "bbox": [x, y, width, height], "iscrowd"}]}
//   Our own: [{"file", "source", "width", "height", "faces": [{"box": [x, y, width, height],
//     "label", "ignored"}]}]
#pragma once

#include <string_view>
#include <vector>

#include "apps/training/boxes_format.h"

namespace maskwatch::apps {

// Pictures in the order of the file; those without a box too. "iscrowd" and "ignore" are ignored
// regions. Numbers and flags may stand as texts ("width": "256"). FormatError for a text that is
// neither of the two, a field of another kind, and a category with two names.
std::vector<WrittenPicture> parse_json_boxes(std::string_view text);

}  // namespace maskwatch::apps
