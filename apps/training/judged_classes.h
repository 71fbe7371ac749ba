// Which of a classifier's answers are right for which folder of a labelled data set: what counts is
// what the names mean, unless the folders are called as the classes are.
#pragma once

#include <string>
#include <vector>

#include "vision/masks/labels.h"

namespace maskwatch::apps {

// Folders of a data set, or labels of a model, and what each means.
struct NamedClasses {
  std::vector<std::string> names;
  std::vector<vision::LabelMeaning> meanings;
};

// The classes that answers are judged by.
struct JudgedClasses {
  NamedClasses classes;
  // Of each folder, and of each of the model's labels, its index in `classes`.
  std::vector<int> of_folder, of_label;
  std::vector<std::string> notes;  // what counts as what; none where each label stands for itself

  // Of probabilities of the labels those of the classes: of labels that count as one the sum.
  std::vector<float> sums(const std::vector<float>& probabilities) const;
};

// A folder stands for the label that is called so, or else for all labels that mean the same: these
// then count as one class, for all folders. A mask worn wrongly is a mask for a data set that knows
// no such class, and no kinds of masks. UsageError for a folder that is no class of `model`.
JudgedClasses judged_classes(const NamedClasses& folders, const NamedClasses& labels,
                             const std::string& model);

}  // namespace maskwatch::apps
