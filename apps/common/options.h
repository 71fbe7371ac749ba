// The command line of a program: what it is called, what it takes, and its --help. CLI11 parses it;
// only options.cc includes that library, because it takes many seconds to compile.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace maskwatch::apps {

// Where the value of an option goes. bool: a flag, without a value. vector: one value or more.
using OptionValue = std::variant<bool*, std::string*, std::vector<std::string>*, int*,
                                 std::int64_t*, std::uint64_t*, float*, double*>;

class OptionParser {
 public:
  class Option {
   public:
    Option& required();
    // What the variable holds when the option is added stands in --help.
    Option& show_default();
    // Numbers only: from `low` to `high`, both included.
    Option& range(double low, double high);
    Option& choices(std::vector<std::string> allowed);
    // `fault` says what is wrong with a value ("is not WIDTHxHEIGHT"); empty: nothing.
    Option& check(std::function<std::string(const std::string& value)> fault);
    // Giving both is an error.
    Option& excludes(const Option& other);
    // Giving this one alone is an error: it could not act.
    Option& needs(const Option& other);

   private:
    friend class OptionParser;
    struct State;
    State* state_ = nullptr;
  };

  OptionParser(std::string program, std::string about);
  ~OptionParser();
  OptionParser(const OptionParser&) = delete;
  OptionParser& operator=(const OptionParser&) = delete;

  // `names`: "-m,--model", "--seed", or "model" for a positional argument. `*value` keeps what it
  // holds if the option is not given; it must live until parse().
  Option& add(const std::string& names, OptionValue value, const std::string& help = "");

  // The options added from here on stand under this title in --help.
  void group(const std::string& title);
  // What --help ends with, as it is.
  void footer(const std::string& text);

  // Fills the variables. UsageError, with a hint at --help, for a wrong command line; CommandDone
  // (program.h) after --help or --version, which are printed.
  void parse(int argc, char** argv);
  // Whether parse() met the option, by any of its names.
  bool given(const std::string& name) const;

 private:
  struct Parser;
  std::unique_ptr<Parser> parser_;
};

}  // namespace maskwatch::apps
