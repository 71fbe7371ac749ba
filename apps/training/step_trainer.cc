#include "apps/training/step_trainer.h"

#include <fmt/format.h>

#include <charconv>
#include <chrono>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "apps/common/program.h"
#include "nn/safetensors.h"

namespace maskwatch::apps {
namespace {

using nlohmann::ordered_json;

constexpr const char* kFormat = "maskwatch step checkpoint";

ordered_json to_json(const Figures& figures) {
  ordered_json object = ordered_json::object();
  for (const auto& [name, value] : figures)
    object[name] = std::isfinite(value) ? ordered_json(value) : ordered_json(nullptr);
  return object;
}

double number_of(const ordered_json& value) {
  return value.is_null() ? std::numeric_limits<double>::quiet_NaN() : value.get<double>();
}

Figures figures_of(const ordered_json& object) {
  Figures figures;
  for (const auto& [name, value] : object.items()) figures.emplace_back(name, number_of(value));
  return figures;
}

// Sums of figures that have the same names every time.
class Means {
 public:
  void add(const Figures& figures) {
    if (sums_.empty())
      for (const auto& [name, value] : figures) sums_.emplace_back(name, 0);
    for (std::size_t i = 0; i < figures.size(); ++i) sums_[i].second += figures[i].second;
    ++count_;
  }
  Figures get() const {
    Figures means = sums_;
    for (auto& [name, value] : means) value /= static_cast<double>(count_);
    return means;
  }

 private:
  Figures sums_;
  std::int64_t count_ = 0;
};

nn::Adam::Options adam_options(const StepTrainerOptions& options) {
  nn::Adam::Options adam;
  adam.weight_decay = options.weight_decay;
  return adam;
}

constexpr const char* kPrefixes[] = {"model.", "optimizer.", "average."};

nn::StateDict part_of(const nn::StateDict& all, const std::string& prefix) {
  nn::StateDict part;
  for (const auto& [name, tensor] : all)
    if (name.starts_with(prefix)) part[name.substr(prefix.size())] = tensor;
  return part;
}

std::int64_t count_in(const nn::Safetensors& contents, const char* key, const std::string& path) {
  const auto found = contents.metadata.find(key);
  std::int64_t count = -1;
  if (found != contents.metadata.end())
    std::from_chars(found->second.data(), found->second.data() + found->second.size(), count);
  if (count < 0)
    throw UsageError(path + ": not a checkpoint: no number " + key, "start again without --resume");
  return count;
}

}  // namespace

std::string stretches_text(const std::vector<StretchRecord>& records) {
  ordered_json list = ordered_json::array();
  for (const StretchRecord& record : records)
    list.push_back({{"step", record.step},
                    {"learning_rate", record.learning_rate},
                    {"seconds", record.seconds},
                    {"training", to_json(record.training)},
                    {"validation", to_json(record.validation)}});
  return ordered_json{{"stretches", std::move(list)}}.dump(2) + "\n";
}

std::vector<StretchRecord> parse_stretches(const std::string& text, const std::string& name) {
  try {
    const ordered_json document = ordered_json::parse(text);
    std::vector<StretchRecord> records;
    for (const ordered_json& entry : document.at("stretches"))
      records.push_back({entry.at("step").get<std::int64_t>(),
                         entry.at("learning_rate").get<double>(), entry.at("seconds").get<double>(),
                         figures_of(entry.at("training")), figures_of(entry.at("validation"))});
    return records;
  } catch (const ordered_json::exception& error) {
    throw UsageError(name + ": not a training history: " + error.what());
  }
}

StepTrainer::StepTrainer(TrainingTask& task, const StepTrainerOptions& options)
    : task_(task),
      options_(options),
      optimizer_(task.model().trainable_parameters(), adam_options(options)),
      average_(task.model(), options.average_decay) {}

StretchRecord StepTrainer::run(std::int64_t steps, const Progress& progress) {
  const auto start = std::chrono::steady_clock::now();
  const std::int64_t first = optimizer_.steps_taken();
  task_.prepare(first, first + steps);
  Means means;
  StretchRecord record;
  for (std::int64_t done = 0; done < steps; ++done) {
    task_.model().train();
    Figures figures;
    const nn::Tensor loss = task_.loss(figures);
    const auto fail = [&] {
      throw std::domain_error(fmt::format(
          "the loss is no longer finite at step {} (choose a smaller --lr)", first + done + 1));
    };
    if (!std::isfinite(loss.item())) fail();
    figures.insert(figures.begin(), {"loss", loss.item()});
    optimizer_.zero_grad();
    loss.backward();
    try {
      if (options_.clip > 0) optimizer_.clip_gradients(options_.clip);
    } catch (const std::runtime_error&) {
      fail();
    }
    record.learning_rate = options_.schedule.at(optimizer_.steps_taken());
    optimizer_.step(record.learning_rate);
    average_.update();
    means.add(figures);
    progress(done + 1, means.get());
  }
  optimizer_.zero_grad();
  record.step = optimizer_.steps_taken();
  record.training = means.get();
  average_.swap();
  record.validation = task_.validate();
  average_.swap();
  record.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return record;
}

void StepTrainer::save(const std::string& path, const std::string& recipe,
                       const std::vector<StretchRecord>& records) const {
  nn::Safetensors contents;
  contents.metadata = {{"format", kFormat},
                       {"recipe", recipe},
                       {"steps_taken", std::to_string(optimizer_.steps_taken())},
                       {"average_updates", std::to_string(average_.updates())},
                       {"history", stretches_text(records)}};
  const nn::StateDict parts[] = {task_.model().state_dict(), optimizer_.state(), average_.state()};
  for (std::size_t i = 0; i < 3; ++i)
    for (const auto& [name, tensor] : parts[i]) contents.tensors[kPrefixes[i] + name] = tensor;
  nn::save_safetensors(path, contents);
}

std::vector<StretchRecord> StepTrainer::restore(const std::string& path,
                                                const std::string& recipe) {
  const nn::Safetensors contents = nn::load_safetensors(path);
  const auto text = [&](const char* key) {
    const auto found = contents.metadata.find(key);
    return found == contents.metadata.end() ? std::string() : found->second;
  };
  if (text("format") != kFormat)
    throw UsageError(path + ": not a checkpoint of such a run", "start again without --resume");
  if (text("recipe") != recipe)
    throw UsageError(path + ": made with other options or pictures: " + one_line(text("recipe")) +
                         "; now " + recipe,
                     "start again without --resume");
  std::vector<StretchRecord> records = parse_stretches(text("history"), path);
  try {
    task_.model().load_state_dict(part_of(contents.tensors, kPrefixes[0]));
    optimizer_.load_state(part_of(contents.tensors, kPrefixes[1]),
                          count_in(contents, "steps_taken", path));
    average_.load_state(part_of(contents.tensors, kPrefixes[2]),
                        count_in(contents, "average_updates", path));
  } catch (const std::invalid_argument& fault) {
    throw UsageError(path + ": " + fault.what(), "start again without --resume");
  }
  return records;
}

}  // namespace maskwatch::apps
