// Readers of boxes: each format, and what people's folders hold besides.
#include "apps/training/boxes.h"
#include "apps/training/box_messages.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <sstream>

#include "apps/common/program.h"
#include "apps/training/boxes_files.h"
#include "apps/training/boxes_yolo.h"
#include "tests/apps/temporary_folder.h"
#include "tests/shared_data.h"

using namespace maskwatch;

namespace {

void picture(const std::string& path, int width = 40, int height = 20) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  vision::save_image(path, vision::Image(width, height));
}

std::string voc(const std::string& file, const std::string& objects, int width = 40,
                int height = 20) {
  return "<annotation><filename>" + file + "</filename><size><width>" + std::to_string(width) +
         "</width><height>" + std::to_string(height) + "</height></size>" + objects +
         "</annotation>";
}

std::string object(const std::string& name, const std::string& box, bool difficult = false) {
  std::array<std::string, 4> edges;
  std::istringstream words(box);
  for (std::string& edge : edges) words >> edge;
  return "<object><name>" + name + "</name><difficult>" + (difficult ? "1" : "0") +
         "</difficult><bndbox><xmin>" + edges[0] + "</xmin><ymin>" + edges[1] + "</ymin><xmax>" +
         edges[2] + "</xmax><ymax>" + edges[3] + "</ymax></bndbox></object>";
}

bool same_box(const vision::Box& a, const vision::Box& b) {
  const auto near = [](float x, float y) { return std::abs(x - y) < 1e-3f; };
  return near(a.x, b.x) && near(a.y, b.y) && near(a.width, b.width) && near(a.height, b.height);
}

// "name: reason" of each file left out.
std::string told(const std::vector<apps::SkippedFile>& files) {
  std::string text;
  for (const auto& file : files)
    text += std::filesystem::path(file.path).filename().string() + ": " + file.reason + "\n";
  return text;
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("Pascal VOC: classes by their usual names, difficult faces ignored, negatives") {
  const TemporaryFolder folder;
  picture(folder / "JPEGImages/1.png");
  picture(folder / "JPEGImages/2.png");
  folder.write("Annotations/1.xml", voc("1.png", object("with_mask", "2 3 12 18") +
                                                     object("mask_weared_incorrect", "20 1 30 9") +
                                                     object("No-Mask", "31 1 40 20", true)));
  folder.write("Annotations/2.xml", voc("2.png", ""));
  const auto data = apps::read_boxes({folder.path()});
  REQUIRE(data.pictures.size() == 2);
  CHECK(told(data.skipped) == "");
  CHECK(told(data.dropped_boxes) == "");
  const auto& faces = data.pictures[0].faces;
  REQUIRE(faces.size() == 3);
  CHECK(faces[0].label == 0);
  CHECK(same_box(faces[0].box, {2, 3, 10, 15}));
  CHECK(faces[1].label == 2);
  CHECK(faces[2].ignored);
  CHECK(data.pictures[1].faces.empty());
  CHECK(apps::face_counts(data) == std::vector<std::int64_t>{1, 0, 1, 0});
}

TEST_CASE("Pascal VOC: the picture beside the file counts more than the name in it") {
  const TemporaryFolder folder;
  picture(folder / "JPEGImages/1.png");
  picture(folder / "JPEGImages/2.png");
  picture(folder / "elsewhere/3.png");
  folder.write("Annotations/1.xml", voc("2.png", object("with_mask", "2 3 12 18")));
  folder.write("Annotations/3.xml", voc("2.png", object("without_mask", "2 3 12 18")));
  const auto data = apps::read_boxes({folder.path()});
  REQUIRE(data.pictures.size() == 2);
  CHECK(data.pictures[0].name == "JPEGImages/1.png");
  CHECK(data.pictures[0].faces[0].label == 0);
  CHECK(data.pictures[1].name == "JPEGImages/2.png");  // 3.png is not beside its file
  CHECK(data.pictures[1].faces[0].label == 1);
  CHECK(apps::files_of(data).size() == 4);
}

TEST_CASE("YOLO: a box with five landmarks is no polygon") {
  const TemporaryFolder folder;
  picture(folder / "a.png");
  picture(folder / "b.png");
  folder.write("a.txt", "0 0.5 0.5 0.4 0.6 0.4 0.4 0.6 0.4 0.5 0.5 -1 -1 0.6 0.7\n");
  folder.write("b.txt",
               "0 0.1 0.1 0.9 0.1 0.9 0.9 0.5 0.9 0.1 0.9 0.1 0.5 0.1 0.3\n");  // seven points
  const auto data = apps::read_boxes({folder.path()}, {apps::ClassMap({"mask=0"})});
  REQUIRE(data.pictures.size() == 2);
  CHECK(told(data.dropped_boxes) == "");
  CHECK(same_box(data.pictures[0].faces[0].box, {12, 4, 16, 12}));
  CHECK(same_box(data.pictures[1].faces[0].box, {4, 2, 32, 16}));
}

TEST_CASE("pictures without boxes come last, with the class that their nearest folder means") {
  const TemporaryFolder folder;
  picture(folder / "boxed/z.png");
  folder.write("boxed/z.xml", voc("z.png", object("with_mask", "2 3 12 18")));
  picture(folder / "mask/people/without_mask/day/1.png");
  picture(folder / "mask/people/2.png");
  apps::BoxOptions options;
  options.without_boxes = {folder / "mask/people"};
  const auto data = apps::read_boxes({folder / "boxed"}, options);
  REQUIRE(data.pictures.size() == 3);
  CHECK(data.pictures[0].name == "z.png");
  CHECK_FALSE(data.pictures[0].without_boxes);
  CHECK(data.pictures[1].name == "2.png");
  CHECK(data.pictures[1].without_boxes);
  CHECK(data.pictures[1].class_of_faces == apps::kUnlabelled);  // "mask" is above what was given
  CHECK(data.pictures[2].class_of_faces == 1);
  CHECK(data.pictures[2].source == "people");
  CHECK(has(apps::summary_of(data), "3 pictures, 0 without a face, 2 without boxes"));
}

TEST_CASE("YOLO: shares become pixels; names from classes.txt, data.yaml or the command line") {
  const TemporaryFolder folder;
  picture(folder / "train/images/a.png");
  picture(folder / "valid/images/a.png", 20, 40);
  folder.write("train/labels/a.txt", "1 0.5 0.5 0.5 1.0\n\n0 0.25 0.5 0.1 0.2\r\n");
  folder.write("valid/labels/a.txt", "0 0.1 0.1 0.3 0.1 0.3 0.4\n");
  const auto check = [&](const apps::BoxDataset& data) {
    REQUIRE(data.pictures.size() == 2);
    CHECK(told(data.skipped) == "");
    REQUIRE(data.pictures[0].faces.size() == 2);
    CHECK(data.pictures[0].faces[0].label == 1);
    CHECK(same_box(data.pictures[0].faces[0].box, {10, 0, 20, 20}));
    CHECK(data.pictures[0].faces[1].label == 0);
    REQUIRE(data.pictures[1].faces.size() == 1);  // a polygon
    CHECK(same_box(data.pictures[1].faces[0].box, {2, 4, 4, 12}));
  };
  CHECK(has(message_of([&] { apps::read_boxes({folder.path()}); }), "'0' (2 boxes"));
  check(apps::read_boxes({folder.path()}, {apps::ClassMap({"mask=0", "no_mask=1"}), {}}));
  folder.write("data.yaml", "nc: 2\n");
  const std::string unnamed = message_of([&] { apps::read_boxes({folder.path()}); });
  CHECK(has(unnamed, "'0' (2 boxes"));
  CHECK(has(unnamed, "data.yaml: no \"names:\" in it (say it with --classes"));
  for (const char* yaml :
       {"train: x\nnames: ['mask', \"no_mask\"] # both\nnc: 2\n", "names: {0: mask, 1: no_mask}\n",
        "nc: 2\nnames:\n- mask\n- no_mask\ntrain: x\n",
        "names:\n  0: mask  # first\n\n  1: no_mask\ntrain: x\n"}) {
    CAPTURE(yaml);
    folder.write("data.yaml", yaml);
    check(apps::read_boxes({folder.path()}));
    check(apps::read_boxes({folder / "data.yaml"}));
  }
  folder.write("classes.txt", "mask\r\nno_mask\r\n");
  check(apps::read_boxes({folder.path()}));  // both say the same
  std::filesystem::remove(folder / "data.yaml");
  check(apps::read_boxes({folder.path()}));
}

TEST_CASE(
    "YOLO: two files that name the classes differently are refused, one that knows more not") {
  const TemporaryFolder folder;
  picture(folder / "images/a.png");
  folder.write("labels/a.txt", "1 0.5 0.5 0.5 0.5\n2 0.2 0.2 0.1 0.1\n");
  folder.write("classes.txt", "mask\nno_mask\n");
  folder.write("data.yaml", "names: [mask, no_mask, worn_wrongly]\n");
  const auto data = apps::read_boxes({folder.path()});
  REQUIRE(data.pictures.size() == 1);
  REQUIRE(data.pictures[0].faces.size() == 2);
  CHECK(data.pictures[0].faces[1].label == 2);
  for (const char* other : {"data.yaml", "labels/obj.names"}) {
    folder.write("data.yaml", "names: [mask, no_mask]\n");
    folder.write(
        other, other == std::string("data.yaml") ? "names: [no_mask, mask]\n" : "no_mask\nmask\n");
    CAPTURE(other);
    for (const char* given : {"", "data.yaml", "labels/a.txt"}) {
      const std::string text = message_of([&] { apps::read_boxes({folder / given}); });
      CAPTURE(text);
      CHECK(has(text, "/classes.txt"));
      CHECK(has(text, std::string("/") + other));
      CHECK(has(text, "contradict each other: class 0 is called "));
    }
  }
  // Who has no YOLO does not need them.
  std::filesystem::remove(folder / "labels/a.txt");
  folder.write("labels/a.xml", voc("a.png", object("mask", "1 1 9 9")));
  CHECK(apps::read_boxes({folder.path()}).pictures.size() == 1);
}

TEST_CASE("COCO: crowds are ignored regions; pictures without an annotation are background") {
  const TemporaryFolder folder;
  picture(folder / "images/1.png");
  picture(folder / "images/2.png");
  folder.write("annotations/instances.json", R"({
    "images": [{"id": 7, "file_name": "1.png", "width": 40, "height": 20},
               {"id": 8, "file_name": "2.png", "width": 40, "height": 20}],
    "categories": [{"id": 3, "name": "face"}, {"id": 4, "name": "person"}],
    "annotations": [{"image_id": 7, "category_id": 3, "bbox": [1, 2, 3, 4]},
                    {"image_id": 7, "category_id": 4, "bbox": [1, 2, 30, 14]},
                    {"image_id": 7, "category_id": 3, "bbox": [10, 2, 30, 14], "iscrowd": 1}]})");
  const apps::BoxOptions options{apps::ClassMap({"other=person"}), {}};
  for (const std::string& from : {folder.path(), folder / "annotations/instances.json"}) {
    const auto data = apps::read_boxes({from}, options);
    REQUIRE(data.pictures.size() == 2);
    REQUIRE(data.pictures[0].faces.size() == 2);
    CHECK(data.pictures[0].faces[0].label == apps::kUnlabelled);
    CHECK_FALSE(data.pictures[0].faces[0].ignored);
    CHECK(data.pictures[0].faces[1].ignored);
    CHECK(data.pictures[1].faces.empty());
    CHECK(apps::face_counts(data) == std::vector<std::int64_t>{0, 0, 0, 1});
  }
  CHECK(has(message_of([&] { apps::read_boxes({folder.path()}); }), "'person' (1 boxes"));
}

TEST_CASE("FDDB: a box around each ellipse, names without extension") {
  const TemporaryFolder folder;
  picture(folder / "2002/08/img_1.png", 100, 100);
  picture(folder / "2003/08/img_1.png", 100, 100);
  folder.write("ellipses.txt",
               "2002/08/img_1\n2\n20 10 0 50 40  1\n20 10 1.5707963 50 40  1\n2003/08/img_1\n0\n");
  const auto data = apps::read_boxes({folder.path()});
  REQUIRE(data.pictures.size() == 2);
  REQUIRE(data.pictures[0].faces.size() == 2);
  CHECK(same_box(data.pictures[0].faces[0].box, {30, 30, 40, 20}));
  CHECK(same_box(data.pictures[0].faces[1].box, {40, 20, 20, 40}));
  CHECK(data.pictures[0].faces[0].label == apps::kUnlabelled);
  CHECK(data.pictures[1].faces.empty());
}

TEST_CASE("FDDB: what is no ellipse is named") {
  const TemporaryFolder folder;
  picture(folder / "1.png", 100, 100);
  for (const char* line :
       {"20 10 4 50 40 1", "20 0 0 50 40 1", "-20 10 0 50 40", "20 10 0 50", "1 2 3 4 5 6 7"}) {
    CAPTURE(line);
    folder.write("ellipses.txt", std::string("1.png\n1\n") + line + "\n");
    CHECK(has(message_of([&] { apps::read_boxes({folder.path()}); }),
              "ellipses.txt: line 3 is not an ellipse"));
  }
}

TEST_CASE(
    "WIDER FACE: boxes of faces of unknown class, invalid ones ignored, none as a line of zeros") {
  const TemporaryFolder folder;
  for (const char* name : {"1", "2", "3"})
    picture(folder / "images/0--Parade/" + name + ".png", 100, 100);
  const std::string none = "0--Parade/3.png\n0\n0 0 0 0 0 0 0 0 0 0 \n";
  const std::string faces =
      "0--Parade/1.png\n2\n10 20 30 40 0 0 0 0 0 0 \n50 60 7 8 2 1 1 1 2 1 \n"
      "0--Parade/2.png\n1\n1 2 3 4 2 0 0 0 0 0 \n";
  for (const std::string& text : {faces + none, none + faces}) {
    folder.write("wider_face_val_bbx_gt.txt", text);
    const auto data = apps::read_boxes({folder.path()});
    CHECK(told(data.skipped) == "");
    REQUIRE(data.pictures.size() == 3);
    REQUIRE(data.pictures[0].faces.size() == 2);
    CHECK(same_box(data.pictures[0].faces[0].box, {10, 20, 30, 40}));
    CHECK(data.pictures[0].faces[0].label == apps::kUnlabelled);
    CHECK_FALSE(data.pictures[0].faces[0].ignored);
    CHECK(data.pictures[0].faces[1].ignored);
    CHECK(same_box(data.pictures[1].faces[0].box, {1, 2, 3, 4}));
    CHECK(data.pictures[2].faces.empty());
  }
  folder.write("wider_face_val_bbx_gt.txt", "1.png\n2\n1 2 3 4 0 0 0 0 0 0\n1 2 3 4 0 0 0 7 0 0\n");
  CHECK(has(message_of([&] { apps::read_boxes({folder.path()}); }),
            "line 4 is not a face of WIDER FACE"));
}

TEST_CASE("our own boxes.json: sources, ignored faces, pictures in another size") {
  const TemporaryFolder folder;
  picture(folder / "images/1.png", 80, 40);
  picture(folder / "images/2.png", 20, 40);
  folder.write("boxes.json", R"([
    {"file": "images/1.png", "source": "here", "width": 40, "height": 20, "faces": [
      {"box": [1, 2, 3, 4], "label": "without_mask"},
      {"box": [10, 2, 3, 4], "label": "without_mask", "ignored": true}]},
    {"file": "images/2.png", "width": 40, "height": 20, "faces": []}])");
  const auto data = apps::read_boxes({folder.path()});
  REQUIRE(data.pictures.size() == 1);
  CHECK(data.pictures[0].source == "here");
  CHECK(data.rescaled_pictures == 1);
  CHECK(same_box(data.pictures[0].faces[0].box, {2, 4, 6, 8}));
  CHECK(data.pictures[0].faces[1].ignored);
  CHECK(told(data.skipped) == "2.png: is 20x40 where its annotation says 40x20\n");
}

TEST_CASE("numbers and flags as texts count as what they say; what says neither is named") {
  const TemporaryFolder folder;
  picture(folder / "1.png", 80, 40);
  const auto read = [&] {
    return apps::read_boxes({folder.path()}, {apps::ClassMap({"mask=1", "no_mask=2"}), {}});
  };
  const auto refused = [&](const std::string& file, const std::string& text,
                           const std::string& part) {
    folder.write(file, text);
    const std::string fault = message_of(read);
    INFO(fault);
    CHECK(has(fault, file + ": " + part));
    std::filesystem::remove(folder / file);
  };
  folder.write("boxes.json", R"([{"file": "1.png", "width": "40", "height": 20.0, "faces": [
      {"box": ["1", 2, "3.5", 4], "label": 1, "ignored": "false"},
      {"box": [10, 2, 3, 4], "label": "2", "ignored": "true"}, {"box": [1, 2, "x", 4]}]}])");
  {
    const auto data = read();
    CHECK(data.rescaled_pictures == 1);
    const auto& faces = data.pictures[0].faces;
    REQUIRE(faces.size() == 2);
    CHECK(same_box(faces[0].box, {2, 4, 7, 8}));
    CHECK(faces[0].label == 0);
    CHECK_FALSE(faces[0].ignored);
    CHECK(faces[1].ignored);
    CHECK(has(told(data.dropped_boxes), "a face has no \"box\" of four numbers"));
  }
  std::filesystem::remove(folder / "boxes.json");
  const auto own = [](const std::string& fields, const std::string& of_face) {
    return R"([{"file": "1.png", )" + fields + R"("faces": [{"box": [1, 2, 3, 4])" + of_face +
           "}]}]";
  };
  refused("boxes.json", own(R"("width": "40px", )", ""), "[0].width is not a number of pixels");
  refused("boxes.json", own(R"("height": -20, )", ""), "[0].height is not a number of pixels");
  refused("boxes.json", own(R"("width": [40], )", ""), "[0].width is neither a text nor a number");
  refused("boxes.json", own("", R"(, "ignored": "perhaps")"),
          "[0].faces[0].ignored is neither true nor false");
  refused("boxes.json", own("", R"(, "label": ["mask"])"),
          "[0].faces[0].label is neither a text nor a number");
  const std::string box = object("1", "2 4 12 14");
  std::string odd_size = voc("1.png", box, 80, 40);
  odd_size.replace(odd_size.find("80"), 2, "1024px");
  refused("1.xml", odd_size, "<width> is not a number of pixels: '1024px'");
  std::string odd_flag = voc("1.png", box, 80, 40);
  odd_flag.replace(odd_flag.find("<difficult>") + 11, 1, "hard");
  refused("1.xml", odd_flag, "<difficult> is neither 0 nor 1: 'hard'");
  odd_flag.replace(odd_flag.find("hard"), 4, "True");
  folder.write("1.xml", odd_flag);
  CHECK(read().pictures[0].faces[0].ignored);
}

TEST_CASE("COCO: identifiers as numbers or texts; a category has one name") {
  const TemporaryFolder folder;
  picture(folder / "1.png");
  const auto coco = [](const std::string& categories, const std::string& category) {
    return R"({"images": [{"id": "1", "file_name": "1.png"}], "categories": [)" + categories +
           R"(], "annotations": [{"image_id": 1.0, )" + category + R"("bbox": [1, 2, 3, 4]}]})";
  };
  const auto refused = [&](const std::string& text, const std::string& part) {
    folder.write("coco.json", text);
    const std::string fault = message_of([&] { apps::read_boxes({folder.path()}); });
    INFO(fault);
    CHECK(has(fault, "coco.json: " + part));
  };
  const std::string masks = R"({"id": 3, "name": "mask"})";
  refused(coco(masks + R"(, {"id": "3", "name": "no_mask"})", R"("category_id": 3, )"),
          "the category 3 has two names: 'mask' and 'no_mask'");
  refused(coco(R"({"name": "mask"})", ""), "categories[0] has no \"id\"");
  folder.write("coco.json", coco(masks, ""));
  CHECK(has(told(apps::read_boxes({folder.path()}).dropped_boxes),
            "an annotation has no \"category_id\""));
  folder.write("coco.json", coco(masks + ", " + masks, R"("category_id": "3", )"));
  CHECK(apps::read_boxes({folder.path()}).pictures[0].faces[0].label == 0);
}

TEST_CASE("YOLO: a number with two names in data.yaml is refused") {
  for (const char* names : {"names: {0: mask, 0: no_mask}\n", "names:\n  0: mask\n  0: no_mask\n"})
    CHECK(message_of([&] { apps::parse_yaml_names(names); }) ==
          "the class 0 has two names: 'mask' and 'no_mask'");
  CHECK(apps::parse_yaml_names("names: {0: a, 0: a}") == std::vector<std::string>{"a"});
}

TEST_CASE("boxes in shares where pixels belong are refused") {
  const TemporaryFolder folder;
  picture(folder / "1.png");
  picture(folder / "2.png");
  const auto says = [&](const std::string& file, const std::string& text) {
    CAPTURE(file);
    folder.write(file, text);
    const std::string fault = message_of([&] { apps::read_boxes({folder.path()}); });
    CHECK(has(fault, file + ": its boxes are shares of the picture's sides, not pixels"));
    std::filesystem::remove(folder / file);
  };
  says("boxes.json", R"([{"file": "1.png", "faces": [{"box": [-0.002, 0.2, 0.5, 0.75]}]},
                         {"file": "2.png", "faces": [{"box": [0, 0, 1, 1]}]}])");
  says("coco.json", R"({"images": [{"id": 1, "file_name": "1.png"}],
                        "categories": [{"id": 1, "name": "face"}],
                        "annotations": [{"image_id": 1, "category_id": 1, "bbox": [0.5, 0.5, 0.1, 0.2]}]})");
  says("1.xml", voc("1.png", object("face", "0.1 0.1 0.5 0.5")));
  folder.write("boxes.json", R"([{"file": "1.png", "faces": [{"box": [0, 0, 0.5, 0.75]}]},
                                 {"file": "2.png", "faces": [{"box": [3, 3, 9, 9]}]}])");
  CHECK(apps::read_boxes({folder.path()}).pictures.size() == 2);
}

TEST_CASE("a folder whose name ends like a YAML file's is a folder") {
  const TemporaryFolder folder;
  picture(folder / "set.yolo/in.png");
  folder.write("set.yolo/in.txt", "0 0.5 0.5 0.1 0.1\n");
  picture(folder / "beside.png");
  folder.write("beside.txt", "0 0.5 0.5 0.1 0.1\n");
  const auto data = apps::read_boxes({folder / "set.yolo"}, {apps::ClassMap({"mask=0"}), {}});
  REQUIRE(data.pictures.size() == 1);
  CHECK(data.pictures[0].name == "in.png");
}

TEST_CASE("what is broken or misplaced is named and left out, and nothing else") {
  const TemporaryFolder folder;
  picture(folder / "good.png");
  folder.write("good.xml",
               voc("good.png", object("mask", "-5 2 10 18") + object("mask", "5 5 5 9") +
                                   object("mask", "9 9 4 12") + object("mask", "50 5 60 9") +
                                   object("mask", "1 2 x 4") + object("mask", "nan 2 3 4")));
  picture(folder / "alone.png");
  folder.write("lost.xml", voc("gone.png", ""));
  folder.write("lost.txt", "0 0.5 0.5 0.1 0.1\n");
  folder.write("empty.xml", "");
  folder.write("torn.xml", "<annotation><filename>x");
  folder.write("other.xml", "<html/>");
  folder.write("other.json", "{\"a\": 1}");
  folder.write("notes.txt", "two words\n");
  folder.write("zero.png", "");
  folder.write("zero.txt", "");
  picture(folder / "none.png");
  folder.write("none.txt", "");  // YOLO's way to say: no face
  picture(folder / "twice.png");
  folder.write("twice.txt", "0 0.5 0.5 0.1 0.1\n");
  folder.write("twice.xml", voc("twice.png", ""));
  picture(folder / "caption.png");
  folder.write("caption.txt", "a cat\n");
  picture(folder / "odd.png");
  folder.write("odd.txt", "0 0.5 0.5 0.1\n0 0.5 0.5 0.1 0.1\n0 50 50 10 10\n0.5 0 0 0.1 0.1\n");
  const auto data =
      apps::read_boxes({folder.path()}, {apps::ClassMap({"mask=0,mask", "no_mask=7"}), {}});
  std::vector<std::string> kept;
  for (const auto& each : data.pictures) kept.push_back(each.name);
  CHECK(kept == std::vector<std::string>{"good.png", "none.png", "odd.png", "twice.png"});
  CHECK(data.pictures[2].faces.size() == 1);
  CHECK(data.pictures[0].faces.size() == 1);
  CHECK(same_box(data.pictures[0].faces[0].box, {0, 2, 10, 16}));
  CHECK(data.cut_boxes == 1);
  CHECK(data.idle_rules == std::vector<std::string>{"7"});
  const std::string dropped = told(data.dropped_boxes);
  CHECK(std::count(dropped.begin(), dropped.end(), '\n') == 8);
  CHECK(has(dropped, "good.xml: good.png: the box at (5, 5) of 0 x 4 is empty"));
  CHECK(has(dropped, "(9, 9) of -5 x 3 is empty"));
  CHECK(has(dropped, "(50, 5) of 10 x 4 lies outside the picture"));
  CHECK(has(dropped, "odd.txt: odd.png: line 1 is not"));
  CHECK(has(dropped, "line 3 holds numbers that are not shares"));
  CHECK(has(dropped, "line 4 does not begin with the number of a class"));
  CHECK(has(dropped, "no number <xmax>"));
  CHECK(has(dropped, "no number <xmin>"));
  const std::string skipped = told(data.skipped);
  CHECK(has(skipped, "alone.png: a picture without annotation"));
  CHECK(has(skipped, "lost.xml: an annotation without picture: lost"));
  CHECK(has(skipped, "lost.txt: an annotation without picture: lost"));
  CHECK(has(skipped, "empty.xml: an empty file"));
  CHECK(has(skipped, "torn.xml: not XML"));
  CHECK(has(skipped, "other.xml: no <annotation>"));
  CHECK(has(skipped, "other.json: neither COCO's form nor"));
  CHECK(has(skipped, "notes.txt: neither a picture nor an annotation"));
  CHECK(has(skipped, "zero.png: "));
  CHECK(has(skipped, "twice.xml: twice.png is annotated already by twice.txt"));
  CHECK(has(skipped, "caption.txt: line 1 is not"));
  CHECK(has(skipped, "caption.png: a picture without annotation"));
}

TEST_CASE("pictures without a face by the folder; the same folder twice is refused") {
  const TemporaryFolder folder;
  picture(folder / "a/1.png");
  folder.write("a/1.txt", "0 0.5 0.5 0.2 0.2\n");
  folder.write("a/classes.txt", "face\n");
  picture(folder / "b/deep/2.png");
  const auto data = apps::read_boxes({folder / "a"}, {{}, {folder / "b"}});
  REQUIRE(data.pictures.size() == 2);
  CHECK(data.pictures[1].name == "deep/2.png");
  CHECK(data.pictures[1].faces.empty());
  CHECK(has(message_of([&] { apps::read_boxes({folder / "a", folder / "b/../a"}); }), "twice"));
}

TEST_CASE("a picture that two data sets hold is refused") {
  const TemporaryFolder folder;
  picture(folder / "a/images/1.png");
  picture(folder / "a/images/2.png");
  folder.write("a/boxes.json", R"([{"file": "images/1.png", "faces": [{"box": [1, 2, 3, 4]}]}])");
  const std::string a = folder / "a";
  const auto says = [&](const apps::BoxOptions& options, const std::vector<std::string>& datasets,
                        const std::string& by) {
    CHECK(message_of([&] {
            apps::read_boxes(datasets, options);
          }).ends_with("images/1.png: the picture is given twice, by -d " + a + " and by " + by));
  };
  says({}, {a, a + "/boxes.json"}, "-d " + a + "/boxes.json");
  says({{}, {a + "/images"}}, {a}, "--negatives " + a + "/images");
  says({{}, {}, {a + "/images"}}, {a}, "--without-boxes " + a + "/images");
  std::filesystem::create_directories(folder / "rest");
  std::filesystem::rename(folder / "a/images/2.png", folder / "rest/2.png");
  CHECK(apps::read_boxes({a}, {{}, {folder / "rest"}}).pictures.size() == 2);
}

TEST_CASE("folders that link to each other are each read once, by their own path") {
  const TemporaryFolder folder;
  constexpr int count = 12;  // whose paths are 12! many
  const auto inner = [&](int i) { return folder / ("set/" + std::to_string(i)); };
  for (int i = 0; i < count; ++i) picture(inner(i) + "/" + std::to_string(i) + ".png");
  for (int i = 0; i < count; ++i)
    for (int j = 0; j < count; ++j)
      if (i != j)
        std::filesystem::create_directory_symlink(inner(j), inner(i) + "/" + std::to_string(j));
  const apps::BoxFiles files(folder / "set");
  REQUIRE(files.pictures().size() == count);
  CHECK(files.pictures()[1] == "1/1.png");
  CHECK(files.skipped().size() >= count * (count - 1));
}

TEST_CASE("a data set that cannot be used is refused in one line") {
  const TemporaryFolder folder;
  std::filesystem::create_directories(folder / "empty");
  picture(folder / "bare/1.png");
  folder.write("zero.json", "");
  folder.write("torn.json", "[{");
  folder.write("lost.json", R"([{"file": "gone.png", "faces": []}])");
  folder.write("odd.csv", "a,b\n");
  picture(folder / "torn/1.png");
  folder.write("torn/boxes.json", "[{");
  picture(folder / "inf/1.png");
  folder.write("inf/boxes.json",
               R"([{"file": "1.png", "faces": [{"box": [1e999, 1, 2, 3], "label": "mask"}]}])");
  picture(folder / "faceless/1.png");
  folder.write("faceless/boxes.json", R"([{"file": "1.png"}])");
  picture(folder / "deep/1.png");
  folder.write("deep/boxes.json", std::string(200, '['));
  picture(folder / "renamed/1.png");
  folder.write("renamed/a.xml", voc("a.png", ""));
  folder.write("renamed/b.xml", voc("b.png", ""));
  const auto says = [&](const std::string& path, const std::string& part) {
    CHECK_THROWS_AS(apps::read_boxes({path}), std::runtime_error);
    const std::string text = message_of([&] { apps::read_boxes({path}); });
    INFO(text);
    CHECK(has(text, path));
    CHECK(has(text, part));
    CHECK_FALSE(has(text, "\n"));
  };
  says(folder / "nowhere", "no such folder or file");
  says(folder / "empty", "holds no pictures (jpg, jpeg, ");
  says(folder / "bare", "none of its pictures has an annotation");
  says(folder / "torn", "none of its pictures has an annotation; boxes.json: is not JSON");
  says(folder / "inf", "boxes.json: is not JSON: number overflow");
  says(folder / "faceless", "boxes.json: 1.png has no list \"faces\"");
  says(folder / "deep", "boxes.json: is not JSON: nested more than");
  says(folder / "renamed", "a.xml: an annotation without picture: a; and 1 more like it");
  says(folder / "zero.json", "an empty file");
  says(folder / "torn.json", "not JSON");
  says(folder / "lost.json", "none of the pictures that it names is there");
  says(folder / "odd.csv", "holds no boxes");
}

TEST_CASE("rules of classes: their own names first, no name with two meanings") {
  const apps::ClassMap map({"mask=Good,with mask", "no_mask=face", "Worn_Wrongly=x"});
  using Kind = apps::ClassMeaning::Kind;
  CHECK(map.meaning("Good") == apps::ClassMeaning{Kind::face, 0});
  CHECK(map.meaning("face") == apps::ClassMeaning{Kind::face, 1});
  CHECK(map.meaning("x") == apps::ClassMeaning{Kind::face, 2});
  CHECK(map.meaning("WITHOUT MASK") == apps::ClassMeaning{Kind::face, 1});
  CHECK(map.meaning("background") == apps::ClassMeaning{Kind::other, 0});
  CHECK_FALSE(map.meaning("good"));
  for (const char* rule : {"mask", "=a", "mask=", "helmet=a", "mask=a,,b"})
    CHECK_THROWS_AS(apps::ClassMap({rule}), apps::UsageError);
  CHECK_THROWS_AS(apps::ClassMap({"mask=a", "no_mask=a"}), apps::UsageError);
}

TEST_CASE("the data sets of ../shared are read whole") {
  REQUIRE_SHARED_DATA(dataset, "datasets/boxes");
  const auto boxes = apps::read_boxes({dataset});
  CHECK(boxes.pictures.size() == 4662);
  CHECK(told(boxes.skipped) == "");
  CHECK(apps::face_counts(boxes) == std::vector<std::int64_t>{3793, 4807, 816, 0});
  REQUIRE_SHARED_DATA(ellipses, "faces/fddb_subset/ellipses.txt");
  const auto fddb = apps::read_boxes({ellipses});
  CHECK(fddb.pictures.size() == 142);
  CHECK(apps::face_counts(fddb)[3] == 227);
}
