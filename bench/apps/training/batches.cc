// The data pipeline without the network: decodes and resizes a data set, then makes the augmented
// batches of some epochs. Driven by bench/peers/recipe.py.
//
//   batches DATASET [--size 224] [--batch 32] [--epochs 2] [--threads 0]
//
// Prints {"load": [pictures a second], "augment": [pictures a second of each epoch]}.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <chrono>
#include <exception>
#include <numeric>

#include "apps/common/dataset.h"
#include "apps/common/options.h"
#include "apps/common/program.h"
#include "apps/training/batch_loader.h"
#include "apps/training/load_images.h"
#include "base/parallel.h"

using namespace maskwatch;

namespace {

struct Options {
  std::vector<std::string> folders;
  int size = 224, batch = 32, epochs = 2, threads = 0;
};

template <typename Work>
double seconds_of(const Work& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void measure(const Options& options) {
  set_threads(options.threads);
  const apps::Dataset dataset = apps::scan_dataset(options.folders);
  apps::LoadedDataset data;
  const double loading = seconds_of([&] { data = apps::load_images(dataset, options.size); });
  std::vector<int> indices(data.dataset.images.size());
  std::iota(indices.begin(), indices.end(), 0);
  const auto pictures = static_cast<double>(indices.size());
  std::vector<double> augmented;
  for (int epoch = 0; epoch < options.epochs; ++epoch)
    augmented.push_back(pictures / seconds_of([&] {
                          apps::BatchLoaderOptions loading_options;
                          loading_options.batch_size = options.batch;
                          apps::BatchLoader loader(data, indices, loading_options,
                                                   static_cast<std::uint64_t>(epoch));
                          for (int i = 0; i < loader.batches(); ++i) loader.next();
                        }));
  fmt::print("{{\"load\": [{:.1f}], \"augment\": [{:.1f}]}}\n", pictures / loading,
             fmt::join(augmented, ", "));
}

}  // namespace

int main(int argc, char** argv) {
  return apps::run_program(argc, argv, [](int count, char** words) {
    Options options;
    apps::OptionParser parser("batches", "Measures the data pipeline without the network");
    parser.add("dataset", &options.folders).required();
    parser.add("--size", &options.size).range(1, 4096);
    parser.add("--batch", &options.batch).range(1, 4096);
    parser.add("--epochs", &options.epochs).range(1, 1000);
    parser.add("--threads", &options.threads).range(0, 1024);
    parser.parse(count, words);
    measure(options);
    return 0;
  });
}
