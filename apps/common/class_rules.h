// The option --classes, which says what class names mean where they do not say it themselves:
// "mask=A,B no_mask=C worn_wrongly=D".
#pragma once

#include <map>
#include <string>
#include <vector>

#include "vision/masks/labels.h"

namespace maskwatch::apps {

// One name of a rule, and the word before its "=".
struct ClassRule {
  std::string word;
  std::string name;
};

// The names of all rules, in order. std::runtime_error, with the hint, for a text of another form.
std::vector<ClassRule> class_rules(const std::vector<std::string>& rules, const std::string& hint);

// The error for a rule whose word is none of those that are allowed here.
[[noreturn]] void fail_word(const ClassRule& rule, const std::string& allowed,
                            const std::string& hint);
// The error for a name that two rules give different meanings.
[[noreturn]] void fail_two_meanings(const std::string& name);

// What the option says of the classes of a classifier, by name.
using ClassMeanings = std::map<std::string, vision::LabelMeaning>;

// The help of the option for programs about classifiers.
extern const char* const kClassesHelp;

// Words: mask, no_mask, worn_wrongly, other and background. std::runtime_error for rules that are
// wrong.
ClassMeanings class_meanings(const std::vector<std::string>& rules);

// std::runtime_error if the option names a class that is none of these; `of`: whose classes they
// are.
void check_class_names(const ClassMeanings& meanings, const std::vector<std::string>& classes,
                       const std::string& of);

// Warns of classes whose meaning is unknown, if there are any; `effect`: what does not work for
// them.
void warn_of_unknown_classes(const std::vector<std::string>& classes, const std::string& effect);

// Notes each meaning that several of the classes have, of those that a result is told by: what they
// were made for cannot be known. `meanings`: of each of the classes.
void tell_of_shared_meanings(const std::vector<std::string>& classes,
                             const std::vector<vision::LabelMeaning>& meanings);

// "a, b"
std::string listed(const std::vector<std::string>& names);

}  // namespace maskwatch::apps
