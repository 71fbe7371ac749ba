// What the class names of other people's annotations mean: who wears a mask, a face of unknown
// class, a region to ignore, or nothing of interest.
#pragma once

#include <array>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "vision/masks/labels.h"

namespace maskwatch::apps {

// The classes that a face detector tells apart, in the order of its outputs.
inline constexpr std::array<std::string_view, 3> kFaceClasses{"with_mask", "without_mask",
                                                              "mask_worn_wrongly"};

// A FaceBox's label: an index into kFaceClasses, or kUnlabelled for a face of unknown class.
inline constexpr int kUnlabelled = -1;

// Of a face that wears this.
int face_class(vision::LabelMeaning meaning);

// What a class name stands for.
struct ClassMeaning {
  enum class Kind {
    face,     // a face with `label`
    ignored,  // neither face nor background
    other,    // not a face: the box is left out, what it shows is background
  };
  Kind kind = Kind::face;
  int label = kUnlabelled;

  bool operator==(const ClassMeaning&) const = default;
};

class ClassMap {
 public:
  ClassMap() = default;
  // From "mask=with_mask,Mask", "no_mask=bare", "worn_wrongly=...", "face=..." (of unknown class),
  // "ignore=..." and "other=...". Throws UsageError for a text of another form, an unknown
  // word before "=", and a name with two meanings.
  explicit ClassMap(const std::vector<std::string>& rules);

  // The meaning by the rules, exactly as the name is written; else that of the usual names (in any
  // case, punctuation aside: "with_mask", "No-Mask", "mask_weared_incorrect", "face").
  std::optional<ClassMeaning> meaning(const std::string& name) const;

  // Names of the rules.
  std::set<std::string> names() const;

 private:
  std::map<std::string, ClassMeaning, std::less<>> rules_;
};

}  // namespace maskwatch::apps
