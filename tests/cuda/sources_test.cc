// Rules of kernels that a compiler does not know.
#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace {

// body(path, number of the line, line) for each line of cuda/.
template <typename Body>
void for_each_line(const Body& body) {
  for (const auto& entry : std::filesystem::recursive_directory_iterator("cuda")) {
    const std::string extension = entry.path().extension().string();
    if (extension != ".cu" && extension != ".h" && extension != ".cc") continue;
    std::ifstream file(entry.path());
    int number = 0;
    for (std::string line; std::getline(file, line);)
      body(entry.path().generic_string(), ++number, line);
  }
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("cuda: nothing is summed in the order in which threads come, and the executor sees all") {
  int lines = 0;
  for_each_line([&](const std::string& path, int number, const std::string& line) {
    ++lines;
    INFO(path << ":" << number << ": " << line);
    CHECK_FALSE(contains(line, "atomicAdd"));
    // Launched through launch() of simt.h alone, in which the executor takes the GPU's place.
    if (path != "cuda/simt.h") CHECK_FALSE(contains(line, "<<<"));
  });
  CHECK(lines > 1000);  // or the working directory is not the project root
}
