#include "apps/training/boxes_classes.h"

#include <cctype>

#include "apps/common/program.h"
#include "vision/masks/labels.h"

namespace maskwatch::apps {
namespace {

using Kind = ClassMeaning::Kind;

// Letters and digits in lower case: "Mask_Weared-Incorrect" and "mask weared incorrect" are one.
std::string plain(std::string_view name) {
  std::string text;
  for (const char c : name)
    if (std::isalnum(static_cast<unsigned char>(c)) != 0)
      text += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

// Of the usual names; none for one that says nothing.
std::optional<ClassMeaning> usual_meaning(const std::string& name) {
  switch (vision::meaning_of(name)) {
    case vision::LabelMeaning::mask:
      return ClassMeaning{Kind::face, 0};
    case vision::LabelMeaning::no_mask:
      return ClassMeaning{Kind::face, 1};
    case vision::LabelMeaning::worn_wrongly:
      return ClassMeaning{Kind::face, 2};
    case vision::LabelMeaning::background:
      return ClassMeaning{Kind::other, 0};
    case vision::LabelMeaning::other:
      break;
  }
  const std::string text = plain(name);
  if (text == "face" || text == "faces") return ClassMeaning{Kind::face, kUnlabelled};
  for (const char* ignored : {"ignore", "ignored", "ignoredregion", "ignoredregions", "dontcare"})
    if (text == ignored) return ClassMeaning{Kind::ignored, 0};
  return std::nullopt;
}

// The word before "=" in a rule.
std::optional<ClassMeaning> meaning_of_word(const std::string& word) {
  if (plain(word) == "other") return ClassMeaning{Kind::other, 0};
  return usual_meaning(word);
}

constexpr const char* kRuleHint =
    " (write for example --classes mask=with_mask,Mask no_mask=bare worn_wrongly=chin face=head "
    "ignore=far other=person)";

}  // namespace

ClassMap::ClassMap(const std::vector<std::string>& rules) {
  for (const std::string& rule : rules) {
    const std::size_t equals = rule.find('=');
    if (equals == std::string::npos || equals == 0 || equals + 1 == rule.size())
      throw std::runtime_error("--classes " + one_line(rule) + ": not of the form class=name,name" +
                               kRuleHint);
    const std::string word = rule.substr(0, equals);
    const std::optional<ClassMeaning> meaning = meaning_of_word(word);
    if (!meaning)
      throw std::runtime_error("--classes " + one_line(rule) + ": '" + one_line(word) +
                               "' is none of mask, no_mask, worn_wrongly, face, ignore and other" +
                               kRuleHint);
    for (std::size_t begin = equals + 1; begin <= rule.size();) {
      const std::size_t end = std::min(rule.find(',', begin), rule.size());
      const std::string name = rule.substr(begin, end - begin);
      begin = end + 1;
      if (name.empty())
        throw std::runtime_error("--classes " + one_line(rule) + ": a name is empty" + kRuleHint);
      const auto [place, added] = rules_.emplace(name, *meaning);
      if (!added && place->second != *meaning)
        throw std::runtime_error("--classes: '" + one_line(name) + "' has two meanings");
    }
  }
}

std::optional<ClassMeaning> ClassMap::meaning(const std::string& name) const {
  const auto rule = rules_.find(name);
  if (rule != rules_.end()) return rule->second;
  return usual_meaning(name);
}

std::set<std::string> ClassMap::names() const {
  std::set<std::string> all;
  for (const auto& [name, meaning] : rules_) all.insert(name);
  return all;
}

}  // namespace maskwatch::apps
