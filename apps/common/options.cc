#include "apps/common/options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cmath>
#include <deque>
#include <optional>
#include <sstream>
#include <string_view>
#include <type_traits>

#include "apps/common/program.h"
#include "base/version.h"  // made by meson

namespace maskwatch::apps {
namespace {

constexpr std::size_t kHelpWidth = 80, kHelpColumn = 26;

template <typename... Cases>
struct Overloaded : Cases... {
  using Cases::operator()...;
};
template <typename... Cases>
Overloaded(Cases...) -> Overloaded<Cases...>;

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

// Nothing unless the whole text is a number that the type holds; infinity and NaN are not.
template <typename Number>
std::optional<Number> number_in(const std::string& text) {
  Number number{};
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || stop != end) return std::nullopt;
  if constexpr (std::is_floating_point_v<Number>)
    if (!std::isfinite(number)) return std::nullopt;
  return number;
}

// `text` in lines of at most kHelpWidth, each but the first indented by kHelpColumn.
std::string wrapped(const std::string& text) {
  std::istringstream words(text);
  std::string lines;
  std::size_t column = kHelpColumn;
  for (std::string word; words >> word;) {
    if (column > kHelpColumn && column + 1 + word.size() > kHelpWidth) {
      lines += "\n" + std::string(kHelpColumn, ' ');
      column = kHelpColumn;
    }
    if (column > kHelpColumn) lines += " ", ++column;
    lines += word;
    column += word.size();
  }
  return lines;
}

std::string help_entry(const std::string& names, const std::string& help) {
  std::string entry = "  " + names;
  if (help.empty()) return entry + "\n";
  if (entry.size() + 2 > kHelpColumn) entry += "\n";
  const std::size_t used = entry.back() == '\n' ? 0 : entry.size();
  return entry + std::string(kHelpColumn - used, ' ') + wrapped(help) + "\n";
}

// The words of a command line in the order that CLI11 takes them, the last one first. "--name=" is
// "--name" with an empty value: CLI11 would take the next word for its value.
std::vector<std::string> words_backwards(int argc, char** argv) {
  std::vector<std::string> words;
  for (int i = argc - 1; i > 0; --i) {
    std::string word = argv[i];
    const bool without_value =
        word.size() > 3 && word.starts_with("--") && word.find('=') == word.size() - 1;
    if (without_value) {
      words.emplace_back();
      word.pop_back();
    }
    words.push_back(std::move(word));
  }
  return words;
}

std::string version_line(const std::string& program) {
  return fmt::format("{} (Maskwatch {})", program, kVersion);
}

}  // namespace

struct OptionParser::Option::State {
  CLI::Option* option = nullptr;
  OptionValue value;
  std::string names, help, group, default_text;
  std::optional<std::pair<double, double>> range;
  std::vector<std::string> choices;
  std::function<std::string(const std::string&)> fault;

  bool positional() const { return names.front() != '-'; }
  // The long name where there is one.
  std::string name() const { return names.substr(names.rfind(',') + 1); }
  std::string help_text() const;
  std::string help_names() const;
  bool takes_value() const { return !std::holds_alternative<bool*>(value); }
  void check(const std::string& text) const;
  template <typename Number>
  Number number(const std::string& text) const;
  void assign();
};

struct OptionParser::Parser {
  CLI::App app;
  std::string about, footer, group = "Options";
  std::deque<Option> options;
  std::deque<Option::State> states;

  std::string help() const;
};

namespace {

std::string text_of(const OptionValue& value) {
  return std::visit(Overloaded{[](const bool* flag) { return std::string(*flag ? "on" : "off"); },
                               [](const std::string* text) { return *text; },
                               [](const std::vector<std::string>* texts) { return joined(*texts); },
                               [](const auto* number) { return fmt::format("{}", *number); }},
                    value);
}

const char* placeholder(const OptionValue& value) {
  return std::visit(
      Overloaded{[](const bool*) { return ""; }, [](const std::string*) { return " TEXT"; },
                 [](const std::vector<std::string>*) { return " TEXT..."; },
                 [](const auto* number) {
                   return std::is_floating_point_v<std::remove_cvref_t<decltype(*number)>>
                              ? " NUMBER"
                              : " INTEGER";
                 }},
      value);
}

}  // namespace

// The help and, in brackets, what the program knows besides.
std::string OptionParser::Option::State::help_text() const {
  std::vector<std::string> notes;
  if (option->get_required()) notes.emplace_back("required");
  if (range) notes.push_back(fmt::format("{} to {}", range->first, range->second));
  if (!default_text.empty()) notes.push_back("default: " + default_text);
  std::string all;
  for (const std::string& note : notes) all += (all.empty() ? "" : "; ") + note;
  return all.empty() ? help : help + " [" + all + "]";
}

std::string OptionParser::Option::State::help_names() const {
  if (positional()) return names + placeholder(value);
  const std::size_t comma = names.find(',');
  const std::string shown = comma == std::string::npos
                                ? "    " + names
                                : names.substr(0, comma) + ", " + names.substr(comma + 1);
  return shown + placeholder(value);
}

void OptionParser::Option::State::check(const std::string& text) const {
  // As from a variable of the shell that is not set: what runs must not depend on that.
  if (text.empty() && takes_value()) throw UsageError(name() + ": its value is empty");
  if (!choices.empty() && std::find(choices.begin(), choices.end(), text) == choices.end())
    throw std::invalid_argument("is not one of " + joined(choices));
  if (!fault) return;
  if (const std::string what = fault(text); !what.empty()) throw std::invalid_argument(what);
}

template <typename Number>
Number OptionParser::Option::State::number(const std::string& text) const {
  const std::optional<Number> number = number_in<Number>(text);
  const char* kind = std::is_floating_point_v<Number> ? "a number"
                     : std::is_signed_v<Number>       ? "a whole number"
                                                      : "a whole number of at least 0";
  const std::string limits =
      range ? fmt::format(" from {} to {}", range->first, range->second) : "";
  // In the option's own precision, so that 0.01 as a float is not below 0.01.
  const auto outside = [&](Number n) {
    return static_cast<double>(n) < static_cast<double>(static_cast<Number>(range->first)) ||
           static_cast<double>(n) > static_cast<double>(static_cast<Number>(range->second));
  };
  if (!number || (range && outside(*number)))
    throw std::invalid_argument(fmt::format("is not {}{}", kind, limits));
  return *number;
}

void OptionParser::Option::State::assign() {
  if (option->count() == 0) return;
  const std::vector<std::string>& texts = option->results();
  const auto fail = [&](const std::string& what) { throw UsageError(name() + what); };
  if (auto* const* list = std::get_if<std::vector<std::string>*>(&value)) (*list)->clear();
  for (const std::string& text : texts) try {
      check(text);
      std::visit(Overloaded{[&](bool* flag) {
                              if (text != "true") fail(" takes no value");
                              *flag = true;
                            },
                            [&](std::string* target) { *target = text; },
                            [&](std::vector<std::string>* list) { list->push_back(text); },
                            [&](auto* target) {
                              *target = number<std::remove_reference_t<decltype(*target)>>(text);
                            }},
                 value);
    } catch (const std::invalid_argument& wrong) {
      fail(": " + text + " " + wrong.what());
    }
  const bool many = !takes_value() || std::holds_alternative<std::vector<std::string>*>(value);
  if (!many && texts.size() > 1) fail(fmt::format(": given {} times", texts.size()));
}

std::string OptionParser::Parser::help() const {
  std::string usage = "Usage: " + app.get_name() + " [OPTION]...", arguments, entries, title;
  for (const Option::State& state : states) {
    if (state.positional()) {
      usage += " " + state.name();
      arguments += help_entry(state.help_names(), state.help_text());
      continue;
    }
    if (state.group != title) entries += "\n" + state.group + ":\n";
    title = state.group;
    entries += help_entry(state.help_names(), state.help_text());
  }
  if (!arguments.empty()) arguments = "\nArguments:\n" + arguments;
  return usage + "\n" + about + "\n" + arguments + entries + "\nOther:\n" +
         help_entry("-h, --help", "Print this and end") +
         help_entry("    --version", "Print the version and end") +
         (footer.empty() ? "" : "\n" + footer + "\n");
}

OptionParser::OptionParser(std::string program, std::string about)
    : parser_(std::make_unique<Parser>()) {
  parser_->app.name(program);
  parser_->app.allow_extras();  // parse() tells of them
  parser_->app.set_version_flag("--version", version_line(program));
  parser_->about = std::move(about);
}

OptionParser::~OptionParser() = default;

OptionParser::Option& OptionParser::add(const std::string& names, OptionValue value,
                                        const std::string& help) {
  Option::State& state = parser_->states.emplace_back();
  state.value = value;
  if (state.takes_value())
    state.option =
        parser_->app.add_option(names)->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  else
    state.option = parser_->app.add_flag(names);
  if (std::holds_alternative<std::vector<std::string>*>(value))
    state.option->expected(1, CLI::detail::expected_max_vector_size)->allow_extra_args();
  state.names = names;
  state.help = help;
  state.group = parser_->group;
  Option& option = parser_->options.emplace_back();
  option.state_ = &state;
  return option;
}

void OptionParser::group(const std::string& title) { parser_->group = title; }

void OptionParser::footer(const std::string& text) { parser_->footer = text; }

void OptionParser::parse(int argc, char** argv) {
  const std::string hint = "see " + parser_->app.get_name() + " --help";
  try {
    parser_->app.parse(words_backwards(argc, argv));
    std::vector<std::string> extras = parser_->app.remaining();
    const auto end_of_options = std::find(extras.begin(), extras.end(), "--");
    if (end_of_options != extras.end()) extras.erase(end_of_options);
    if (!extras.empty())
      throw UsageError("unknown argument: " +
                       (extras.front().empty() ? "an empty one" : extras.front()));
    for (Option::State& state : parser_->states) state.assign();
  } catch (const CLI::CallForVersion& version) {
    fmt::print("{}\n", version.what());
    throw CommandDone();
  } catch (const CLI::Success&) {
    fmt::print("{}", parser_->help());
    throw CommandDone();
  } catch (const CLI::ArgumentMismatch& wrong) {
    const std::string what = wrong.what();
    throw UsageError(what.substr(0, what.find(':')) + ": its value is missing", hint);
  } catch (const std::runtime_error& wrong) {  // CLI::ParseError is one too
    throw UsageError(wrong.what(), hint);
  }
}

bool OptionParser::given(const std::string& name) const { return parser_->app.count(name) > 0; }

OptionParser::Option& OptionParser::Option::required() {
  state_->option->required();
  return *this;
}

OptionParser::Option& OptionParser::Option::show_default() {
  state_->default_text = text_of(state_->value);
  return *this;
}

OptionParser::Option& OptionParser::Option::range(double low, double high) {
  state_->range = {low, high};
  return *this;
}

OptionParser::Option& OptionParser::Option::choices(std::vector<std::string> allowed) {
  state_->choices = std::move(allowed);
  return *this;
}

OptionParser::Option& OptionParser::Option::check(
    std::function<std::string(const std::string&)> fault) {
  state_->fault = std::move(fault);
  return *this;
}

OptionParser::Option& OptionParser::Option::excludes(const Option& other) {
  state_->option->excludes(other.state_->option);
  return *this;
}

OptionParser::Option& OptionParser::Option::needs(const Option& other) {
  state_->option->needs(other.state_->option);
  return *this;
}

}  // namespace maskwatch::apps
