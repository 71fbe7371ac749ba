#include "apps/training/judged_classes.h"

#include <fmt/format.h>

#include <algorithm>

#include "apps/common/class_rules.h"
#include "apps/common/program.h"

namespace maskwatch::apps {
namespace {

using vision::LabelMeaning;

class Judge {
 public:
  Judge(const NamedClasses& folders, const NamedClasses& labels)
      : folders_(folders), labels_(labels), names_(labels.names) {
    // What the model says of a name counts more than the name.
    for (std::size_t i = 0; i < folders_.names.size(); ++i)
      if (const auto label = label_called(folders_.names[i]); label < labels_.names.size())
        folders_.meanings[i] = labels_.meanings[label];
  }

  JudgedClasses judge(const std::string& model) {
    const std::vector<std::size_t> counts_as = joined_labels();
    out_.of_label.resize(labels_.names.size());
    for (std::size_t i = 0; i < labels_.names.size(); ++i) {
      if (counts_as[i] != i) continue;
      out_.of_label[i] = static_cast<int>(out_.classes.names.size());
      out_.classes.names.push_back(names_[i]);
      out_.classes.meanings.push_back(labels_.meanings[i]);
    }
    for (std::size_t i = 0; i < labels_.names.size(); ++i)
      out_.of_label[i] = out_.of_label[counts_as[i]];
    for (std::size_t i = 0; i < folders_.names.size(); ++i) place_folder(i, model);
    return std::move(out_);
  }

 private:
  std::size_t label_called(const std::string& name) const {
    return static_cast<std::size_t>(std::find(labels_.names.begin(), labels_.names.end(), name) -
                                    labels_.names.begin());
  }
  std::size_t first_label(LabelMeaning meaning) const {
    return static_cast<std::size_t>(
        std::find(labels_.meanings.begin(), labels_.meanings.end(), meaning) -
        labels_.meanings.begin());
  }

  static std::vector<std::string> names_of(const NamedClasses& classes, LabelMeaning meaning) {
    std::vector<std::string> names;
    for (std::size_t i = 0; i < classes.names.size(); ++i)
      if (classes.meanings[i] == meaning) names.push_back(classes.names[i]);
    return names;
  }

  // The first folder that stands for every label of the meaning; empty: there is none.
  std::string folder_of_all(LabelMeaning meaning) const {
    if (meaning == LabelMeaning::other) return "";
    for (const std::string& folder : names_of(folders_, meaning))
      if (label_called(folder) == labels_.names.size()) return folder;
    return "";
  }

  // Of each label the one that it counts as, mostly itself.
  std::vector<std::size_t> joined_labels() {
    std::vector<std::size_t> counts_as(labels_.names.size());
    for (std::size_t i = 0; i < counts_as.size(); ++i) {
      const LabelMeaning meaning = labels_.meanings[i];
      const std::string folder = folder_of_all(meaning);
      const std::vector<std::string> same = names_of(labels_, meaning);
      counts_as[i] = folder.empty() ? i : first_label(meaning);
      if (folder.empty() || same.size() == 1 || counts_as[i] != i) continue;
      names_[i] = folder;
      out_.notes.push_back(fmt::format(
          "the model's classes {} count as one, {}: the data set does not tell them apart",
          listed(same), one_line(folder)));
    }
    join_worn_wrongly(counts_as);
    return counts_as;
  }

  void join_worn_wrongly(std::vector<std::size_t>& counts_as) {
    const std::size_t mask = first_label(LabelMeaning::mask);
    const bool kinds = names_of(labels_, LabelMeaning::mask).size() > 1 &&
                       folder_of_all(LabelMeaning::mask).empty();
    const std::vector<std::string> wrongly = names_of(labels_, LabelMeaning::worn_wrongly);
    if (mask == labels_.names.size() || kinds || wrongly.empty() ||
        vision::knows(folders_.meanings, LabelMeaning::worn_wrongly))
      return;
    for (std::size_t i = 0; i < counts_as.size(); ++i)
      if (labels_.meanings[i] == LabelMeaning::worn_wrongly) counts_as[i] = mask;
    out_.notes.push_back(fmt::format("{} count{} as {}: the data set has no such class",
                                     listed(wrongly), wrongly.size() == 1 ? "s" : "",
                                     one_line(names_[mask])));
  }

  void place_folder(std::size_t folder, const std::string& model) {
    const std::string& name = folders_.names[folder];
    const LabelMeaning meaning = folders_.meanings[folder];
    std::size_t label = label_called(name);
    if (label == labels_.names.size() && meaning != LabelMeaning::other) {
      label = first_label(meaning);
      if (names_of(labels_, meaning).size() == 1)
        out_.notes.push_back(fmt::format("the folder {} counts as the model's class {}",
                                         one_line(name), one_line(labels_.names[label])));
    }
    if (label == labels_.names.size())
      throw UsageError(fmt::format("the folder {} is not a class of {}: {}", one_line(name),
                                   one_line(model), listed(labels_.names)),
                       "rename the folder, or say what it and they mean with --classes");
    out_.of_folder.push_back(out_.of_label[label]);
  }

  NamedClasses folders_;
  const NamedClasses& labels_;
  std::vector<std::string> names_;  // of the labels, as they are judged
  JudgedClasses out_;
};

}  // namespace

std::vector<float> JudgedClasses::sums(const std::vector<float>& probabilities) const {
  std::vector<float> out(classes.names.size());
  for (std::size_t i = 0; i < of_label.size(); ++i)
    out[static_cast<std::size_t>(of_label[i])] += probabilities[i];
  return out;
}

JudgedClasses judged_classes(const NamedClasses& folders, const NamedClasses& labels,
                             const std::string& model) {
  return Judge(folders, labels).judge(model);
}

}  // namespace maskwatch::apps
