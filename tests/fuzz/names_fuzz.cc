// Names: labels of models, rules of class maps and names of annotations, a line each, and what is
// shown of them.
#include "apps/common/program.h"
#include "apps/training/boxes_classes.h"
#include "tests/fuzz/fuzz.h"
#include "vision/image/text.h"
#include "vision/masks/labels.h"

namespace maskwatch::fuzz {
namespace {

std::vector<std::string> seeds() {
  return {
      "with_mask\nwithout_mask\nmask_weared_incorrect\n0 With Mask\n",
      "mask=with_mask,Mask\nno_mask=bare\nworn_wrongly=chin\nface=head\nignore=far\nother=dog\n",
      "Maske \xc3\xbc"
      "ber der Nase\n\xe5\x8f\xa3\xe7\xbd\xa9\n\xc2\x9b"
      "2J\xe2\x80\xae\xff\n",
      "\xef\xbb\xbf"
      "class 0\nbackground"};
}

bool run(std::string_view bytes) {
  std::vector<std::string> lines;
  for (std::string_view rest = bytes; !rest.empty();) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    lines.emplace_back(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  vision::meanings_of(lines);
  const bool are_rules = expect_faults([&] {
    const apps::ClassMap rules(lines);
    for (const std::string& line : lines) rules.meaning(line);
  });
  const apps::ClassMap usual;
  for (const std::string& line : lines) {
    usual.meaning(line);
    const std::string shown =
        apps::one_line(vision::result_text(line, vision::meaning_of(line), 0.5f));
    for (const char c : shown)
      if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) std::abort();
  }
  return are_rules;
}

}  // namespace

const Target names{"names", seeds, run, nullptr, false};

}  // namespace maskwatch::fuzz
