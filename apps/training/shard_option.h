// --shards of the training programs (apps/training/sharded_step.h).
#pragma once

#include <cstdint>
#include <string>

#include "apps/common/options.h"
#include "kernels/communicator.h"

namespace maskwatch::apps {

void add_shard_option(OptionParser& parser, int& shards);

// UsageError where the ranks cannot share the shards out evenly, or a shard of a whole batch would
// be empty.
void check_shards(int shards, int batch_size, const kernels::Communicator& communicator);

// Prints how a training on several ranks is shared out, where there are several.
void tell_of_ranks(int shards, std::int64_t bytes_sent, const kernels::Communicator& communicator);

// UsageError on every rank where one would train something else than rank 0: it sees other files,
// or was given other options.
void check_same_recipe(const std::string& recipe, kernels::Communicator& communicator);

// What is added to the recipe of a run: ", shards 4". Nothing for one, which is how runs were
// before there were shards.
std::string recipe_of_shards(int shards);

}  // namespace maskwatch::apps
