#include "apps/training/boxes_files.h"

#include <algorithm>
#include <cctype>
#include <tuple>

#include "vision/image/picture_kinds.h"

namespace maskwatch::apps {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> parts_of(const std::string& path) {
  std::vector<std::string> parts;
  for (const fs::path& part : fs::path(path).relative_path())
    if (part != "." && !part.empty()) parts.push_back(part.string());
  return parts;
}

// Folders that stand beside each other for the same pictures have one name.
std::string side_by_side(const std::string& folder) {
  static const std::vector<std::string> names{"labels",      "images",     "Annotations",
                                              "annotations", "JPEGImages", "label",
                                              "image",       "img",        "xmls"};
  return std::find(names.begin(), names.end(), folder) != names.end() ? "images" : folder;
}

std::string name_of(const std::string& path) { return fs::path(path).filename().string(); }

// How many of the last folders agree.
std::size_t shared_ends(const std::vector<std::string>& a, const std::vector<std::string>& b) {
  std::size_t count = 0;
  while (count < std::min(a.size(), b.size()) && a[a.size() - 1 - count] == b[b.size() - 1 - count])
    ++count;
  return count;
}

std::size_t shared_starts(const std::vector<std::string>& a, const std::vector<std::string>& b) {
  std::size_t count = 0;
  while (count < std::min(a.size(), b.size()) && side_by_side(a[count]) == side_by_side(b[count]))
    ++count;
  return count;
}

}  // namespace

std::string stem_of(const std::string& path) { return fs::path(path).stem().string(); }
std::string folder_of(const std::string& path) { return fs::path(path).parent_path().string(); }

BoxFiles::BoxFiles(const std::string& root) : root_(root) {
  walk(root, "");
  for (std::size_t i = 0; i < links_.size(); ++i) {
    const auto [path, name] = links_[i];  // what it leads to may add more
    walk(path, name);
  }
  std::sort(pictures_.begin(), pictures_.end());
  std::sort(others_.begin(), others_.end());
  for (const std::string& picture : pictures_) {
    by_name_.emplace(name_of(picture), picture);
    by_stem_.emplace(stem_of(picture), picture);
  }
}

std::string BoxFiles::path_of(const std::string& relative) const {
  return (fs::path(root_) / relative).string();
}

void BoxFiles::walk(const fs::path& folder, const std::string& name) {
  std::error_code error;
  const fs::path real = fs::canonical(folder, error);
  if (error)
    throw std::runtime_error(folder.string() + ": cannot open the folder: " + error.message());
  if (!walked_.insert(real).second) {
    skipped_.push_back(
        {folder.string(), "a link to a folder that contains it or was read already"});
    return;
  }
  std::vector<fs::directory_entry> entries;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error))
    entries.push_back(*it);
  if (error)
    throw std::runtime_error(folder.string() + ": cannot list the folder: " + error.message());
  std::sort(entries.begin(), entries.end());
  for (const fs::directory_entry& found : entries) {
    const fs::path& path = found.path();
    const std::string entry = path.filename().string();
    if (vision::is_hidden_name(entry)) continue;
    const std::string relative = name.empty() ? entry : name + "/" + entry;
    std::error_code unknown;
    if (found.is_directory(unknown) && found.is_symlink(unknown))
      links_.emplace_back(path, relative);
    else if (found.is_directory(unknown))
      walk(path, relative);
    else if (!found.is_regular_file(unknown))
      skipped_.push_back({path.string(), "not a regular file"});
    else
      (vision::has_image_extension(entry) ? pictures_ : others_).push_back(relative);
  }
}

std::optional<std::string> BoxFiles::find_picture(const std::string& annotation,
                                                  const std::string& name) const {
  std::string written = name;
  std::replace(written.begin(), written.end(), '\\', '/');  // from Windows
  auto [begin, end] = by_name_.equal_range(name_of(written));
  if (begin == end) std::tie(begin, end) = by_stem_.equal_range(name_of(written));
  if (begin == end) std::tie(begin, end) = by_stem_.equal_range(stem_of(written));
  const auto folders_named = parts_of(folder_of(written));
  const auto folders_around = parts_of(folder_of(annotation));
  std::optional<std::string> best;
  std::pair<std::size_t, std::size_t> best_near{0, 0};
  bool tie = false;
  for (auto candidate = begin; candidate != end; ++candidate) {
    const auto folders = parts_of(folder_of(candidate->second));
    const std::pair near{shared_ends(folders, folders_named),
                         shared_starts(folders, folders_around)};
    if (best && near == best_near) tie = true;
    if (best && near <= best_near) continue;
    best = candidate->second;
    best_near = near;
    tie = false;
  }
  return tie ? std::nullopt : best;
}

std::optional<std::string> BoxFiles::picture_beside(const std::string& annotation) const {
  const auto folders = parts_of(folder_of(annotation));
  const auto [begin, end] = by_stem_.equal_range(stem_of(annotation));
  std::optional<std::string> found;
  for (auto candidate = begin; candidate != end; ++candidate) {
    const auto others = parts_of(folder_of(candidate->second));
    if (others.size() != folders.size() || shared_starts(others, folders) != folders.size())
      continue;
    if (found) return std::nullopt;
    found = candidate->second;
  }
  return found;
}

}  // namespace maskwatch::apps
