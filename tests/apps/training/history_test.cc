// A history as text and back, and text that is not one.
#include "apps/training/history.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <stdexcept>

#include "tests/apps/temporary_folder.h"

using namespace maskwatch;

namespace {

const apps::History two_epochs{{1, 0.1, 0.9, 1.0 / 3, 5e-324, 1e-4, 9.25},
                               {2, 0.30000000000000004, 1, -0.0, 1.7976931348623157e308, 0, 1}};

}  // namespace

TEST_CASE("a history comes back bit for bit") {
  const apps::History back = apps::parse_history(apps::history_text(two_epochs), "h");
  CHECK(back == two_epochs);
  CHECK(back[0].validation_accuracy == 5e-324);
  CHECK(apps::parse_history(apps::history_text({}), "empty").empty());
  CHECK(apps::history_text({{1, 0.5, 0.75, 0.25, 1, 1e-4, 2}}) == R"({
  "epochs": [
    {
      "epoch": 1,
      "loss": 0.5,
      "accuracy": 0.75,
      "val_loss": 0.25,
      "val_accuracy": 1.0,
      "learning_rate": 0.0001,
      "seconds": 2.0
    }
  ]
}
)");
}

TEST_CASE("what is not finite becomes null and NaN") {
  apps::History history = two_epochs;
  history[0].loss = std::numeric_limits<double>::infinity();
  history[1].validation_loss = std::nan("");
  const std::string text = apps::history_text(history);
  CHECK(text.find("\"loss\": null") != std::string::npos);
  const apps::History back = apps::parse_history(text, "h");
  CHECK(std::isnan(back[0].loss));
  CHECK(std::isnan(back[1].validation_loss));
  CHECK(back[1].loss == history[1].loss);
}

TEST_CASE("text that is not a history is named, with what is wrong") {
  const auto message = [](const std::string& text) {
    CHECK_THROWS_AS(apps::parse_history(text, "h.json"), std::runtime_error);
    return message_of([&] { apps::parse_history(text, "h.json"); });
  };
  const auto says = [&](const std::string& text, const std::string& part) {
    const std::string said = message(text);
    INFO(said);
    CHECK(said.find("h.json: is not a training history: ") == 0);
    CHECK(said.find(part) != std::string::npos);
  };
  const std::string whole = apps::history_text(two_epochs);
  for (std::size_t length = 0; length + 2 < whole.size(); ++length)
    CHECK(message(whole.substr(0, length)).find("h.json: is not a training history: ") == 0);
  says("[]", "is not an object");
  says("3", "is not an object");
  says(R"({"epochs": {}})", "epochs is not a list");
  says(R"({"epochs": [1]})", "epochs[0] is not an object");
  says(R"({"epochs": [{"epoch": 1}]})", "epochs[0].loss is missing");
  says(R"({"epochs": [{"epoch": 1, "loss": "low"}]})", "epochs[0].loss is not a number");
  for (const char* epoch : {"0", "-1", "1.5", "1e99", "99999999999", "null", "\"1\""})
    says(std::string(R"({"epochs": [{"epoch": )") + epoch + "}]}",
         "epochs[0].epoch is not a whole number from 1");
  apps::History twice = two_epochs;
  twice[1].epoch = 1;
  says(apps::history_text(twice), "epochs[1].epoch is not a whole number from 2");
  says(std::string(100000, '['), "nested more than 100 deep");
}
