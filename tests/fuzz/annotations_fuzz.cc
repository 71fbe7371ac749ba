// Annotations of boxes. The first byte says how the rest is read: v (Pascal VOC), y (YOLO), j (COCO
// and our own JSON), f (FDDB and WIDER FACE), c (classes.txt), d (data.yaml).
#include "apps/training/boxes_counted.h"
#include "apps/training/boxes_json.h"
#include "apps/training/boxes_voc.h"
#include "apps/training/boxes_yolo.h"
#include "tests/fuzz/fuzz.h"

namespace maskwatch::fuzz {
namespace {

std::vector<std::string> seeds() {
  return {
      "v<annotation><filename>1.jpg</filename><size><width>30</width><height>20</height></size>"
      "<object><name>with_mask</name><difficult>0</difficult><bndbox><xmin>1</xmin><ymin>2</ymin>"
      "<xmax>11</xmax><ymax>12</ymax></bndbox></object></annotation>",
      "y0 0.5 0.5 0.2 0.3\n1 0.1 0.1 0.2 0.2 0.9\n2 0.1 0.1 0.2 0.1 0.2 0.3\n",
      R"(j{"images":[{"id":1,"file_name":"1.jpg","width":30,"height":20}],)"
      R"("categories":[{"id":3,"name":"with_mask"}],)"
      R"("annotations":[{"image_id":1,"category_id":3,"bbox":[1,2,10,10],"iscrowd":0}]})",
      R"(j[{"file":"1.jpg","source":"s","width":30,"height":20,)"
      R"("faces":[{"box":[1,2,10,10],"label":"with_mask","ignored":true}]}])",
      "f2002/08/11/big/img_591\n1\n123.58 85.54 1.265 269.69 161.78 1\n",
      "f0--Parade/1.jpg\n1\n449 330 122 149 0 0 0 0 0 0\n0--Parade/2.jpg\n0\n0 0 0 0 0 0 0 0 0 0\n",
      "cwith_mask\nwithout_mask\n\n",
      "dnames: ['with_mask', \"without_mask\"]\nnc: 2\n",
      "dnames:\n  0: with_mask\n  1: 'it''s'\n",
      "dnames:\n- a\n- b # c\n",
  };
}

bool run(std::string_view bytes) {
  if (bytes.empty()) return false;
  const std::string_view text = bytes.substr(1);
  return expect_faults([&] {
    switch (bytes[0]) {
      case 'v':
        apps::parse_voc(text);
        break;
      case 'y':
        apps::is_yolo(text);
        apps::parse_yolo(text, {"with_mask", "without_mask"});
        break;
      case 'j':
        apps::parse_json_boxes(text);
        break;
      case 'f':
        apps::is_counted(text);
        apps::parse_counted(text);
        break;
      case 'c':
        apps::parse_class_list(text);
        break;
      default:
        apps::parse_yaml_names(text);
    }
  });
}

}  // namespace

const Target annotations{"annotations", seeds, run, nullptr, true};

}  // namespace maskwatch::fuzz
