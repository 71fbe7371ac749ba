// Pictures with boxes around their faces, read from other people's annotations: Pascal VOC, YOLO,
// COCO, FDDB, WIDER FACE and our own boxes.json (see the parsers boxes_*.h).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "apps/common/dataset.h"
#include "apps/training/boxes_classes.h"
#include "vision/image/image.h"

namespace maskwatch::apps {

struct FaceBox {
  vision::Box box;          // pixels, inside the picture
  int label = kUnlabelled;  // index into kFaceClasses
  bool ignored = false;     // neither a face nor background: not trained on, not judged
};

struct BoxPicture {
  std::string path;    // opens it
  std::string name;    // path below the data set
  std::string source;  // who took or gathered it; the data set's name unless the file says
  int width = 0, height = 0;
  std::vector<FaceBox> faces;  // none: the picture is background
  // Nobody has boxed its faces: it is for a teacher (apps/training/teacher.h).
  bool without_boxes = false;
  int class_of_faces = kUnlabelled;  // of such a picture, where its folder says so
};

struct BoxDataset {
  // In byte order of name, then path; those without boxes behind the others.
  std::vector<BoxPicture> pictures;
  std::vector<std::string> annotations;  // paths of the files that say where their faces are
  // Pictures and annotation files left out, and boxes left out (by the file that lists them); in
  // byte order of path.
  std::vector<SkippedFile> skipped, dropped_boxes;
  std::int64_t cut_boxes = 0;           // boxes that the picture's edge cut
  std::int64_t rescaled_pictures = 0;   // pictures in another size than their annotation says
  std::vector<std::string> idle_rules;  // names in --classes that no annotation has
};

struct BoxOptions {
  ClassMap classes;
  std::vector<std::string> negatives = {};  // folders of pictures without a face
  // Folders of pictures whose faces nobody has boxed. The class of a picture's faces is what the
  // nearest folder above it is called, down from the one given, if that means one:
  // photographs/with_mask/1.jpg.
  std::vector<std::string> without_boxes = {};
};

// Reads folders (searched to any depth) or single annotation files. A picture without annotation,
// an annotation without picture, broken files, and boxes that are empty or outside their picture
// are left out and listed. A picture that two files annotate counts once, by the first. Throws
// std::runtime_error for a picture that two data sets hold, a data set that is missing or has no
// picture with an annotation, a file named that cannot be read, files of class names that
// contradict each other, and for classes without a meaning.
BoxDataset read_boxes(const std::vector<std::string>& datasets, const BoxOptions& options = {});

// Paths of all files that a data set was read from.
std::vector<std::string> files_of(const BoxDataset& data);

// Faces that count, of each class; those without a class last.
std::vector<std::int64_t> face_counts(const BoxDataset& data);

}  // namespace maskwatch::apps
