// Lists the images of data-set folders and finds exact copies among them.
#include "apps/common/dataset.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <string_view>
#include <tuple>
#include <utility>

#include "base/hash.h"
#include "base/parallel.h"
#include "base/printable.h"
#include "vision/image/image.h"
#include "vision/image/picture_kinds.h"
#include "vision/masks/labels.h"

namespace maskwatch::apps {
namespace {

namespace fs = std::filesystem;

constexpr const char* kLayoutHint =
    "a data set is a folder that holds one folder of pictures for each class, such as with_mask "
    "and without_mask";

const std::string kKinds = fmt::format(" ({})", vision::kPictureExtensions);
constexpr const char* kNotAPicture = "not a picture by its extension";

[[noreturn]] void fail(const std::string& what, const std::string& hint = "") {
  throw std::runtime_error(hint.empty() ? what : what + " (" + hint + ")");
}

// Labels are printed, and stored in models as JSON: they must be UTF-8 without control characters.
bool is_printable_utf8(const std::string& text) {
  return !text.empty() && text.find_first_of("\n\r\t") == std::string::npos &&
         printable(text) == text;
}

// The folders above a file, from the data set's down: "a/b/1.jpg" gives a and b.
std::vector<std::string> folders_of(const std::string& name) {
  std::vector<std::string> folders;
  for (std::size_t at = 0, slash; (slash = name.find('/', at)) != std::string::npos; at = slash + 1)
    folders.push_back(name.substr(at, slash - at));
  return folders;
}

// "Train", "training_set", "val", "02-test" ...
DatasetPart part_of_name(const std::string& folder) {
  std::string word;
  for (const char c : folder)
    if (std::isalpha(static_cast<unsigned char>(c)) != 0)
      word += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  for (const std::string_view end : {"images", "data", "set", "split"})
    if (word.size() > end.size() && word.ends_with(end)) word.resize(word.size() - end.size());
  for (const char* name : {"train", "training"})
    if (word == name) return DatasetPart::train;
  for (const char* name : {"val", "valid", "validation", "dev"})
    if (word == name) return DatasetPart::validation;
  for (const char* name : {"test", "testing", "eval", "evaluation", "holdout"})
    if (word == name) return DatasetPart::test;
  return DatasetPart::none;
}

struct FoundImage {
  DatasetImage image;
  std::string class_name;
};

// Walks data-set folders; gathers images in any order.
class Scanner {
 public:
  std::vector<FoundImage> images;
  std::vector<SkippedFile> skipped;

  void add_root(const std::string& root);
  // Whatever lies below belongs to one class without a name.
  void add_flat_root(const std::string& root);

 private:
  using FolderId = std::pair<dev_t, ino_t>;

  void enter_root(const std::string& root, const char* hint);
  void read_parts(const std::string& root, std::size_t first);
  void take_parts(std::size_t first);
  std::vector<fs::directory_entry> visible_entries(const fs::path& folder);
  void list_class(const fs::path& folder, const std::string& class_name);
  void walk(const fs::path& folder, const std::string& name, const std::string& class_name);
  void add_file(const fs::path& path, const std::string& name, const std::string& class_name);
  void skip(const fs::path& path, const std::string& reason) {
    skipped.push_back({path.string(), reason});
  }

  void walk_links(const std::string& class_name);

  struct Folder {
    fs::path path;
    std::string name;
  };

  FolderId root_{};
  // Of a class. Folders that link to each other have more paths than anyone can walk, so each is
  // read once, and by its own path where it has one: links wait until the end.
  std::set<FolderId> walked_;
  std::vector<Folder> links_;
};

// By name.
std::vector<fs::directory_entry> entries_of(const fs::path& folder) {
  std::vector<fs::directory_entry> entries;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error))
    entries.push_back(*it);
  if (error) fail(folder.string() + ": cannot list the folder: " + error.message());
  std::sort(entries.begin(), entries.end());
  return entries;
}

// All but hidden files, of which only their number is told, and hidden folders.
std::vector<fs::directory_entry> Scanner::visible_entries(const fs::path& folder) {
  std::vector<fs::directory_entry> entries = entries_of(folder);
  int hidden = 0;
  std::erase_if(entries, [&](const fs::directory_entry& entry) {
    if (!vision::is_hidden_name(entry.path().filename().string())) return false;
    std::error_code ignored;
    if (entry.is_directory(ignored))
      skip(entry.path(), "hidden folder");
    else
      ++hidden;
    return true;
  });
  if (hidden > 0)
    skip(folder, hidden == 1 ? "1 hidden file" : fmt::format("{} hidden files", hidden));
  return entries;
}

void Scanner::enter_root(const std::string& root, const char* hint) {
  struct stat status {};
  if (stat(root.c_str(), &status) != 0) {
    if (errno == ENOENT) fail(root + ": no such folder", hint);
    fail(root + ": cannot open the folder: " + std::strerror(errno));
  }
  if (!S_ISDIR(status.st_mode)) fail(root + ": is not a folder", hint);
  root_ = {status.st_dev, status.st_ino};
}

void Scanner::add_flat_root(const std::string& root) {
  enter_root(root, "");
  const std::size_t before = images.size();
  walked_.clear();
  walk(root, "", "");
  walk_links("");
  if (images.size() == before) fail(root + ": holds no pictures" + kKinds);
}

void Scanner::add_root(const std::string& root) {
  enter_root(root, kLayoutHint);
  const std::size_t before = images.size();
  bool loose_pictures = false;
  for (const fs::directory_entry& entry : visible_entries(root)) {
    std::error_code ignored;
    if (entry.is_directory(ignored)) {
      list_class(entry.path(), entry.path().filename().string());
    } else {
      const bool picture = vision::has_image_extension(entry.path().string());
      loose_pictures |= picture;
      skip(entry.path(), picture ? "not in a class folder" : kNotAPicture);
    }
  }
  if (images.size() > before) return read_parts(root, before);
  if (loose_pictures) fail(root + ": its pictures are not in class folders", kLayoutHint);
  fail(root + ": holds no pictures" + kKinds, kLayoutHint);
}

// What the folders right below a data set are, and what their pictures lie in.
struct TopFolder {
  DatasetPart part = DatasetPart::none;  // by its name
  bool has_pictures = false;             // not in a folder of it
  bool has_folders = false;              // with pictures
};

std::string names_of(const std::map<std::string, TopFolder>& folders, bool parts) {
  std::string names;
  for (const auto& [name, folder] : folders)
    if ((folder.part != DatasetPart::none) == parts) names += (names.empty() ? "" : ", ") + name;
  return names;
}

// Of the images from the `first` on, which are those of this data set.
void Scanner::read_parts(const std::string& root, std::size_t first) {
  std::map<std::string, TopFolder> tops;
  bool parts_below_classes = true;
  for (std::size_t i = first; i < images.size(); ++i) {
    const std::vector<std::string> folders = folders_of(images[i].image.name);
    TopFolder& top = tops[folders[0]];
    top.part = part_of_name(folders[0]);
    (folders.size() > 1 ? top.has_folders : top.has_pictures) = true;
    parts_below_classes &= folders.size() > 1 && part_of_name(folders[1]) != DatasetPart::none;
  }
  const auto count = [&](auto&& holds) {
    return std::count_if(tops.begin(), tops.end(), [&](const auto& top) { return holds(top); });
  };
  const auto parts = count([](const auto& top) { return top.second.part != DatasetPart::none; });
  if (parts == 0) {
    if (!parts_below_classes) return;
    for (std::size_t i = first; i < images.size(); ++i)
      images[i].image.part = part_of_name(folders_of(images[i].image.name)[1]);
    return;
  }
  const auto split = count([](const auto& top) {
    return top.second.part != DatasetPart::none && top.second.has_folders;
  });
  const auto all = static_cast<std::ptrdiff_t>(tops.size());
  const bool beside_classes = count([](const auto& top) {
                                return vision::meaning_of(top.first) != vision::LabelMeaning::other;
                              }) > 0;
  if (parts < all) {  // a class may be called "train" where that is a vehicle
    if (split == 0 && !beside_classes) return;
    const std::string part = std::find_if(tops.begin(), tops.end(), [](const auto& top) {
                               return top.second.part != DatasetPart::none;
                             })->first;
    fail(fmt::format("{}: the folders {} are parts of a split, but beside them lie {}", root,
                     names_of(tops, true), names_of(tops, false)),
         fmt::format("move one or the other away, or name parts alone: -d '{}'",
                     (fs::path(root) / part).string()));
  }
  if (split == 0 && all > 1)
    fail(fmt::format("{}: in the parts of its split, {}, pictures are not in class folders", root,
                     names_of(tops, true)),
         "each part holds one folder of pictures for each class, such as with_mask and "
         "without_mask");
  if (split == 0) return;  // one class of that name
  take_parts(first);
}

// Of a data set whose folders are its parts, and theirs its classes.
void Scanner::take_parts(std::size_t first) {
  const auto loose = [&](const FoundImage& found) {
    return folders_of(found.image.name).size() < 2;
  };
  for (std::size_t i = first; i < images.size(); ++i)
    if (loose(images[i])) skip(images[i].image.path, "not in a class folder");
  images.erase(
      std::remove_if(images.begin() + static_cast<std::ptrdiff_t>(first), images.end(), loose),
      images.end());
  for (std::size_t i = first; i < images.size(); ++i) {
    const std::vector<std::string> folders = folders_of(images[i].image.name);
    images[i].image.part = part_of_name(folders[0]);
    images[i].class_name = folders[1];
    if (!is_printable_utf8(folders[1]))
      fail(images[i].image.path + ": the name of a class must be printable UTF-8",
           "rename the folder");
  }
}

void Scanner::list_class(const fs::path& folder, const std::string& class_name) {
  const std::size_t before = images.size();
  walked_ = {root_};
  walk(folder, class_name, class_name);
  walk_links(class_name);
  if (images.size() == before) return skip(folder, "class folder without pictures");
  if (!is_printable_utf8(class_name))
    fail(folder.string() + ": the name of a class must be printable UTF-8", "rename the folder");
}

void Scanner::walk(const fs::path& folder, const std::string& name, const std::string& class_name) {
  struct stat status {};
  if (stat(folder.c_str(), &status) != 0)
    fail(folder.string() + ": cannot open the folder: " + std::strerror(errno));
  const FolderId id{status.st_dev, status.st_ino};
  if (!walked_.insert(id).second)
    return skip(folder, "a link to a folder that contains it or was read already");
  for (const fs::directory_entry& entry : visible_entries(folder)) {
    const fs::path& path = entry.path();
    const std::string entry_name = (name.empty() ? "" : name + "/") + path.filename().string();
    std::error_code ignored;
    if (!entry.is_directory(ignored)) {
      add_file(path, entry_name, class_name);
    } else if (entry.is_symlink(ignored)) {
      links_.push_back({path, entry_name});
    } else {
      walk(path, entry_name, class_name);
    }
  }
}

void Scanner::walk_links(const std::string& class_name) {
  for (std::size_t i = 0; i < links_.size(); ++i) {
    const Folder link = links_[i];  // what it leads to may add more
    walk(link.path, link.name, class_name);
  }
  links_.clear();
}

void Scanner::add_file(const fs::path& path, const std::string& name,
                       const std::string& class_name) {
  if (!vision::has_image_extension(path.string())) return skip(path, kNotAPicture);
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (status.type() == fs::file_type::not_found) return skip(path, "a link to nothing");
  if (error) return skip(path, error.message());
  if (status.type() != fs::file_type::regular) return skip(path, "not a regular file");
  images.push_back({{path.string(), name}, class_name});
}

class Reader {
 public:
  explicit Reader(const std::string& path) : path_(path), file_(std::fopen(path.c_str(), "rbe")) {
    if (!file_) fail_to("open");
  }
  // The next bytes; empty at the end. std::runtime_error names the reason.
  std::string_view next() {
    const std::size_t count = std::fread(block_.data(), 1, block_.size(), file_.get());
    if (count == 0 && std::ferror(file_.get()) != 0) fail_to("read");
    return {block_.data(), count};
  }

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  [[noreturn]] void fail_to(const std::string& act) const {
    fail(path_ + ": cannot " + act + ": " + std::strerror(errno));
  }

  std::string path_;
  std::unique_ptr<std::FILE, Close> file_;
  std::array<char, 65536> block_;
};

struct Content {
  std::uint64_t size = 0;
  Fnv1a digest;
  std::optional<std::string> error;
};

Content read_content(const std::string& path) {
  Content content;
  try {
    Reader reader(path);
    for (std::string_view block; !(block = reader.next()).empty();) {
      content.size += block.size();
      content.digest.add(block);
    }
  } catch (const std::exception& error) {
    content.error = error.what();
  }
  return content;
}

bool same_bytes(const std::string& a, const std::string& b) {
  Reader left(a);
  Reader right(b);
  while (true) {
    const std::string_view block = left.next();
    if (block != right.next()) return false;
    if (block.empty()) return true;
  }
}

// Numbers groups in the order of their first images and lists the conflicts.
void number_groups(Dataset& dataset) {
  std::map<int, int> numbers;
  std::vector<std::vector<int>> members;
  for (std::size_t i = 0; i < dataset.images.size(); ++i) {
    int& group = dataset.images[i].group;
    group = numbers.try_emplace(group, static_cast<int>(numbers.size())).first->second;
    members.resize(numbers.size());
    members[static_cast<std::size_t>(group)].push_back(static_cast<int>(i));
  }
  dataset.conflicts.clear();
  for (const std::vector<int>& group : members) {
    const auto label = [&](int i) { return dataset.images[static_cast<std::size_t>(i)].label; };
    const bool one_class = std::all_of(group.begin(), group.end(),
                                       [&](int i) { return label(i) == label(group.front()); });
    if (!one_class) dataset.conflicts.push_back(group);
  }
}

// Gives copies the same group. The digest only proposes: the bytes decide.
void find_copies(std::vector<DatasetImage>& images, const std::vector<std::uint64_t>& sizes) {
  std::map<std::pair<std::uint64_t, std::uint64_t>, std::vector<int>> originals;
  for (std::size_t i = 0; i < images.size(); ++i) {
    std::vector<int>& alike = originals[{sizes[i], images[i].digest}];
    const auto original = std::find_if(alike.begin(), alike.end(), [&](int other) {
      return same_bytes(images[static_cast<std::size_t>(other)].path, images[i].path);
    });
    images[i].group = original != alike.end() ? *original : static_cast<int>(i);
    if (original == alike.end()) alike.push_back(static_cast<int>(i));
  }
}

// Reads every file once: digests and groups; those that cannot be read are skipped.
Dataset digest_files(std::vector<FoundImage> found, std::vector<SkippedFile> skipped) {
  std::vector<Content> contents(found.size());
  parallel_for(static_cast<std::int64_t>(found.size()), [&](std::int64_t i) {
    const auto index = static_cast<std::size_t>(i);
    contents[index] = read_content(found[index].image.path);
    found[index].image.digest = contents[index].digest.value();
  });
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < found.size(); ++i) {
    if (contents[i].error) {
      skipped.push_back({found[i].image.path, *contents[i].error});
    } else {
      order.push_back(i);
    }
  }
  const auto key = [&](std::size_t i) {
    return std::tie(found[i].image.name, found[i].image.digest, found[i].image.path);
  };
  std::sort(order.begin(), order.end(), [&](auto a, auto b) { return key(a) < key(b); });

  Dataset dataset;
  std::set<std::string> names;
  for (const std::size_t i : order) names.insert(found[i].class_name);
  dataset.classes.assign(names.begin(), names.end());
  std::vector<std::uint64_t> sizes;
  for (const std::size_t i : order) {
    const auto place = std::distance(names.begin(), names.find(found[i].class_name));
    found[i].image.label = static_cast<int>(place);
    dataset.images.push_back(std::move(found[i].image));
    sizes.push_back(contents[i].size);
  }
  find_copies(dataset.images, sizes);
  dataset.skipped = std::move(skipped);
  std::sort(dataset.skipped.begin(), dataset.skipped.end(),
            [](const SkippedFile& a, const SkippedFile& b) { return a.path < b.path; });
  number_groups(dataset);
  return dataset;
}

std::string joined(const std::vector<std::string>& folders) {
  std::string text;
  for (const std::string& folder : folders) text += (text.empty() ? "" : ", ") + folder;
  return text;
}

}  // namespace

std::vector<std::string> paths_of(const Dataset& dataset) {
  std::vector<std::string> paths;
  for (const DatasetImage& image : dataset.images) paths.push_back(image.path);
  return paths;
}

namespace {

template <class AddRoot>
Dataset scan(const std::vector<std::string>& folders, const AddRoot& add_root) {
  Scanner scanner;
  std::set<fs::path> roots;
  for (const std::string& folder : folders) {
    std::error_code ignored;
    const fs::path root = fs::canonical(folder, ignored);
    if (!ignored && !roots.insert(root).second) fail(folder + ": the data set is given twice");
    add_root(scanner, folder);
  }
  Dataset dataset = digest_files(std::move(scanner.images), std::move(scanner.skipped));
  if (dataset.images.empty())
    fail(joined(folders) + ": none of its pictures can be read: " + dataset.skipped.front().reason);
  return dataset;
}

}  // namespace

Dataset scan_images(const std::vector<std::string>& folders) {
  if (folders.empty()) fail("no folder of pictures given");
  return scan(folders,
              [](Scanner& scanner, const std::string& folder) { scanner.add_flat_root(folder); });
}

namespace {

// The one folder of a data set that holds the folders which should lie right below it: a zip file
// often puts one more around them.
std::optional<std::string> wrapping_folder(const std::vector<std::string>& folders,
                                           const Dataset& dataset) {
  if (folders.size() != 1 || dataset.classes.size() != 1) return std::nullopt;
  if (vision::meaning_of(dataset.classes[0]) != vision::LabelMeaning::other) return std::nullopt;
  bool understood = false;
  for (const DatasetImage& image : dataset.images) {
    const std::vector<std::string> above = folders_of(image.name);
    if (above.size() < 2) return std::nullopt;
    understood |= (part_of_name(above[1]) != DatasetPart::none && above.size() > 2) ||
                  vision::meaning_of(above[1]) != vision::LabelMeaning::other;
  }
  if (!understood) return std::nullopt;
  return (fs::path(folders[0]) / dataset.classes[0]).string();
}

}  // namespace

Dataset scan_dataset(const std::vector<std::string>& folders, int least_classes) {
  if (folders.empty()) fail("no data set given", kLayoutHint);
  Dataset dataset =
      scan(folders, [](Scanner& scanner, const std::string& folder) { scanner.add_root(folder); });
  if (const auto wrapping = wrapping_folder(folders, dataset))
    fail(fmt::format("{}: the folders of its classes lie one folder deeper", folders[0]),
         "-d '" + *wrapping + "'");
  if (has_parts(dataset) && count_part(dataset, DatasetPart::none) > 0)
    fail(fmt::format("{}: some of these data sets are split into train and test by their folders, "
                     "others are not",
                     joined(folders)),
         "name the parts alone, such as DIR/train");
  const auto classes = static_cast<int>(dataset.classes.size());
  if (classes < least_classes)
    fail(fmt::format("{}: holds {} class{} ({}) where {} are needed", joined(folders), classes,
                     classes == 1 ? "" : "es", joined(dataset.classes), least_classes),
         kLayoutHint);
  return dataset;
}

std::vector<std::size_t> spread_evenly(std::size_t count, std::size_t most) {
  std::vector<std::size_t> places(std::min(count, most));
  for (std::size_t i = 0; i < places.size(); ++i) places[i] = i * count / places.size();
  return places;
}

std::vector<std::int64_t> class_counts(const Dataset& dataset) {
  std::vector<std::int64_t> counts(dataset.classes.size());
  for (const DatasetImage& image : dataset.images) ++counts[static_cast<std::size_t>(image.label)];
  return counts;
}

bool has_parts(const Dataset& dataset) {
  return count_part(dataset, DatasetPart::none) < static_cast<std::int64_t>(dataset.images.size());
}

std::int64_t count_part(const Dataset& dataset, DatasetPart part) {
  return std::count_if(dataset.images.begin(), dataset.images.end(),
                       [&](const DatasetImage& image) { return image.part == part; });
}

Dataset without_part(const Dataset& dataset, DatasetPart part) {
  std::vector<bool> keep;
  for (const DatasetImage& image : dataset.images) keep.push_back(image.part != part);
  return filter_dataset(dataset, keep);
}

std::int64_t count_copies(const Dataset& dataset) {
  std::set<int> groups;
  for (const DatasetImage& image : dataset.images) groups.insert(image.group);
  return static_cast<std::int64_t>(dataset.images.size() - groups.size());
}

std::uint64_t fingerprint(const Dataset& dataset) {
  // The zero byte after each name keeps "ab","c" and "a","bc" apart.
  Fnv1a hash;
  for (const std::string& name : dataset.classes) hash.add({name.c_str(), name.size() + 1});
  for (const DatasetImage& image : dataset.images) {
    hash.add({image.name.c_str(), image.name.size() + 1}).add(image.digest);
  }
  return hash.value();
}

Dataset filter_dataset(const Dataset& dataset, const std::vector<bool>& keep) {
  if (keep.size() != dataset.images.size())
    throw std::invalid_argument(fmt::format("filter_dataset: {} flags for {} pictures", keep.size(),
                                            dataset.images.size()));
  Dataset kept;
  kept.classes = dataset.classes;
  kept.skipped = dataset.skipped;
  for (std::size_t i = 0; i < keep.size(); ++i)
    if (keep[i]) kept.images.push_back(dataset.images[i]);
  number_groups(kept);
  return kept;
}

}  // namespace maskwatch::apps
