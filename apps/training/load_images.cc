#include "apps/training/load_images.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <stdexcept>

#include "base/parallel.h"
#include "vision/image/image.h"
#include "vision/image/resize.h"

namespace maskwatch::apps {
namespace {

std::size_t half_of_memory() {
  const long pages = sysconf(_SC_PHYS_PAGES);
  const long page = sysconf(_SC_PAGESIZE);
  if (pages <= 0 || page <= 0) return std::size_t{1} << 30;
  return static_cast<std::size_t>(pages) / 2 * static_cast<std::size_t>(page);
}

// Checked before any memory is taken; in double, where no product overflows.
void check_memory(std::size_t images, int size, std::size_t limit) {
  const double needed = 3.0 * static_cast<double>(images) * size * size;
  if (needed <= static_cast<double>(limit)) return;
  throw std::runtime_error(
      fmt::format("{} pictures of {}x{} need {:.1f} GB of memory, more than {:.1f} GB (choose a "
                  "smaller size or fewer pictures)",
                  images, size, size, 1e-9 * needed, 1e-9 * static_cast<double>(limit)));
}

// Counts images over all threads. What the callback throws is kept for the caller's thread:
// nothing may leave a parallel loop.
class Counter {
 public:
  Counter(std::int64_t total, const LoadOptions& options) : total_(total), options_(options) {}

  bool stopped() const { return stopped_; }

  void advance() {
    const std::lock_guard lock(mutex_);
    ++done_;
    if (!options_.progress || stopped_) return;
    try {
      options_.progress(done_, total_);
    } catch (...) {
      error_ = std::current_exception();
      stopped_ = true;
    }
  }

  void rethrow() const {
    if (error_) std::rethrow_exception(error_);
  }

 private:
  std::mutex mutex_;
  std::int64_t done_ = 0;
  std::int64_t total_;
  const LoadOptions& options_;
  std::exception_ptr error_;
  std::atomic<bool> stopped_{false};
};

// Empty, or why the image cannot be read.
std::string load_one(const std::string& path, int size, std::uint8_t* pixels) {
  try {
    const vision::Image image = vision::resize(vision::load_image(path), size, size);
    std::copy(image.pixels.begin(), image.pixels.end(), pixels);
    return "";
  } catch (const std::bad_alloc&) {
    return path + ": not enough memory to decode it";
  } catch (const std::exception& error) {
    return error.what();
  }
}

// Closes the gaps that broken images left.
void drop_broken(LoadedDataset& loaded, const std::vector<std::string>& errors) {
  std::vector<bool> keep(errors.size());
  std::size_t kept = 0;
  const std::size_t bytes = loaded.image_bytes();
  for (std::size_t i = 0; i < errors.size(); ++i) {
    keep[i] = errors[i].empty();
    if (!keep[i]) {
      loaded.broken.push_back({loaded.dataset.images[i].path, errors[i]});
      continue;
    }
    if (kept != i) std::copy_n(&loaded.pixels[i * bytes], bytes, &loaded.pixels[kept * bytes]);
    ++kept;
  }
  if (loaded.broken.empty()) return;
  loaded.pixels.resize(kept * bytes);
  loaded.dataset = filter_dataset(loaded.dataset, keep);
}

}  // namespace

LoadedDataset load_images(const Dataset& dataset, int size, const LoadOptions& options) {
  if (size < 1) throw std::invalid_argument(fmt::format("load_images: size {} < 1", size));
  const std::size_t limit = options.memory_limit > 0 ? options.memory_limit : half_of_memory();
  check_memory(dataset.images.size(), size, limit);
  LoadedDataset loaded;
  loaded.dataset = dataset;
  loaded.size = size;
  loaded.pixels.resize(dataset.images.size() * loaded.image_bytes());

  const auto total = static_cast<std::int64_t>(dataset.images.size());
  std::vector<std::string> errors(dataset.images.size());
  Counter counter(total, options);
  parallel_for(total, [&](std::int64_t i) {
    if (counter.stopped()) return;
    const auto index = static_cast<std::size_t>(i);
    errors[index] = load_one(dataset.images[index].path, size,
                             loaded.pixels.data() + index * loaded.image_bytes());
    counter.advance();
  });
  counter.rethrow();
  drop_broken(loaded, errors);
  const std::vector<std::int64_t> counts = class_counts(loaded.dataset);
  for (std::size_t c = 0; c < counts.size(); ++c)
    if (counts[c] == 0)
      throw std::runtime_error(fmt::format("class '{}' has no readable picture: {}",
                                           dataset.classes[c], loaded.broken.front().reason));
  return loaded;
}

}  // namespace maskwatch::apps
