#include "apps/masking/mask_dataset.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <mutex>
#include <numeric>
#include <optional>

#include "apps/common/contact_sheet.h"
#include "apps/common/files.h"
#include "apps/masking/augmented_view.h"
#include "base/file.h"
#include "base/json.h"
#include "base/parallel_try.h"
#include "base/random.h"
#include "vision/drawn/face_extras.h"
#include "vision/drawn/mask_fit.h"
#include "vision/drawn/mask_flat.h"
#include "vision/drawn/mask_overlay.h"
#include "vision/image/image.h"
#include "vision/image/resize.h"

namespace maskwatch::apps {
namespace {

namespace fs = std::filesystem;
using vision::Image;
using vision::MaskWear;

enum class Side { bare, masked, wrong };

constexpr const char* kClassNames[] = {"without_mask", "with_mask", "mask_worn_wrongly"};
constexpr double kExtraShare = .55;  // of the further views
constexpr int kThumbnailSize = 160;

// A photograph that may be used: the first of its copies.
struct Photograph {
  const DatasetImage* image = nullptr;
  std::vector<std::string> copies;
  FoundFaces found;
  std::string fault;  // why it is left out; empty if it is not
  Side side = Side::bare;
};

// What the manifest says of a picture.
struct Entry {
  std::string file;
  Json json;
};

struct Scaled {
  Image picture;
  float scale = 1;
};

Scaled load_scaled(const std::string& path, int size) {
  Image image = vision::load_image(path);
  const int longest = std::max(image.width, image.height);
  if (longest <= size) return {std::move(image), 1};
  const float scale = static_cast<float>(size) / static_cast<float>(longest);
  const auto side = [&](int length) {
    return std::max(1, static_cast<int>(std::lround(static_cast<float>(length) * scale)));
  };
  return {vision::resize(image, side(image.width), side(image.height)), scale};
}

std::vector<Photograph> without_copies(const Dataset& dataset) {
  std::vector<Photograph> photographs;
  std::vector<int> of_group;
  for (const DatasetImage& image : dataset.images) {
    const auto group = static_cast<std::size_t>(image.group);
    if (group >= of_group.size()) of_group.resize(group + 1, -1);
    if (of_group[group] >= 0) {
      photographs[static_cast<std::size_t>(of_group[group])].copies.push_back(image.path);
      continue;
    }
    of_group[group] = static_cast<int>(photographs.size());
    photographs.emplace_back().image = &image;
  }
  return photographs;
}

// Indices of the photographs in an order that depends on the seed and their contents, not on where
// they lie.
std::vector<std::size_t> shuffled(const std::vector<Photograph>& photographs, std::uint64_t seed) {
  std::vector<std::size_t> order(photographs.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  const auto rank = [&](std::size_t i) {
    return std::pair(Random{seed, 1, photographs[i].image->digest}.bits(), i);
  };
  std::sort(order.begin(), order.end(), [&](auto a, auto b) { return rank(a) < rank(b); });
  return order;
}

// Further from the picture than the picture is wide or high: no face in it reaches there, and a
// view of that face would take memory and time without end.
bool lies_far_outside(const std::array<vision::Point, 68>& landmarks, const Image& photo) {
  const auto far = [](float at, int side) {
    const auto length = static_cast<float>(side);
    return !(at >= -length && at <= 2 * length);
  };
  return std::any_of(landmarks.begin(), landmarks.end(), [&](const vision::Point& point) {
    return far(point.x, photo.width) || far(point.y, photo.height);
  });
}

bool shows_no_face(const std::array<vision::Point, 68>& landmarks) {
  try {
    const vision::FittedHead head(landmarks);
    return false;
  } catch (const std::invalid_argument&) {
    return true;
  }
}

class Maker {
 public:
  Maker(const Dataset& dataset, const FaceFinder& finder, const MaskDatasetOptions& options)
      : finder_(finder),
        o_(options),
        photographs_(without_copies(dataset)),
        skipped_(dataset.skipped) {
    copies_ = static_cast<std::int64_t>(dataset.images.size() - photographs_.size());
  }

  MaskDatasetResult run();

 private:
  void choose(std::vector<std::size_t> order);
  void find_faces(Photograph& photograph) const;
  void share_out();
  void make_folders() const;
  void write_all();
  std::vector<Entry> write(const Photograph& photograph, std::size_t index,
                           std::vector<Image>& written) const;
  Image mask_faces(const Image& photo, const Photograph& photograph, int variant,
                   Json& faces) const;
  void write_manifest(const MaskDatasetResult& result) const;
  void write_preview() const;
  void step();
  MaskDatasetResult summary() const;

  const FaceFinder& finder_;
  const MaskDatasetOptions& o_;
  std::vector<Photograph> photographs_;  // by path
  std::vector<SkippedFile> skipped_;
  std::vector<std::size_t> used_;  // those with faces, in shuffled order
  std::int64_t copies_ = 0;
  std::vector<std::vector<Entry>> entries_;  // of each photograph in use
  std::vector<Image> thumbnails_;
  std::mutex mutex_;
  std::int64_t done_ = 0, total_ = 0;
};

void Maker::step() {
  const std::lock_guard lock(mutex_);
  if (o_.progress) o_.progress(++done_, total_);
}

void Maker::find_faces(Photograph& photograph) const {
  try {
    const Scaled photo = load_scaled(photograph.image->path, o_.size);
    photograph.found = finder_(photo.picture, photograph.image->path, photo.scale);
    FoundFaces& found = photograph.found;
    const auto far = std::erase_if(
        found.faces, [&](const auto& face) { return lies_far_outside(face, photo.picture); });
    found.without_landmarks += static_cast<int>(far + std::erase_if(found.faces, shows_no_face));
    if (found.faces.empty())
      photograph.fault = far > 0                       ? "landmarks far outside the picture"
                         : found.without_landmarks > 0 ? "a face without landmarks"
                                                       : "no face found";
  } catch (const std::runtime_error& fault) {
    photograph.fault = fault.what();
  }
}

// Rounds of photographs in shuffled order until there are enough with a face.
void Maker::choose(std::vector<std::size_t> order) {
  const std::size_t wanted = o_.count > 0 ? static_cast<std::size_t>(o_.count) : order.size();
  total_ = static_cast<std::int64_t>(2 * std::min(wanted, order.size()));
  std::vector<bool> looked(photographs_.size());
  for (std::size_t next = 0; next < order.size() && used_.size() < wanted;) {
    const std::size_t round = std::min(order.size() - next, wanted - used_.size());
    parallel_try(round, [&](std::size_t i) {
      find_faces(photographs_[order[next + i]]);
      step();
    });
    for (const std::size_t end = next + round; next < end; ++next) {
      looked[order[next]] = true;
      if (photographs_[order[next]].fault.empty()) used_.push_back(order[next]);
    }
  }
  for (std::size_t i = 0; i < looked.size(); ++i)
    if (!looked[i]) photographs_[i].fault = kNotNeeded;
}

void Maker::share_out() {
  if (used_.empty()) {
    const std::string first = photographs_.front().fault;
    throw NoFaces(fmt::format("none of {} photographs shows a face with landmarks (the first: {})",
                              photographs_.size(), first));
  }
  const double count = static_cast<double>(used_.size());
  const auto masked = static_cast<std::size_t>(std::llround(o_.masked * count));
  const auto wrong = static_cast<std::size_t>(std::llround(o_.wrongly * count));
  for (std::size_t i = 0; i < used_.size(); ++i)
    photographs_[used_[i]].side = i < masked           ? Side::masked
                                  : i < masked + wrong ? Side::wrong
                                                       : Side::bare;
}

void Maker::make_folders() const {
  std::error_code error;
  const fs::path output = o_.output;
  require_new_folder(o_.output);
  for (const char* name : kClassNames) {
    if (name == kClassNames[2] && o_.wrongly <= 0) continue;
    fs::create_directories(output / name, error);
    if (error)
      throw std::runtime_error(fmt::format("{}: cannot create the folder: {}",
                                           (output / name).string(), error.message()));
  }
}

std::string hex(vision::Color color) {
  return fmt::format("#{:02x}{:02x}{:02x}", color.r, color.g, color.b);
}

Image Maker::mask_faces(const Image& photo, const Photograph& photograph, int variant,
                        Json& faces) const {
  Image picture = photo;
  for (std::size_t i = 0; i < photograph.found.faces.size(); ++i) {
    const auto& landmarks = photograph.found.faces[i];
    if (o_.original_style) {
      picture = vision::paste_flat_mask(picture, landmarks).picture;
      faces.push_back(Json::object({{"kind", "flat"}}));
      continue;
    }
    Random random{o_.seed, 2, photograph.image->digest, static_cast<std::uint64_t>(variant), i};
    const std::uint64_t seed = random.bits() >> 11;  // a whole number in every JSON reader
    const MaskWear wear = photograph.side == Side::masked ? MaskWear::proper
                          : random.chance(.5)             ? MaskWear::under_nose
                                                          : MaskWear::on_chin;
    const vision::MaskDesign design = vision::random_mask(seed, wear);
    picture = vision::lay_mask(picture, landmarks, design).picture;
    faces.push_back(Json::object({{"kind", name_of(design.cut)},
                                  {"print", name_of(design.print)},
                                  {"wear", name_of(design.wear)},
                                  {"color", hex(design.color)},
                                  {"seed", seed}}));
  }
  return picture;
}

// What is drawn onto the faces of a photograph's further views, masked or not.
struct Extra {
  vision::FaceExtra kind = vision::FaceExtra::none;
  std::uint64_t seed = 0;
};

void draw(Image& picture, const Photograph& photograph, const Extra& extra, bool under_mask) {
  if (vision::lies_under_mask(extra.kind) != under_mask) return;
  for (const auto& face : photograph.found.faces)
    vision::draw_extra(picture, face, extra.kind, extra.seed);
}

std::vector<Entry> Maker::write(const Photograph& photograph, std::size_t index,
                                std::vector<Image>& written) const {
  std::vector<Entry> entries;
  const Image photo = load_scaled(photograph.image->path, o_.size).picture;
  const char* const folder = kClassNames[static_cast<int>(photograph.side)];
  const int masks = photograph.side == Side::bare ? 1 : o_.per_face;
  const int variants = masks * o_.views;
  for (int variant = 0; variant < variants; ++variant) {
    Json entry = Json::object({{"class", folder}, {"from", photograph.image->path}});
    Random random{o_.seed, 3, photograph.image->digest, static_cast<std::uint64_t>(variant)};
    const bool as_it_is = variant < masks;
    Extra extra;
    if (!as_it_is && random.chance(kExtraShare)) {
      extra.seed = random.bits();
      extra.kind = vision::random_extra(extra.seed);
      entry["extra"] = name_of(extra.kind);
    }
    Image picture = photo;
    draw(picture, photograph, extra, true);
    if (photograph.side != Side::bare) {
      entry["faces"] = Json::list();
      picture = mask_faces(picture, photograph, variant, entry["faces"]);
    }
    draw(picture, photograph, extra, false);
    if (!as_it_is)
      picture = render_view(
          picture, random_view(random.bits(), {photo.width, photo.height}, photograph.found.faces));
    const std::string name = variants == 1 ? fmt::format("{}/{:06}.jpg", folder, index)
                                           : fmt::format("{}/{:06}_{}.jpg", folder, index, variant);
    entry["file"] = name;
    if (!photograph.copies.empty()) entry["copies"] = photograph.copies;
    vision::save_image((fs::path(o_.output) / name).string(), picture);
    entries.push_back({name, std::move(entry)});
    written.push_back(std::move(picture));
  }
  return entries;
}

void Maker::write_all() {
  entries_.resize(used_.size());
  std::vector<std::vector<Image>> thumbnails(used_.size());
  parallel_try(used_.size(), [&](std::size_t i) {
    const Photograph& photograph = photographs_[used_[i]];
    std::vector<Image> pictures;
    entries_[i] = write(photograph, used_[i], pictures);
    if (!o_.preview.empty() && i < kSheetImages && photograph.side != Side::bare)
      for (const Image& picture : pictures)
        thumbnails[i].push_back(thumbnail(picture, kThumbnailSize));
    step();
  });
  for (auto& of_one : thumbnails)
    for (Image& image : of_one) thumbnails_.push_back(std::move(image));
}

void Maker::write_preview() const {
  if (o_.preview.empty() || thumbnails_.empty()) return;
  vision::save_image(o_.preview, contact_sheet(thumbnails_, kThumbnailSize));
}

MaskDatasetResult Maker::summary() const {
  MaskDatasetResult result;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    const Side side = photographs_[used_[i]].side;
    (side == Side::bare     ? result.without_mask
     : side == Side::masked ? result.with_mask
                            : result.worn_wrongly) += static_cast<std::int64_t>(entries_[i].size());
  }
  result.copies = copies_;
  for (const Photograph& photograph : photographs_) {
    result.faces_without_landmarks += photograph.found.without_landmarks;
    if (photograph.fault.empty() && photograph.found.without_landmarks > 0)
      result.incomplete.push_back(
          {photograph.image->path,
           fmt::format("{} of {} faces without landmarks", photograph.found.without_landmarks,
                       photograph.found.without_landmarks +
                           static_cast<int>(photograph.found.faces.size()))});
    if (!photograph.fault.empty())
      result.left_out.push_back({photograph.image->path, photograph.fault});
  }
  for (const SkippedFile& file : skipped_) result.left_out.push_back({file.path, file.reason});
  std::sort(result.left_out.begin(), result.left_out.end(),
            [](const LeftOut& a, const LeftOut& b) { return a.path < b.path; });
  return result;
}

void Maker::write_manifest(const MaskDatasetResult& result) const {
  std::map<std::string, Json> by_file;
  for (const std::vector<Entry>& entries : entries_)
    for (const Entry& entry : entries) by_file[entry.file] = entry.json;
  Json pictures = Json::list();
  for (auto& [file, json] : by_file) pictures.push_back(std::move(json));
  const auto listed = [](const std::vector<LeftOut>& files) {
    Json list = Json::list();
    for (const LeftOut& one : files)
      list.push_back(Json::object({{"from", one.path}, {"reason", one.reason}}));
    return list;
  };
  const Json manifest =
      Json::object({{"program", "make_mask_dataset"},
                    {"seed", o_.seed},
                    {"style", o_.original_style ? "original" : "ours"},
                    {"size", o_.size},
                    {"counts", Json::object({{kClassNames[0], result.without_mask},
                                             {kClassNames[1], result.with_mask},
                                             {kClassNames[2], result.worn_wrongly}})},
                    {"faces_without_landmarks", result.faces_without_landmarks},
                    {"pictures", pictures},
                    {"incomplete", listed(result.incomplete)},
                    {"left_out", listed(result.left_out)}});
  write_file_atomically((fs::path(o_.output) / "manifest.json").string(), manifest.dump(1) + "\n");
}

MaskDatasetResult Maker::run() {
  choose(shuffled(photographs_, o_.seed));
  share_out();
  make_folders();
  write_all();
  const MaskDatasetResult result = summary();
  write_manifest(result);
  write_preview();
  return result;
}

}  // namespace

MaskDatasetResult make_mask_dataset(const Dataset& photographs, const FaceFinder& finder,
                                    const MaskDatasetOptions& options) {
  return Maker(photographs, finder, options).run();
}

}  // namespace maskwatch::apps
