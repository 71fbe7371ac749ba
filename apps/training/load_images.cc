#include "apps/training/load_images.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <exception>
#include <mutex>
#include <stdexcept>

#include "apps/common/share.h"
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

// The pixels and faults of the images that other ranks decoded. Each rank has `each` of them, one
// after the other, the last rank what is left.
void exchange(kernels::Communicator& communicator, std::size_t each, LoadedDataset& loaded,
              std::vector<std::string>& errors) {
  constexpr std::size_t kBytesATime = std::size_t{64} << 20;  // of all ranks
  const auto ranks = static_cast<std::size_t>(communicator.ranks());
  const auto rank = static_cast<std::size_t>(communicator.rank());
  const std::size_t bytes = loaded.image_bytes(), total = errors.size();
  const std::size_t at_a_time = std::max<std::size_t>(kBytesATime / (ranks * bytes), 1);
  std::vector<std::uint8_t> mine(at_a_time * bytes), all(ranks * at_a_time * bytes);
  const auto count_of = [&](std::size_t of_rank, std::size_t from) {
    const std::size_t begin = of_rank * each + from;
    return begin >= total ? 0 : std::min({at_a_time, each - from, total - begin});
  };
  for (std::size_t from = 0; from < each; from += at_a_time) {
    if (const std::size_t count = count_of(rank, from); count > 0)
      std::memcpy(mine.data(), &loaded.pixels[(rank * each + from) * bytes], count * bytes);
    communicator.all_gather(all.data(), mine.data(), mine.size());
    for (std::size_t r = 0; r < ranks; ++r)
      if (const std::size_t count = count_of(r, from); count > 0)
        std::memcpy(&loaded.pixels[(r * each + from) * bytes], &all[r * mine.size()],
                    count * bytes);
  }
  MessageWriter message;
  for (std::size_t i = 0; i < total; ++i)
    if (!errors[i].empty()) {
      message.put(i);
      message.put_text(errors[i]);
    }
  for (const std::string& of_rank : gather_messages(communicator, message.bytes()))
    for (MessageReader reader(of_rank); !reader.at_end();) {
      const auto i = reader.get<std::size_t>();
      errors[i] = reader.get_text();
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

  kernels::OneProcess alone;
  kernels::Communicator& communicator = options.communicator ? *options.communicator : alone;
  const auto ranks = static_cast<std::size_t>(communicator.ranks());
  const std::size_t each = (dataset.images.size() + ranks - 1) / ranks;
  const std::size_t begin =
      std::min(each * static_cast<std::size_t>(communicator.rank()), dataset.images.size());
  const auto mine = static_cast<std::int64_t>(std::min(each, dataset.images.size() - begin));
  std::vector<std::string> errors(dataset.images.size());
  Counter counter(mine, options);
  parallel_for(mine, [&](std::int64_t i) {
    if (counter.stopped()) return;
    const std::size_t index = begin + static_cast<std::size_t>(i);
    errors[index] = load_one(dataset.images[index].path, size,
                             loaded.pixels.data() + index * loaded.image_bytes());
    counter.advance();
  });
  counter.rethrow();
  if (ranks > 1) exchange(communicator, each, loaded, errors);
  drop_broken(loaded, errors);
  const std::vector<std::int64_t> counts = class_counts(loaded.dataset);
  for (std::size_t c = 0; c < counts.size(); ++c)
    if (counts[c] == 0)
      throw std::runtime_error(fmt::format("class '{}' has no readable picture: {}",
                                           dataset.classes[c], loaded.broken.front().reason));
  return loaded;
}

}  // namespace maskwatch::apps
