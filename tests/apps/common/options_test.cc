// What a command line fills, what it refuses, and what --help says.
#include "apps/common/options.h"

#include <doctest/doctest.h>

#include "tests/apps/common/captured_run.h"

using namespace maskwatch;

namespace {

struct Values {
  std::vector<std::string> folders = {};
  std::string model = "m.safetensors", style = "ours", size = "";
  int count = 3;
  std::int64_t bytes = 0;
  std::uint64_t seed = 42;
  float share = 0.5f;
  double rate = 0;
  int indent = 0;
  bool json = false;
  bool count_given = false;
};

// A program with an option of every kind; `values` holds what it read.
Outcome run_options(std::vector<std::string> arguments, Values& values) {
  return run(
      [&](int argc, char** argv) {
        apps::OptionParser parser("prog", "Draws boxes.");
        parser.add("folder", &values.folders, "what to draw").required();
        parser.group("Drawing");
        parser.add("-m,--model", &values.model, "model file").show_default();
        const auto& style =
            parser.add("--style", &values.style, "ours or theirs").choices({"ours", "theirs"});
        parser.add("--size", &values.size, "WIDTHxHEIGHT").check([](const std::string& text) {
          return text.find('x') == std::string::npos ? "is not WIDTHxHEIGHT" : "";
        });
        parser.group("Numbers");
        parser.add("-n,--count", &values.count, "boxes").range(1, 1000).show_default();
        parser.add("--bytes", &values.bytes);
        parser.add("--seed", &values.seed, "of everything random").excludes(style);
        parser.add("--share", &values.share, "of the boxes").range(0, 1).show_default();
        parser.add("--rate", &values.rate);
        const auto& json = parser.add("--json", &values.json, "print JSON");
        parser.add("--indent", &values.indent, "of JSON").needs(json);
        parser.footer("Examples:\n  prog a b");
        parser.parse(argc, argv);
        values.count_given = parser.given("--count");
        return 0;
      },
      std::move(arguments));
}

void check_wrong(const std::vector<std::string>& arguments, const std::string& message) {
  Values values;
  const Outcome outcome = run_options(arguments, values);
  CHECK(outcome.code == 2);
  CHECK(outcome.out.empty());
  CHECK(outcome.err == "error: " + message + " (see prog --help)\n");
}

}  // namespace

TEST_CASE("options fill variables of every type; what is not given stays") {
  Values values;
  REQUIRE(run_options({"a", "b", "-m", "x", "--style", "theirs", "--size=3x4", "-n", "7", "--bytes",
                       "-9000000000", "--share", "0.25", "--rate", "1e-3", "--json"},
                      values)
              .code == 0);
  CHECK(values.folders == std::vector<std::string>{"a", "b"});
  CHECK(values.model == "x");
  CHECK(values.style == "theirs");
  CHECK(values.size == "3x4");
  CHECK(values.count == 7);
  CHECK(values.count_given);
  CHECK(values.bytes == -9000000000);
  CHECK(values.share == 0.25f);
  CHECK(values.rate == 1e-3);
  CHECK(values.json);
  CHECK(values.seed == 42);

  Values defaults;
  REQUIRE(run_options({"a", "--seed", "18446744073709551615"}, defaults).code == 0);
  CHECK(defaults.seed == 18446744073709551615u);
  CHECK(defaults.count == 3);
  CHECK_FALSE(defaults.count_given);
  CHECK_FALSE(defaults.json);
}

TEST_CASE("what follows -- is no option") {
  Values values;
  REQUIRE(run_options({"--json", "a", "--", "-b", "--seed"}, values).code == 0);
  CHECK(values.folders == std::vector<std::string>{"a", "-b", "--seed"});
  CHECK(values.json);
  CHECK(values.seed == 42);
  CHECK(run_options({"--"}, values).code == 2);
}

TEST_CASE("a wrong command line is one line with a hint") {
  check_wrong({}, "folder is required");
  check_wrong({"a", "--count", "0"}, "--count: 0 is not a whole number from 1 to 1000");
  check_wrong({"a", "--count", "7.5"}, "--count: 7.5 is not a whole number from 1 to 1000");
  check_wrong({"a", "--count", "99999999999"},
              "--count: 99999999999 is not a whole number from 1 to 1000");
  check_wrong({"a", "--bytes", "many"}, "--bytes: many is not a whole number");
  check_wrong({"a", "--seed", "-1"}, "--seed: -1 is not a whole number of at least 0");
  check_wrong({"a", "--share", "nan"}, "--share: nan is not a number from 0 to 1");
  check_wrong({"a", "--rate", "inf"}, "--rate: inf is not a number");
  check_wrong({"a", "--style", "flat"}, "--style: flat is not one of ours, theirs");
  check_wrong({"a", "--size", "4"}, "--size: 4 is not WIDTHxHEIGHT");
  check_wrong({"a", "--seed", "1", "--style", "ours"}, "--style excludes --seed");
  check_wrong({"a", "--indent", "2"}, "--indent requires --json");
  check_wrong({"a", "--sise", "96"}, "unknown argument: --sise");
  check_wrong({"a", "--count"}, "--count: its value is missing");
  check_wrong({"a", "--json=no"}, "--json takes no value");
  check_wrong({"a", "-n", "1", "--count", "2"}, "--count: given 2 times");
}

TEST_CASE("an empty value, as of a shell's variable that is not set, is refused in any form") {
  check_wrong({"a", "-m", ""}, "--model: its value is empty");
  check_wrong({"a", "--model="}, "--model: its value is empty");
  check_wrong({"--model=", "a"}, "--model: its value is empty");
  check_wrong({"--model", "", "a"}, "--model: its value is empty");
  check_wrong({""}, "folder: its value is empty");
  check_wrong({"a", "", "b"}, "folder: its value is empty");
  check_wrong({"a", "--style", ""}, "--style: its value is empty");
  check_wrong({"a", "--size", ""}, "--size: its value is empty");
  check_wrong({"a", "--count", ""}, "--count: its value is empty");
  check_wrong({"a", "--rate="}, "--rate: its value is empty");
  check_wrong({"a", "-m", "x", "-m", ""}, "--model: its value is empty");
}

TEST_CASE("--help and --version are printed, and nothing else is done") {
  Values values;
  const Outcome help = run_options({"--help"}, values);
  CHECK(help.code == 0);
  CHECK(help.err.empty());
  CHECK(help.out == R"(Usage: prog [OPTION]... folder
Draws boxes.

Arguments:
  folder TEXT...          what to draw [required]

Drawing:
  -m, --model TEXT        model file [default: m.safetensors]
      --style TEXT        ours or theirs
      --size TEXT         WIDTHxHEIGHT

Numbers:
  -n, --count INTEGER     boxes [1 to 1000; default: 3]
      --bytes INTEGER
      --seed INTEGER      of everything random
      --share NUMBER      of the boxes [0 to 1; default: 0.5]
      --rate NUMBER
      --json              print JSON
      --indent INTEGER    of JSON

Other:
  -h, --help              Print this and end
      --version           Print the version and end

Examples:
  prog a b
)");
  const Outcome version = run_options({"--version"}, values);
  CHECK(version.code == 0);
  CHECK(version.out.starts_with("prog (Maskwatch "));
}
