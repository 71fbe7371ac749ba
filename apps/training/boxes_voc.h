// Pascal VOC's annotations: one XML file a picture.
//   <annotation><filename>1.jpg</filename><size><width>304</width><height>203</height></size>
//     <object><name>with_mask</name><difficult>0</difficult>
//       <bndbox><xmin>147</xmin><ymin>64</ymin><xmax>175</xmax><ymax>99</ymax></bndbox></object>
#pragma once

#include <string_view>

#include "apps/training/boxes_format.h"

namespace maskwatch::apps {

// Boxes span from (xmin, ymin) to (xmax, ymax), as today's tools write them. What is "difficult" is
// ignored. FormatError for a text that is not XML or has no <annotation>.
WrittenPicture parse_voc(std::string_view text);

}  // namespace maskwatch::apps
