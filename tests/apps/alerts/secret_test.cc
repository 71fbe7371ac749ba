// Where secrets come from.
#include "apps/alerts/secret.h"

#include <doctest/doctest.h>
#include <stdlib.h>

#include <stdexcept>

#include "apps/common/program.h"
#include "base/file.h"
#include "tests/apps/temporary_folder.h"

using namespace maskwatch;

TEST_CASE("a secret is the first line of a file, or a variable") {
  const TemporaryFolder folder;
  const char* variable = "MASKWATCH_TEST_SECRET";
  CHECK(apps::read_secret("--x", "", variable).empty());
  setenv(variable, "from outside", 1);
  CHECK(apps::read_secret("--x", "", variable) == "from outside");
  write_file_atomically(folder / "secret", "of a file\r\nsecond");
  CHECK(apps::read_secret("--x", folder / "secret", variable) == "of a file");
  write_file_atomically(folder / "empty", "\nsecond");
  CHECK_THROWS_AS(apps::read_secret("--x", folder / "empty", variable), apps::UsageError);
  CHECK_THROWS_AS(apps::read_secret("--x", folder / "none", variable), std::runtime_error);
  setenv(variable, "two\r\nlines", 1);
  CHECK_THROWS_AS(apps::read_secret("--x", "", variable), apps::UsageError);
  unsetenv(variable);
}

TEST_CASE("secrets are the same if all their bytes are") {
  CHECK(apps::same_secret("", ""));
  CHECK(apps::same_secret("abc", "abc"));
  for (const char* other : {"", "ab", "abd", "abcabc", "Abc"}) {
    CHECK(!apps::same_secret("abc", other));
    CHECK(!apps::same_secret(other, "abc"));
  }
}
