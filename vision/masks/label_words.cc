#include "vision/masks/label_words.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>
#include <vector>

#include "base/printable.h"

namespace maskwatch::vision {
namespace {

constexpr std::size_t kLongestName = 120;  // bytes; a longer one is not a name

struct Words {
  WordKind kind;
  std::string_view text;  // separated by spaces, as folded_name() leaves them
};

// "Half" is none of them: a half mask, or half face mask, is a kind of respirator, but might be one
// that covers half of what it should.
// CMFD and IMFD are the folders of MaskedFace-Net (Cabani et al. 2021), whose files are called
// Mask_Chin, Mask_Mouth_Chin and Mask_Nose_Mouth where the mask covers no more than that.
constexpr Words kWords[] = {
    // English
    {WordKind::mask, "mask masks masked cmfd fullycovered mundschutz mundnasenschutz"},
    {WordKind::kind_of_mask, "n95 kn95 ffp1 ffp2 ffp3 respirator"},
    {WordKind::bare,
     "unmasked unmask maskless bare barefaced uncovered notcovered nonmasker nonmaskers"},
    {WordKind::negation,
     "no not non none without witout whithout wo dont doesnt isnt arent didnt off never missing "
     "absent lacking lacks lack removed"},
    {WordKind::right, "correct correctly proper properly"},
    {WordKind::wrong,
     "incorrect incorrectly incorect incorectly wrong wrongly improper improperly inproper "
     "inproperly unproperly imfd partiallycovered partlycovered misworn halfmasked halfcovered "
     "halfworn"},
    {WordKind::maybe_right, "right rightly good well valid full fully complete completely"},
    {WordKind::maybe_wrong,
     "bad badly partial partially partly poor poorly invalid incomplete incompletely chin "
     "onchin underchin belowchin mouthchin nosemouth undernose underthenose belownose belowthenose "
     "noseout noseexposed exposednose nosevisible visiblenose noseuncovered uncoverednose"},
    {WordKind::wearing, "wear wears wearing weared weard wore worn wor wearer put use using"},
    {WordKind::person,
     "person persons people human humans man men woman women male female boy girl child children "
     "kid kids adult individual individuals subject somebody someone he she"},
    {WordKind::filler,
     "with w has have having had on yes face faces facial a an the is are was of in his her their "
     "head class label type category "
     "image images img picture pictures pic photo photos detected detection found status colorful "
     "colourful color colour white black blue simple complex "
     "surgical medical cloth fabric cotton disposable"},
    // Spanish, Portuguese, Catalan, Italian, Romanian
    {WordKind::mask,
     "mascarilla mascarillas cubrebocas cubreboca tapabocas tapaboca barbijo barbijos nasobuco "
     "mascara mascaras mascarado mascareta mascherina mascherine maschera masca mascat"},
    {WordKind::bare, "desmascarado"},
    {WordKind::negation, "sin sem sense senza fara nao nu"},
    {WordKind::right,
     "correcto correcta correctamente correto correta corretamente corretta corretto "
     "correttamente adecuado adecuada adequada corect"},
    {WordKind::wrong,
     "incorrecto incorrecta incorrectamente incorreto incorreta incorretamente erroneo erronea "
     "errado errada erroneamente errata scorretta scorretto scorrettamente sbagliata inadecuado "
     "inadecuada inadequada gresit incorectamente malpuesta malpuesto malcolocada malcolocado "
     "malusada malusado malcolocata malindossata malpuestas"},
    {WordKind::maybe_right, "bien bem bene bine"},
    {WordKind::maybe_wrong, "mal male parcial parcialmente parziale"},
    {WordKind::wearing,
     "puesta puesto usa usan usando uso lleva llevando porta portando indossa indossata colocada "
     "colocado poarta"},
    {WordKind::person, "persona personas pessoa pessoas gente persone homem hombre mujer mulher"},
    {WordKind::filler,
     "con com amb cu tiene tem si sim un una uno uma um o la el las los il lo de del da do em en "
     "cara caras rostro rostros rosto "
     "rostos viso volto fata facial"},
    // French
    {WordKind::mask, "masque masques masquee masquees"},
    {WordKind::negation, "sans pas"},
    {WordKind::right, "correctement"},
    {WordKind::wrong,
     "incorrectement malporte malportes malmis incorrecte incorrectes mauvais mauvaise "
     "mauvaisement"},
    {WordKind::wearing, "porte portes portant porter met"},
    {WordKind::person, "personne personnes homme femme"},
    {WordKind::filler, "avec oui le les du des une son visage visages"},
    // German, Dutch, Scandinavian
    {WordKind::mask,
     "maske masken maskiert maskierte masker maskers mondmasker mondkapje mundbind munnbind "
     "munskydd ansiktsmask ansiktsmaske"},
    {WordKind::bare, "maskenlos unmaskiert"},
    {WordKind::negation,
     "ohne kein keine nicht nein zonder geen niet utan uden uten ingen ikke inte"},
    {WordKind::right, "richtig richtige korrekt korrekte juist correcte korrekta ratt"},
    {WordKind::wrong, "falsch falsche inkorrekt inkorrekte verkeerd verkeerde onjuist fel feil"},
    {WordKind::maybe_right, "gut goed"},
    {WordKind::maybe_wrong, "schlecht slecht"},
    {WordKind::wearing,
     "tragt tragen getragen tragend sitzend sitzende sitzt draagt dragen gedragen barer baerer"},
    {WordKind::person, "mensch menschen leute mann frau mensen persoon personer"},
    {WordKind::filler,
     "mit med ja ein eine einer einen der die das gesicht gesichter gezicht ansikt ansikte een"},
    // Polish, Czech, Turkish, Indonesian, Vietnamese
    {WordKind::mask,
     "maska maske maski masce maseczka maseczki maseczke rouska rousku rousky rouskou rusko "
     "maskeli bermasker khautrang"},
    {WordKind::bare, "maskesiz"},
    {WordKind::negation, "bez brak nie tanpa tidak tak tiada bukan khong chua yok"},
    {WordKind::right, "poprawnie prawidlowo spravne dogru benar dungcach"},
    {WordKind::wrong,
     "niepoprawnie nieprawidlowo zle spatne nespravne yanlis salah saicach sai khongdungcach"},
    {WordKind::wearing,
     "zalozona nosi noszona takili takilmis takan takmis pakai memakai dipakai pake menggunakan "
     "deo mang"},
    {WordKind::person, "orang kisi nguoi osoba osoby"},
    {WordKind::filler, "z s w ma var dengan co twarz wajah yuz mat muka tvar"},
    // Russian, Ukrainian
    {WordKind::mask, "маска маске маску маски маскои масок масці"},
    {WordKind::negation, "без нет не немає"},
    {WordKind::right, "правильно верно"},
    {WordKind::wrong, "неправильно неверно"},
    {WordKind::wearing, "надета надетои одета"},
    {WordKind::person, "человек люди"},
    {WordKind::filler, "в с у з есть лицо лица лицом на"},
    // Chinese, Japanese, Korean
    {WordKind::mask, "口罩 マスク 마스크"},
    {WordKind::negation,
     "不 未 没 沒 无 無 没有 沒有 なし 無し 無 未着用 していない ない 안 미 미착용 없음 없는"},
    {WordKind::right, "正确 正確 規範 规范 正しい 正しく"},
    {WordKind::wrong,
     "错误 錯誤 不正确 不正確 不规范 不規範 不当 不當 間違い 間違った 不適切 不適切な 鼻出し 顎 "
     "顎マスク"},
    {WordKind::maybe_right, "好"},
    {WordKind::wearing, "戴 戴着 戴著 佩戴 配戴 带 着用 している つけている を 착용 씀 쓴"},
    {WordKind::person, "人 人员 사람"},
    {WordKind::filler, "的 あり 有り 有 있음 있는 脸 臉 人脸 顔 の 얼굴"},
};

constexpr std::string_view kBackgrounds[] = {
    "background", "backgrounds", "noface", "nofaces",  "notface",  "notaface",
    "nonface",    "nonfaces",    "nobody", "noperson", "nopeople", "withoutface"};

struct Word {
  std::string_view text;
  WordKind kind;
};

// Those that begin with a byte, the longest first.
const std::vector<Word>& words_from(char first) {
  using Lists = std::array<std::vector<Word>, 256>;
  static const Lists all = [] {
    Lists lists;
    for (const auto& [kind, text] : kWords)
      for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = std::min(text.find(' ', at), text.size());
        lists[static_cast<unsigned char>(text[at])].push_back({text.substr(at, end - at), kind});
        at = end + 1;
      }
    for (std::vector<Word>& words : lists)
      std::stable_sort(words.begin(), words.end(),
                       [](const Word& a, const Word& b) { return a.text.size() > b.text.size(); });
    return lists;
  }();
  return all[static_cast<unsigned char>(first)];
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// "no" of "No. 1 With Mask": a number follows.
bool begins_number(std::string_view word, std::string_view rest) {
  return word == "no" && !rest.empty() && is_digit(rest.front());
}

// Splits a name into words. Each place is tried once: what follows a place does not depend on how
// it was reached.
class Splitter {
 public:
  explicit Splitter(std::string_view name) : name_(name), hopeless_(name.size()) {}

  bool split(std::size_t at) {
    if (at == name_.size()) return true;
    if (hopeless_[at]) return false;
    for (const Word& word : words_from(name_[at]))
      if (name_.substr(at).starts_with(word.text) && with(word, at)) return true;
    if (is_digit(name_[at]) && with({"0", WordKind::filler}, at)) return true;
    hopeless_[at] = true;
    return false;
  }
  const WordCounts& counts() const { return counts_; }

 private:
  bool with(const Word& word, std::size_t at) {
    const std::size_t rest = at + word.text.size();
    const bool number = begins_number(word.text, name_.substr(rest));
    // Elsewhere than at the beginning, as in "mask_no_1", it may be either.
    if (number && name_.substr(0, at).find_first_not_of("0123456789") != name_.npos) return false;
    if (!split(rest)) return false;
    ++counts_[number ? WordKind::filler : word.kind];
    return true;
  }

  std::string_view name_;
  std::vector<bool> hopeless_;
  WordCounts counts_;
};

// Latin letters with accents, U+00C0 to U+017F, as those without; '-' for signs.
constexpr std::string_view kPlainLatin =
    "aaaaaaaceeeeiiiidnooooo-ouuuuytsaaaaaaaceeeeiiiidnooooo-ouuuuyty"
    "aaaaaaccccccccddddeeeeeeeeeegggggggghhhhiiiiiiiiiiiijjkkkllllllllll"
    "nnnnnnnnnoooooooorrrrrrssssssssttttttuuuuuuuuuuuuwwyyyzzzzzzs";
static_assert(kPlainLatin.size() == 0x180 - 0xC0);

// 0: the letter has no plain form.
char plain_letter(char32_t c) {
  struct Range {
    char32_t first, last;
    char letter;
  };
  // Letters with a comma or horn, and Vietnamese ones.
  constexpr Range kRanges[] = {{0x1A0, 0x1A1, 'o'},   {0x1AF, 0x1B0, 'u'},   {0x218, 0x219, 's'},
                               {0x21A, 0x21B, 't'},   {0x1EA0, 0x1EB7, 'a'}, {0x1EB8, 0x1EC7, 'e'},
                               {0x1EC8, 0x1ECB, 'i'}, {0x1ECC, 0x1EE3, 'o'}, {0x1EE4, 0x1EF1, 'u'},
                               {0x1EF2, 0x1EF9, 'y'}};
  if (c >= 'A' && c <= 'Z') return static_cast<char>(c - 'A' + 'a');
  if (c >= 0xC0 && c < 0x180) return kPlainLatin[c - 0xC0];
  for (const Range& range : kRanges)
    if (c >= range.first && c <= range.last) return range.letter;
  return 0;
}

// Spaces, hyphens, quotation marks, marks that are added to a letter, and what has no width.
bool is_left_out(char32_t c) {
  constexpr std::string_view kJoins = "/|&+?";
  if (c < 0x80) {
    const char byte = static_cast<char>(c);
    const bool word =
        (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || is_digit(byte);
    return !word && kJoins.find(byte) == std::string_view::npos;
  }
  return c == 0xA0 || c == 0xAD || (c >= 0x300 && c < 0x370) || (c >= 0x2000 && c <= 0x200D) ||
         (c >= 0x2010 && c <= 0x2015) || (c >= 0x2018 && c <= 0x201F) || c == 0x2060 ||
         c == 0x3000 || c == 0xFEFF;
}

char32_t folded(char32_t c) {
  if (c >= 0xFF01 && c <= 0xFF5E) c -= 0xFF01 - '!';  // full width
  if (const char plain = plain_letter(c); plain != 0) return static_cast<char32_t>(plain);
  if (c >= 0x410 && c < 0x430) c += 0x20;  // Cyrillic capitals
  if (c == 0x451) return 0x435;            // letters with marks
  if (c == 0x439) return 0x438;
  if (c == 0x457) return 0x456;
  return c;
}

void append(std::string& text, char32_t c) {
  const auto byte = [&](char32_t bits) { text += static_cast<char>(bits); };
  if (c < 0x80) return byte(c);
  if (c < 0x800) {
    byte(0xC0 | c >> 6);
  } else if (c < 0x10000) {
    byte(0xE0 | c >> 12);
    byte(0x80 | (c >> 6 & 0x3F));
  } else {
    byte(0xF0 | c >> 18);
    byte(0x80 | (c >> 12 & 0x3F));
    byte(0x80 | (c >> 6 & 0x3F));
  }
  byte(0x80 | (c & 0x3F));
}

// "w/ mask" and "w/o mask", as they are said.
std::string spelt_out(std::string_view label) {
  std::string text(label);
  for (const auto& [shorthand, word] :
       {std::pair<std::string_view, std::string_view>{"w/o", "without"},
        {"W/O", "without"},
        {"w/", "with"},
        {"W/", "with"}})
    for (std::size_t at = 0; (at = text.find(shorthand, at)) != std::string::npos;
         at += word.size())
      text.replace(at, shorthand.size(), word);
  return text;
}

}  // namespace

std::string folded_name(std::string_view label) {
  const std::string text = spelt_out(label.substr(0, kLongestName + 1));
  std::string name;
  for (std::size_t at = 0; at < text.size();) {
    const char32_t c = next_character(text, at);
    if (c == kNotUtf8)
      name += '?';
    else if (const char32_t plain = folded(c); !is_left_out(plain))
      append(name, plain);
  }
  return name;
}

std::optional<WordCounts> words_of(std::string_view name) {
  if (name.size() > kLongestName) return std::nullopt;
  Splitter splitter(name);
  if (!splitter.split(0)) return std::nullopt;
  return splitter.counts();
}

bool is_background(std::string_view name) {
  while (!name.empty() && is_digit(name.front())) name.remove_prefix(1);
  return std::find(std::begin(kBackgrounds), std::end(kBackgrounds), name) !=
         std::end(kBackgrounds);
}

}  // namespace maskwatch::vision
