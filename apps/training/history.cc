#include "apps/training/history.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <utility>

namespace maskwatch::apps {
namespace {

using nlohmann::json;

constexpr std::array<std::pair<const char*, double EpochRecord::*>, 6> kFigures{{
    {"loss", &EpochRecord::loss},
    {"accuracy", &EpochRecord::accuracy},
    {"val_loss", &EpochRecord::validation_loss},
    {"val_accuracy", &EpochRecord::validation_accuracy},
    {"learning_rate", &EpochRecord::learning_rate},
    {"seconds", &EpochRecord::seconds},
}};

[[noreturn]] void fail(const std::string& name, const std::string& what) {
  throw std::runtime_error(name + ": is not a training history: " + what);
}

const json& member(const json& object, const char* key, const std::string& name) {
  const auto found = object.is_object() ? object.find(key) : object.end();
  if (!object.is_object() || found == object.end())
    fail(name, fmt::format("\"{}\" is missing", key));
  return *found;
}

EpochRecord parse_epoch(const json& object, int previous, const std::string& name) {
  const json& epoch = member(object, "epoch", name);
  const bool fits = epoch.is_number_unsigned() && epoch.get<std::uint64_t>() <= 1000000000;
  if (!fits || epoch.get<int>() <= previous)
    fail(name, fmt::format("the epoch after {} is {}", previous, epoch.dump().substr(0, 40)));
  EpochRecord record;
  record.epoch = epoch.get<int>();
  for (const auto& [key, figure] : kFigures) {
    const json& value = member(object, key, name);
    if (!value.is_number() && !value.is_null())
      fail(name, fmt::format("\"{}\" of epoch {} is not a number", key, record.epoch));
    record.*figure =
        value.is_null() ? std::numeric_limits<double>::quiet_NaN() : value.get<double>();
  }
  return record;
}

}  // namespace

std::string history_text(const History& history) {
  nlohmann::ordered_json epochs = nlohmann::ordered_json::array();
  for (const EpochRecord& record : history) {
    nlohmann::ordered_json object{{"epoch", record.epoch}};
    for (const auto& [key, figure] : kFigures) {
      const double value = record.*figure;
      if (std::isfinite(value)) {
        object[key] = value;
      } else {
        object[key] = nullptr;
      }
    }
    epochs.push_back(std::move(object));
  }
  return nlohmann::ordered_json{{"epochs", std::move(epochs)}}.dump(2) + "\n";
}

History parse_history(std::string_view text, const std::string& name) {
  json document;
  try {
    document = json::parse(text);
  } catch (const json::exception& error) {
    fail(name, error.what());
  }
  const json& epochs = member(document, "epochs", name);
  if (!epochs.is_array()) fail(name, "\"epochs\" is not a list");
  History history;
  for (const json& epoch : epochs)
    history.push_back(parse_epoch(epoch, history.empty() ? 0 : history.back().epoch, name));
  return history;
}

}  // namespace maskwatch::apps
