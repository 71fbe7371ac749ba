// A contact sheet: many small images side by side on one, for people to look over.
#pragma once

#include <vector>

#include "vision/image/image.h"

namespace maskwatch::apps {

// More do not go onto a contact sheet.
inline constexpr int kSheetImages = 60;

// The whole image, scaled to fit into size x size.
vision::Image thumbnail(const vision::Image& image, int size);

// The first kSheetImages thumbnails of this size or less, each in the middle of its square, in rows
// of `columns`. RGB. Throws std::invalid_argument if there is none.
vision::Image contact_sheet(const std::vector<vision::Image>& thumbnails, int size,
                            int columns = 10);

}  // namespace maskwatch::apps
