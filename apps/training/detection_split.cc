#include "apps/training/detection_split.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>
#include <stdexcept>

#include "apps/common/program.h"
#include "base/random.h"

namespace maskwatch::apps {
namespace {

// Bits of 128 that copies may differ in. Photographs that have nothing to do with each other differ
// in 64, give or take.
constexpr int kMostBits = 12;
constexpr std::uint64_t kSplitStream = 0x73706c6974;

int root_of(std::vector<int>& parents, int index) {
  while (parents[static_cast<std::size_t>(index)] != index) {
    int& parent = parents[static_cast<std::size_t>(index)];
    parent = parents[static_cast<std::size_t>(parent)];
    index = parent;
  }
  return index;
}

bool has_face(const BoxPicture& picture) {
  return std::any_of(picture.faces.begin(), picture.faces.end(),
                     [](const FaceBox& face) { return !face.ignored; });
}

std::vector<bool> left_out(const BoxDataset& data, const std::vector<std::string>& sources) {
  std::vector<bool> out(data.pictures.size());
  for (const std::string& source : sources) {
    bool any = false;
    for (std::size_t i = 0; i < out.size(); ++i)
      if (data.pictures[i].source.find(source) != std::string::npos) any = out[i] = true;
    if (any) continue;
    std::set<std::string> names;
    for (const BoxPicture& picture : data.pictures) names.insert(picture.source);
    std::string list;
    for (const std::string& name : names) list += (list.empty() ? "" : ", ") + one_line(name);
    throw std::runtime_error("--leave-out " + one_line(source) +
                             ": matches no source (sources: " + list + ")");
  }
  return out;
}

// Groups by the source of their first picture, each source's in an order drawn by chance.
std::map<std::string, std::vector<std::vector<int>>> groups_by_source(
    const DetectionPictures& pictures, const std::vector<int>& groups, std::uint64_t seed) {
  std::map<int, std::vector<int>> members;
  for (std::size_t i = 0; i < groups.size(); ++i) members[groups[i]].push_back(static_cast<int>(i));
  std::map<std::string, std::vector<std::vector<int>>> by_source;
  for (auto& [first, group] : members)
    by_source[pictures.data.pictures[static_cast<std::size_t>(first)].source].push_back(
        std::move(group));
  for (auto& [source, list] : by_source) {
    Random random{seed, kSplitStream};
    for (std::size_t i = list.size(); i > 1; --i)
      std::swap(list[i - 1], list[static_cast<std::size_t>(random.below(static_cast<int>(i)))]);
  }
  return by_source;
}

void require_faces(const DetectionPictures& pictures, const std::vector<int>& part,
                   const char* name) {
  for (const int index : part)
    if (has_face(pictures.data.pictures[static_cast<std::size_t>(index)])) return;
  throw std::runtime_error(fmt::format(
      "the {} part has no picture with a face (give more pictures or another --validation)", name));
}

}  // namespace

std::vector<int> photograph_groups(std::span<const PictureHash> hashes,
                                   std::span<const PictureHash> mirrored) {
  std::vector<int> parents(hashes.size());
  std::iota(parents.begin(), parents.end(), 0);
  for (std::size_t i = 0; i < hashes.size(); ++i)
    for (std::size_t j = i + 1; j < hashes.size(); ++j) {
      if (hashes[i].distance(hashes[j]) > kMostBits && mirrored[i].distance(hashes[j]) > kMostBits)
        continue;
      const int a = root_of(parents, static_cast<int>(i));
      const int b = root_of(parents, static_cast<int>(j));
      parents[static_cast<std::size_t>(std::max(a, b))] = std::min(a, b);
    }
  std::vector<int> groups(hashes.size());
  for (std::size_t i = 0; i < groups.size(); ++i) groups[i] = root_of(parents, static_cast<int>(i));
  return groups;
}

DetectionSplit split_detection(const DetectionPictures& pictures,
                               const DetectionSplitOptions& options) {
  if (!(options.validation > 0 && options.validation < 1))
    throw std::invalid_argument(
        fmt::format("split_detection: validation {} is not in (0, 1)", options.validation));
  const std::vector<bool> out = left_out(pictures.data, options.leave_out);
  const std::vector<int> groups = photograph_groups(pictures.hashes, pictures.mirrored);
  DetectionSplit split;
  for (std::size_t i = 0; i < groups.size(); ++i)
    split.look_alikes += groups[i] != static_cast<int>(i) ? 1 : 0;
  const auto is_out = [&](int index) {
    return static_cast<bool>(out[static_cast<std::size_t>(index)]);
  };
  const auto boxed = [&](int index) {
    return !pictures.data.pictures[static_cast<std::size_t>(index)].without_boxes;
  };
  for (const auto& [source, list] : groups_by_source(pictures, groups, options.seed)) {
    std::int64_t total = 0, boxed_groups = 0, taken = 0;
    bool any_face = false;
    for (const auto& group : list) {
      const auto count = std::count_if(group.begin(), group.end(), boxed);
      total += count;
      boxed_groups += count > 0 ? 1 : 0;
      for (const int index : group)
        any_face |= has_face(pictures.data.pictures[static_cast<std::size_t>(index)]);
    }
    const bool shared_out = options.leave_out.empty() || !any_face;
    const auto wanted = static_cast<std::int64_t>(
        shared_out ? std::ceil(options.validation * static_cast<double>(total)) : 0);
    for (const auto& group : list) {
      const auto count = std::count_if(group.begin(), group.end(), boxed);
      if (std::any_of(group.begin(), group.end(), is_out)) {
        for (const int index : group)
          (is_out(index) && boxed(index) ? split.validation : split.unused).push_back(index);
      } else if (count > 0 && taken < wanted && boxed_groups > 1) {
        taken += count;
        for (const int index : group)
          (boxed(index) ? split.validation : split.unused).push_back(index);
      } else {
        split.train.insert(split.train.end(), group.begin(), group.end());
      }
    }
  }
  for (auto* part : {&split.train, &split.validation, &split.unused})
    std::sort(part->begin(), part->end());
  require_faces(pictures, split.train, "training");
  require_faces(pictures, split.validation, "validation");
  return split;
}

}  // namespace maskwatch::apps
