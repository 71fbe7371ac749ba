// A checkpoint comes back as it was; what is not one, or one of another run, is named.
#include "apps/training/checkpoint.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <limits>
#include <stdexcept>

#include "nn/safetensors.h"
#include "tests/apps/temporary_folder.h"

using namespace maskwatch;

namespace {

kernels::OneProcess alone;

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
  CHECK(fault() == path +
                       ": made with other options or pictures: width 2 then, width 1 now; "
                       "seed 42 now");
  other.recipe = "width 2, seed 42";
  apps::save_checkpoint(path, other);
  CHECK(fault() == path + ": made with other options or pictures: width 2 then, width 1 now");
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

TEST_CASE("a checkpoint that cannot be written is a note, and the next call tries again") {
  const TemporaryFolder folder;
  apps::CheckpointFile file(folder / "m.safetensors", false, false, alone);
  // In the place of the checkpoint stands a folder.
  std::filesystem::create_directory(file.path());
  CHECK(message_of([&] { file.save(example()); }) == "");
  std::filesystem::remove(file.path());
  file.save(example());
  CHECK(apps::load_checkpoint(file.path(), example().recipe).has_value());
}

TEST_CASE("values that are not finite leave the checkpoint before them") {
  const TemporaryFolder folder;
  apps::CheckpointFile file(folder / "m.safetensors", false, false, alone);
  file.save(example());
  for (nn::StateDict apps::Checkpoint::*part :
       {&apps::Checkpoint::model, &apps::Checkpoint::optimizer, &apps::Checkpoint::average}) {
    apps::Checkpoint broken = example();
    broken.steps_taken = 8;
    (broken.*part).begin()->second.data()[0] = std::numeric_limits<float>::infinity();
    CHECK_THROWS_AS(file.save(broken), std::domain_error);
  }
  CHECK(apps::load_checkpoint(file.path(), example().recipe)->steps_taken == 7);
}

TEST_CASE("the file of a checkpoint is one training's at a time, and is not written over unasked") {
  const TemporaryFolder folder;
  const std::string model = folder / "m.safetensors";
  const auto fault = [&](bool resume, bool overwrite) {
    return message_of([&] { apps::CheckpointFile(model, resume, overwrite, alone); });
  };
  {
    apps::CheckpointFile file(model, false, false, alone);
    CHECK(fault(true, false).find("another training is at work") != std::string::npos);
    file.save(example());
  }
  CHECK_FALSE(std::filesystem::exists(model + ".lock"));
  CHECK(fault(false, false).find("--resume") != std::string::npos);
  CHECK_FALSE(std::filesystem::exists(model + ".lock"));
  CHECK(fault(false, true) == "");
  CHECK(fault(true, false) == "");
  CHECK_FALSE(apps::CheckpointFile(model, false, true, alone).load(example().recipe).has_value());
  CHECK(apps::CheckpointFile(model, true, false, alone).load(example().recipe).has_value());
}
