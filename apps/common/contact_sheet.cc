#include "apps/common/contact_sheet.h"

#include <algorithm>
#include <stdexcept>

#include "vision/image/draw.h"
#include "vision/image/resize.h"

namespace maskwatch::apps {

vision::Image thumbnail(const vision::Image& image, int size) {
  const double scale = static_cast<double>(size) / std::max(image.width, image.height);
  const auto side = [&](int length) { return std::max(1, static_cast<int>(length * scale)); };
  return vision::resize(image, side(image.width), side(image.height));
}

vision::Image contact_sheet(const std::vector<vision::Image>& thumbnails, int size, int columns) {
  const int count = std::min(static_cast<int>(thumbnails.size()), kSheetImages);
  if (count == 0) throw std::invalid_argument("contact_sheet: no images");
  columns = std::min(count, columns);
  const int rows = (count + columns - 1) / columns;
  vision::Image sheet(columns * size, rows * size);
  for (int i = 0; i < count; ++i) {
    const vision::Image& image = thumbnails[static_cast<std::size_t>(i)];
    vision::paste(sheet, image, i % columns * size + (size - image.width) / 2,
                  i / columns * size + (size - image.height) / 2);
  }
  return sheet;
}

}  // namespace maskwatch::apps
