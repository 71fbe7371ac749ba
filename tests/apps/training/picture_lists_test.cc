// Lists of pictures: what counts as the same name, and what is refused.
#include "apps/training/picture_lists.h"

#include <doctest/doctest.h>

#include "apps/common/program.h"
#include "tests/apps/temporary_folder.h"

using namespace maskwatch;

namespace {

struct Picture {
  std::string name, path;
};

}  // namespace

TEST_CASE("names are the same with ./ before them, blanks behind, and as JSON writes them") {
  CHECK(apps::listed_name("a/b c.png") == "a/b c.png");
  CHECK(apps::listed_name(".//./a.png \t\r") == "a.png");
  CHECK(apps::listed_name(".a.png") == ".a.png");
  CHECK(apps::listed_name(" \r") == "");
  CHECK(apps::listed_name("\xc3\xa9.png") == "\xc3\xa9.png");
  CHECK(apps::listed_name("\xff.png") == "\xef\xbf\xbd.png");
  CHECK(apps::listed_name("\xef\xbf\xbd.png") == "\xef\xbf\xbd.png");
}

TEST_CASE("a list of lines: byte order mark, CRLF and empty lines are no names") {
  const TemporaryFolder folder;
  folder.write("list.txt", "\xef\xbb\xbf./a.png\r\n\r\nb/c.png \n \n\xff.png");
  CHECK(apps::names_in_list(folder / "list.txt") ==
        std::set<std::string>{"a.png", "b/c.png", "\xef\xbf\xbd.png"});
  folder.write("history.json", R"({"validation_files": ["./a.png", "a.png"]})");
  CHECK(apps::names_in_history(folder / "history.json", "train") == std::set<std::string>{"a.png"});
  CHECK(message_of([&] {
          apps::names_in_history(folder / "list.txt", "train");
        }).ends_with("(train --history writes the list \"validation_files\")"));
}

TEST_CASE("pictures of a list; what it cannot tell apart and what is not there is refused") {
  const std::vector<Picture> pictures{{"a", "1/a"}, {"\xff", "1/\xff"}, {"c", "1/c"}};
  CHECK(apps::in_list(pictures, {"c", "\xef\xbf\xbd"}, "L") ==
        std::vector<bool>{false, true, true});
  const auto fault = [](const std::vector<Picture>& pictures, const std::set<std::string>& names) {
    CHECK_THROWS_AS(apps::in_list(pictures, names, "L"), apps::UsageError);
    return message_of([&] { apps::in_list(pictures, names, "L"); });
  };
  CHECK(fault(pictures, {}) == "L: it names no pictures");
  CHECK(fault(pictures, {"a", "z"}) ==
        "L: 1 of 2 pictures that it names are not in the data set: z");
  CHECK(fault({{"a", "1/a"}, {"a", "2/a"}}, {"a"}) ==
        "L tells pictures apart by their names, but 1/a and 2/a have the same (give the data sets "
        "one by one)");
  CHECK(fault({{"\xfe", "1"}, {"\xff", "2"}}, {"a"})
            .starts_with("L tells pictures apart by their names, but 1 and 2 have the same"));
}
