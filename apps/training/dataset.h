// A labelled data set in folders: which pictures there are, which are copies of each other, which
// side of the split each stands on, and their pixels.
//   data set/with_mask/any/depth/1.jpg, data set/without_mask/2.png ...: the folder below the data
//   set names the class.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace apps {

struct DatasetImage {
  std::string path;          // opens it
  std::string name;          // path below the data set: "with_mask/any/depth/1.jpg"
  int label = 0;             // index into Dataset::classes
  int group = 0;             // equal for files that are the same byte for byte
  std::uint64_t digest = 0;  // FNV-1a of its bytes
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

// Lists the pictures (jpg, jpeg, png, bmp, in any case) of one or more data-set folders; classes of
// the same name are one. Everything else is listed in `skipped` with its reason: other files,
// pictures outside a class folder, files that cannot be read, hidden folders, folders that contain
// themselves through a link. The result depends on names and bytes alone, not on the order in which
// the system lists files, nor on threads. Throws UsageError (a std::runtime_error) that names the
// folder: missing, a file, unreadable, without pictures, given twice, or fewer than `least_classes`
// classes in all.
Dataset scan_dataset(const std::vector<std::string>& folders, int least_classes = 2);

// Lists every picture below the folders, in class folders or not, as one class without a name; the
// names are paths below the folder. Otherwise as scan_dataset.
Dataset scan_pictures(const std::vector<std::string>& folders);

// Pictures of each class.
std::vector<std::int64_t> class_counts(const Dataset& dataset);

// Pictures that are a copy of another that comes before them.
std::int64_t count_copies(const Dataset& dataset);

// 64 bits over classes, names and bytes: whether a data set is still the one that training began
// with.
std::uint64_t fingerprint(const Dataset& dataset);

// The pictures i with keep[i]; classes stay as they are.
Dataset filter_dataset(const Dataset& dataset, const std::vector<bool>& keep);

// Indices into Dataset::images, ascending.
struct Split {
  std::vector<int> train;
  std::vector<int> validation;
};

// How many pictures of each class go to validation: ceil(validation * n) in all, in proportion to
// the classes by largest remainder, as scikit-learn's train_test_split(stratify=labels) does; then
// at least one picture of each class on each side, where it has two.
std::vector<std::int64_t> validation_counts(const std::vector<std::int64_t>& class_counts,
                                            double validation);

// A stratified split at random, the same for the same seed, names and bytes. Copies of one file
// stand on one side, and the counts are then as near to validation_counts as whole groups allow;
// with `allow_leakage` copies count as different pictures. Throws std::invalid_argument unless
// 0 < validation < 1, and UsageError that names a class that cannot stand on both sides.
Split split_dataset(const Dataset& dataset, double validation = 0.2, std::uint64_t seed = 42,
                    bool allow_leakage = false);

struct LoadOptions {
  // Bytes that the pixels may take; 0: half of the machine's memory.
  std::size_t memory_limit = 0;
  // Called after each picture, from any thread but from one at a time.
  std::function<void(std::int64_t done, std::int64_t total)> progress;
};

struct LoadedDataset {
  Dataset dataset;  // without the broken pictures
  int size = 0;
  std::vector<std::uint8_t> pixels;  // [images, size, size, 3], RGB
  std::vector<SkippedFile> broken;   // pictures that cannot be decoded; the reason names the file

  const std::uint8_t* image(int index) const {
    return pixels.data() + static_cast<std::size_t>(index) * image_bytes();
  }
  std::size_t image_bytes() const { return static_cast<std::size_t>(size) * size * 3; }
};

// Decodes every picture and scales it to size x size, on all threads; the aspect ratio is not kept,
// as in the original. The pixels stay in memory as 8-bit RGB: images * size * size * 3 bytes.
// Throws std::invalid_argument for size < 1, and UsageError when that is more than the limit, or
// when a class has no readable picture.
LoadedDataset load_images(const Dataset& dataset, int size, const LoadOptions& options = {});

}  // namespace apps
