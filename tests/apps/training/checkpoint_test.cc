// A checkpoint comes back as it was; what is not one, or one of another run, is named.
#include "apps/training/checkpoint.h"

#include <doctest/doctest.h>

#include "nn/safetensors.h"
#include "tests/apps/temporary_folder.h"

using namespace maskwatch;

namespace {

apps::Checkpoint example() {
  apps::Checkpoint checkpoint;
  checkpoint.recipe = "width 1, seed 42";
  checkpoint.steps_taken = 7;
  checkpoint.average_updates = 5;
  checkpoint.history = R"({"epochs": []})";
  checkpoint.model = {{"w", nn::Tensor::from({2}, {1, 2})}};
  checkpoint.optimizer = {{"w.m", nn::Tensor::from({1}, {3})}};
  checkpoint.average = {{"w", nn::Tensor::from({1}, {4})}};
  return checkpoint;
}

}  // namespace

TEST_CASE("a checkpoint comes back as it was written") {
  const TemporaryFolder folder;
  const std::string path = apps::checkpoint_path(folder / "m.safetensors");
  CHECK_FALSE(apps::load_checkpoint(path, "any").has_value());
  const apps::Checkpoint written = example();
  apps::save_checkpoint(path, written);
  const auto read = apps::load_checkpoint(path, written.recipe);
  REQUIRE(read.has_value());
  CHECK(read->steps_taken == 7);
  CHECK(read->average_updates == 5);
  CHECK(read->history == written.history);
  REQUIRE(read->model.size() == 1);
  CHECK(read->model.at("w").data()[1] == 2);
  REQUIRE(read->optimizer.size() == 1);
  CHECK(read->optimizer.at("w.m").data()[0] == 3);
  REQUIRE(read->average.size() == 1);
  CHECK(read->average.at("w").data()[0] == 4);
}

TEST_CASE("what is not a checkpoint, or one of another run, is named") {
  const TemporaryFolder folder;
  const std::string path = folder / "c";
  const auto fault = [&] {
    return message_of([&] { apps::load_checkpoint(path, example().recipe); });
  };
  folder.write("c", "not a safetensors file");
  CHECK(fault().starts_with(path + ": "));
  apps::Checkpoint other = example();
  other.recipe = "width 2";
  apps::save_checkpoint(path, other);
  CHECK(fault() == path + ": made with other options or pictures: width 2; now width 1, seed 42");
  nn::Safetensors contents;
  contents.metadata = {{"recipe", example().recipe}, {"history", R"({"epochs": []})"}};
  nn::save_safetensors(path, contents);
  CHECK(fault() == path + ": not a checkpoint: steps_taken is missing");
  for (const std::string steps : {"none", "-1", "7 or so", "99999999999999999999"}) {
    contents.metadata["steps_taken"] = steps;
    nn::save_safetensors(path, contents);
    CHECK(fault() == path + ": not a checkpoint: steps_taken is " + steps);
  }
  contents.metadata["steps_taken"] = std::string("0");
  nn::save_safetensors(path, contents);
  CHECK(fault() == path + ": not a checkpoint: average_updates is missing");
}
