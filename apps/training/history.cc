#include "apps/training/history.h"

#include <array>
#include <limits>
#include <string>
#include <utility>

#include "base/json_fields.h"

namespace maskwatch::apps {
namespace {

constexpr std::array<std::pair<const char*, double EpochRecord::*>, 6> kFigures{{
    {"loss", &EpochRecord::loss},
    {"accuracy", &EpochRecord::accuracy},
    {"val_loss", &EpochRecord::validation_loss},
    {"val_accuracy", &EpochRecord::validation_accuracy},
    {"learning_rate", &EpochRecord::learning_rate},
    {"seconds", &EpochRecord::seconds},
}};

// Each epoch comes after the `previous` one.
EpochRecord parse_epoch(const JsonFields& object, int previous) {
  constexpr int kMostEpochs = 1000000000;
  EpochRecord record;
  record.epoch = static_cast<int>(object["epoch"].whole_number(previous + 1, kMostEpochs));
  for (const auto& [key, figure] : kFigures) {
    const JsonFields value = object[key];
    record.*figure = value.is_null() ? std::numeric_limits<double>::quiet_NaN() : value.number();
  }
  return record;
}

}  // namespace

Json history_json(const History& history) {
  Json epochs = Json::list();
  for (const EpochRecord& record : history) {
    Json object = Json::object({{"epoch", record.epoch}});
    for (const auto& [key, figure] : kFigures) object[key] = record.*figure;
    epochs.push_back(std::move(object));
  }
  return Json::object({{"epochs", std::move(epochs)}});
}

std::string history_text(const History& history) {
  return history_json(history).dump(2, Json::KeyOrder::as_added) + "\n";
}

History parse_history(std::string_view text, const std::string& name) {
  History history;
  for (const JsonFields& epoch :
       JsonFields::parse(text, name + ": is not a training history")["epochs"].list())
    history.push_back(parse_epoch(epoch, history.empty() ? 0 : history.back().epoch));
  return history;
}

}  // namespace maskwatch::apps
