// A labelled data set in folders: which images there are, and which are copies of each other.
//   data set/with_mask/any/depth/1.jpg, data set/without_mask/2.png ...: the folder below the data
//   set names the class.
//   data set/Train/with_mask/1.jpg, data set/Test/with_mask/2.jpg ...: folders called train,
//   validation (val, valid, dev) and test, in any case, above those of the classes, or right below
//   each of them, split it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace maskwatch::apps {

// What a data set that is split by its folders has a picture for.
enum class DatasetPart { none, train, validation, test };

struct DatasetImage {
  std::string path;          // opens it
  std::string name;          // path below the data set: "with_mask/any/depth/1.jpg"
  int label = 0;             // index into Dataset::classes
  int group = 0;             // equal for files that are the same byte for byte
  std::uint64_t digest = 0;  // FNV-1a of its bytes
  DatasetPart part = DatasetPart::none;
};

struct SkippedFile {
  std::string path;
  std::string reason;
};

struct Dataset {
  std::vector<std::string> classes;         // in byte order
  std::vector<DatasetImage> images;         // in byte order of name
  std::vector<SkippedFile> skipped;         // in byte order of path
  std::vector<std::vector<int>> conflicts;  // copies that stand in more than one class, by index
};

std::vector<std::string> paths_of(const Dataset& dataset);

// Lists the images (by their extensions: vision/image/picture_kinds.h) of one or more data-set
// folders; classes of the same name are one. Everything else is listed in `skipped` with its
// reason: other files, images outside a class folder, files that cannot be read, hidden files and
// what macOS leaves behind (once a folder), folders that contain themselves through a link. The
// result depends on names and bytes alone, not on the order in which the system lists files, nor on
// threads. Throws std::runtime_error that names the folder: missing, a file, unreadable, without
// images, given twice, split by some of its folders alone, or fewer than `least_classes` classes in
// all. Either all of several data sets are split, or none.
Dataset scan_dataset(const std::vector<std::string>& folders, int least_classes = 2);

// Lists every image below the folders, in class folders or not, as one class without a name; the
// names are paths below the folder. Otherwise as scan_dataset.
Dataset scan_images(const std::vector<std::string>& folders);

// Places of at most `most` things among `count`, spread evenly, in rising order.
std::vector<std::size_t> spread_evenly(std::size_t count, std::size_t most);

// Images of each class.
std::vector<std::int64_t> class_counts(const Dataset& dataset);

// Whether its folders split it.
bool has_parts(const Dataset& dataset);
// Images of a part.
std::int64_t count_part(const Dataset& dataset, DatasetPart part);
// The images of all parts but this.
Dataset without_part(const Dataset& dataset, DatasetPart part);

// Images that are a copy of another that comes before them.
std::int64_t count_copies(const Dataset& dataset);

// 64 bits over classes, names and bytes: whether a data set is still the one that training began
// with.
std::uint64_t fingerprint(const Dataset& dataset);

// The images i with keep[i]; classes stay as they are.
Dataset filter_dataset(const Dataset& dataset, const std::vector<bool>& keep);

}  // namespace maskwatch::apps
