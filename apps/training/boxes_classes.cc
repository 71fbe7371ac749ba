#include "apps/training/boxes_classes.h"

#include <cctype>

#include "apps/common/class_rules.h"

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
  const vision::LabelMeaning meaning = vision::meaning_of(name);
  if (const int label = face_class(meaning); label != kUnlabelled)
    return ClassMeaning{Kind::face, label};
  if (meaning == vision::LabelMeaning::background) return ClassMeaning{Kind::other, 0};
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
    "write for example --classes mask=with_mask,Mask no_mask=bare worn_wrongly=chin face=head "
    "ignore=far other=person";

}  // namespace

int face_class(vision::LabelMeaning meaning) {
  using vision::LabelMeaning;
  return meaning == LabelMeaning::mask           ? 0
         : meaning == LabelMeaning::no_mask      ? 1
         : meaning == LabelMeaning::worn_wrongly ? 2
                                                 : kUnlabelled;
}

ClassMap::ClassMap(const std::vector<std::string>& rules) {
  for (const ClassRule& rule : class_rules(rules, kRuleHint)) {
    const std::optional<ClassMeaning> meaning = meaning_of_word(rule.word);
    if (!meaning) fail_word(rule, "mask, no_mask, worn_wrongly, face, ignore and other", kRuleHint);
    const auto [place, added] = rules_.emplace(rule.name, *meaning);
    if (!added && place->second != *meaning) fail_two_meanings(rule.name);
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
