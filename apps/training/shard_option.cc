#include "apps/training/shard_option.h"

#include <fmt/format.h>

#include "apps/common/program.h"

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

std::string recipe_of_shards(int shards) {
  return shards == 1 ? "" : fmt::format(", shards {}", shards);
}

}  // namespace maskwatch::apps
