// Names of sources.
#include "apps/live/video_options.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "apps/common/program.h"
#include "base/file.h"
#include "tests/apps/temporary_folder.h"

using namespace maskwatch;

namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;

Pairs read(const std::vector<std::string>& texts) {
  Pairs out;
  for (const apps::SourceOption& source : apps::read_sources(texts))
    out.emplace_back(source.name, source.address);
  return out;
}

}  // namespace

TEST_CASE("a source may have a name, and several have one each") {
  CHECK(read({"0"}) == Pairs{{"", "0"}});
  CHECK(read({"door=rtsp://camera/1?a=b"}) == Pairs{{"door", "rtsp://camera/1?a=b"}});
  CHECK(read({"http://camera/?channel=1"}) == Pairs{{"", "http://camera/?channel=1"}});
  CHECK(read({"lavfi:testsrc2=size=64x48"}) == Pairs{{"", "lavfi:testsrc2=size=64x48"}});
  CHECK(read({"=x"}) == Pairs{{"", "=x"}});
  CHECK(read({"0", "hall=1", "a.mp4"}) == Pairs{{"1", "0"}, {"hall", "1"}, {"3", "a.mp4"}});
  CHECK_THROWS_AS(apps::read_sources({"a=0", "a=1"}), apps::UsageError);
  CHECK_THROWS_AS(apps::read_sources({"2=0", "1"}), apps::UsageError);
  CHECK_THROWS_AS(apps::read_sources({"door="}), apps::UsageError);
  const TemporaryFolder folder;
  const auto here = std::filesystem::current_path();
  std::filesystem::current_path(folder.path());
  write_file_atomically("a=b.mp4", "x");
  CHECK(read({"a=b.mp4"}) == Pairs{{"", "a=b.mp4"}});
  std::filesystem::current_path(here);
}
