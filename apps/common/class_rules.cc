#include "apps/common/class_rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <stdexcept>

#include "apps/common/program.h"

namespace maskwatch::apps {
namespace {

constexpr const char* kHint =
    "write for example --classes mask=with,WM no_mask=bare worn_wrongly=chin other=hat "
    "background=wall";

}  // namespace

const char* const kClassesHelp =
    "What class names mean, where they do not say it: mask=NAME,NAME no_mask=... "
    "worn_wrongly=... other=... background=... (no face)";

std::vector<ClassRule> class_rules(const std::vector<std::string>& rules, const std::string& hint) {
  std::vector<ClassRule> all;
  for (const std::string& rule : rules) {
    const std::size_t equals = rule.find('=');
    if (equals == std::string::npos || equals == 0 || equals + 1 == rule.size())
      throw UsageError("--classes " + one_line(rule) + ": not of the form class=name,name", hint);
    for (std::size_t begin = equals + 1; begin <= rule.size();) {
      const std::size_t end = std::min(rule.find(',', begin), rule.size());
      all.push_back({rule.substr(0, equals), rule.substr(begin, end - begin)});
      begin = end + 1;
      if (all.back().name.empty())
        throw UsageError("--classes " + one_line(rule) + ": a name is empty", hint);
    }
  }
  return all;
}

void fail_word(const ClassRule& rule, const std::string& allowed, const std::string& hint) {
  throw UsageError("--classes " + one_line(rule.word) + "=" + one_line(rule.name) + ": '" +
                       one_line(rule.word) + "' is not a meaning; use " + allowed,
                   hint);
}

void fail_two_meanings(const std::string& name) {
  throw UsageError("--classes: '" + one_line(name) + "' has two meanings");
}

ClassMeanings class_meanings(const std::vector<std::string>& rules) {
  ClassMeanings meanings;
  for (const ClassRule& rule : class_rules(rules, kHint)) {
    std::optional<vision::LabelMeaning> meaning = vision::meaning_of_word(rule.word);
    if (!meaning) meaning = vision::meaning_of(rule.word);  // "With_Mask=..." is as clear
    if (*meaning == vision::LabelMeaning::other && rule.word != "other")
      fail_word(rule, "mask, no_mask, worn_wrongly, other and background", kHint);
    const auto [place, added] = meanings.emplace(rule.name, *meaning);
    if (!added && place->second != *meaning) fail_two_meanings(rule.name);
  }
  return meanings;
}

void check_class_names(const ClassMeanings& meanings, const std::vector<std::string>& classes,
                       const std::string& of) {
  for (const auto& [name, meaning] : meanings)
    if (std::find(classes.begin(), classes.end(), name) == classes.end())
      throw UsageError("--classes: '" + one_line(name) + "' is not a class of " + of + ": " +
                       listed(classes));
}

void warn_of_unknown_classes(const std::vector<std::string>& classes, const std::string& effect) {
  if (classes.empty()) return;
  const bool one = classes.size() == 1;
  warn((one ? "the class name " : "the class names ") + listed(classes) + (one ? " does" : " do") +
       " not say who wears a mask: " + effect +
       " (say it with --classes mask=NAME no_mask=NAME worn_wrongly=NAME other=NAME)");
}

void tell_of_shared_meanings(const std::vector<std::string>& classes,
                             const std::vector<vision::LabelMeaning>& meanings) {
  using vision::LabelMeaning;
  for (const LabelMeaning meaning :
       {LabelMeaning::mask, LabelMeaning::no_mask, LabelMeaning::worn_wrongly}) {
    std::vector<std::string> sharing;
    for (std::size_t i = 0; i < classes.size(); ++i)
      if (meanings[i] == meaning) sharing.push_back(classes[i]);
    if (sharing.size() > 1)
      tell(
          fmt::format("the classes {} mean the same ({}), and are trained to be told apart (to "
                      "train them as one, put their pictures into folders of one name)",
                      listed(sharing), vision::word_of(meaning)));
  }
}

std::string listed(const std::vector<std::string>& names) {
  constexpr std::size_t kMost = 10;
  std::string text;
  for (std::size_t i = 0; i < std::min(names.size(), kMost); ++i)
    text += (i == 0 ? "" : ", ") + one_line(names[i]);
  if (names.size() > kMost) text += " and " + std::to_string(names.size() - kMost) + " more";
  return text;
}

}  // namespace maskwatch::apps
