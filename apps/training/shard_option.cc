#include "apps/training/shard_option.h"

#include <fmt/format.h>

#include <cstddef>
#include <vector>

#include "apps/common/program.h"
#include "apps/common/share.h"

namespace maskwatch::apps {

void add_shard_option(OptionParser& parser, int& shards) {
  parser
      .add("--shards", &shards,
           "Pieces of a batch, each normalised by its own statistics; mpirun -n N shares them out "
           "among N processes, and the model is the same for any N that divides them "
           "(docs/clusters.md)")
      .range(1, 4096)
      .show_default();
}

void check_shards(int shards, int batch_size, const kernels::Communicator& communicator) {
  const int ranks = communicator.ranks();
  if (shards % ranks != 0)
    throw UsageError(fmt::format("--shards {}: {} processes cannot share {} evenly", shards, ranks,
                                 shards == 1 ? "one shard" : fmt::format("{} shards", shards)),
                     fmt::format("--shards {}, or another multiple of {}; the model depends on it",
                                 ranks, ranks));
  if (shards > batch_size)
    throw UsageError(
        fmt::format("--shards {}: more than the pictures of a batch, {}", shards, batch_size),
        "choose fewer, or a larger --batch-size");
}

void tell_of_ranks(int shards, std::int64_t bytes_sent, const kernels::Communicator& communicator) {
  if (communicator.ranks() == 1) return;
  fmt::print("{} shards on {} processes, each of which sends {:.1f} MiB in a step\n", shards,
             communicator.ranks(), static_cast<double>(bytes_sent) / (1 << 20));
}

void check_same_recipe(const std::string& recipe, kernels::Communicator& communicator) {
  const std::vector<std::string> recipes = gather_messages(communicator, recipe);
  for (std::size_t rank = 1; rank < recipes.size(); ++rank)
    if (recipes[rank] != recipes.front())
      throw UsageError(fmt::format("process {} has other pictures, weights or options than process "
                                   "0: {}; 0 has {}",
                                   rank, recipes[rank], recipes.front()),
                       "all must be started alike, and see the same files");
}

std::string recipe_of_shards(int shards) {
  return shards == 1 ? "" : fmt::format(", shards {}", shards);
}

}  // namespace maskwatch::apps
