#include "apps/training/boxes_classes.h"

#include <cctype>
#include <span>

#include "apps/common/program.h"

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

struct UsualNames {
  ClassMeaning meaning;
  std::vector<std::string_view> names;  // as plain() makes them
};

const std::vector<UsualNames>& usual_names() {
  static const std::vector<UsualNames> all{
      {{Kind::face, 0},
       {"withmask", "mask", "masked", "facemask", "masks", "maskon", "wearingmask", "wearmask",
        "hasmask", "maskedface", "facewithmask", "goodmask", "correctmask", "maskcorrect",
        "maskworncorrectly", "maskwearedcorrect", "properlyworn", "properlywearingmask", "cmfd"}},
      {{Kind::face, 1},
       {"withoutmask", "nomask", "unmasked", "bare", "bareface", "withoutmasks", "maskoff",
        "notwearingmask", "notmasked", "facenomask", "facewithoutmask", "nomaskface",
        "unmaskedface", "nonmask", "notmask"}},
      {{Kind::face, 2},
       {"maskwornwrongly", "wornwrongly", "wrongmask", "maskwrong", "maskwearedincorrect",
        "maskworincorrect", "maskwornincorrectly", "wornincorrectly", "incorrectmask",
        "maskincorrect", "incorrect", "badmask", "impropermask", "improperlyworn", "imfd",
        "wearingmaskincorrectly", "incorrectlywornmask", "incorrectlyworn", "partialmask"}},
      {{Kind::face, kUnlabelled}, {"face", "faces"}},
      {{Kind::ignored, 0}, {"ignore", "ignored", "ignoredregion", "ignoredregions", "dontcare"}}};
  return all;
}

// The word before "=" in a rule.
std::optional<ClassMeaning> meaning_of_word(const std::string& word) {
  if (plain(word) == "other") return ClassMeaning{Kind::other, 0};
  for (const auto& [meaning, names] : usual_names())
    for (const std::string_view name : names)
      if (plain(word) == name) return meaning;
  return std::nullopt;
}

constexpr const char* kRuleHint =
    "write for example --classes mask=with_mask,Mask no_mask=bare worn_wrongly=chin "
    "face=head ignore=far other=person";

}  // namespace

ClassMap::ClassMap(const std::vector<std::string>& rules) {
  for (const std::string& rule : rules) {
    const std::size_t equals = rule.find('=');
    if (equals == std::string::npos || equals == 0 || equals + 1 == rule.size())
      throw UsageError("--classes " + one_line(rule) + ": not of the form class=name,name",
                       kRuleHint);
    const std::string word = rule.substr(0, equals);
    const std::optional<ClassMeaning> meaning = meaning_of_word(word);
    if (!meaning)
      throw UsageError("--classes " + one_line(rule) + ": '" + one_line(word) +
                           "' is none of mask, no_mask, worn_wrongly, face, ignore and other",
                       kRuleHint);
    for (std::size_t begin = equals + 1; begin <= rule.size();) {
      const std::size_t end = std::min(rule.find(',', begin), rule.size());
      const std::string name = rule.substr(begin, end - begin);
      begin = end + 1;
      if (name.empty())
        throw UsageError("--classes " + one_line(rule) + ": a name is empty", kRuleHint);
      const auto [place, added] = rules_.emplace(name, *meaning);
      if (!added && place->second != *meaning)
        throw UsageError("--classes: '" + one_line(name) + "' has two meanings");
    }
  }
}

std::optional<ClassMeaning> ClassMap::meaning(const std::string& name) const {
  const auto rule = rules_.find(name);
  if (rule != rules_.end()) return rule->second;
  const std::string wanted = plain(name);
  for (const auto& [meaning, names] : usual_names())
    for (const std::string_view usual : names)
      if (wanted == usual) return meaning;
  return std::nullopt;
}

std::set<std::string> ClassMap::names() const {
  std::set<std::string> all;
  for (const auto& [name, meaning] : rules_) all.insert(name);
  return all;
}

}  // namespace maskwatch::apps
