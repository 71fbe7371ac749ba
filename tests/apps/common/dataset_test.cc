// Which images a data set holds, and what is a copy of what.
#include "apps/common/dataset.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <stdexcept>

#include "base/parallel.h"
#include "tests/apps/temporary_folder.h"

using namespace maskwatch;

namespace {

namespace fs = std::filesystem;

std::vector<std::string> names_of(const apps::Dataset& dataset) {
  std::vector<std::string> names;
  for (const apps::DatasetImage& image : dataset.images) names.push_back(image.name);
  return names;
}

}  // namespace

TEST_CASE("pictures are listed in byte order at any depth; the rest is named") {
  const TemporaryFolder folder;
  folder.write("without_mask/b.PNG", "1");
  folder.write("without_mask/10.jpg", "2");
  folder.write("without_mask/2.jpeg", "3");
  folder.write("with_mask/deep/er/z.bmp", "4");
  folder.write("with_mask/B.JpG", "5");
  folder.write("with_mask/a.jpg", "6");
  folder.write("with_mask/notes.txt", "7");
  folder.write("with_mask/.hidden/a.jpg", "8");
  folder.write("loose.jpg", "9");
  folder.write("README", "10");
  folder.write(".ipynb_checkpoints/a.jpg", "11");
  fs::create_directories(folder / "empty");
  fs::create_directories(folder / "with_mask/folder.jpg");
  fs::create_symlink(folder / "with_mask", folder / "with_mask/loop");
  fs::create_symlink(folder / "nowhere.jpg", folder / "with_mask/dangling.jpg");
  fs::create_symlink("/dev/zero", folder / "with_mask/device.jpg");
  fs::create_symlink("/proc/self/mem", folder / "with_mask/unreadable.jpg");

  const apps::Dataset dataset = apps::scan_dataset({folder.path() + "/"});
  CHECK(dataset.classes == std::vector<std::string>{"with_mask", "without_mask"});
  CHECK(names_of(dataset) == std::vector<std::string>{"with_mask/B.JpG", "with_mask/a.jpg",
                                                      "with_mask/deep/er/z.bmp",
                                                      "without_mask/10.jpg", "without_mask/2.jpeg",
                                                      "without_mask/b.PNG"});
  CHECK(dataset.images[2].label == 0);
  CHECK(dataset.images[3].label == 1);
  CHECK(fs::equivalent(dataset.images[2].path, folder / "with_mask/deep/er/z.bmp"));
  CHECK(apps::class_counts(dataset) == std::vector<std::int64_t>{3, 3});
  CHECK(apps::count_copies(dataset) == 0);

  std::vector<std::string> skipped;
  for (const apps::SkippedFile& file : dataset.skipped)
    skipped.push_back(file.path.substr(folder.path().size() + 1) + ": " + file.reason);
  CHECK(skipped.size() == 10);
  const auto names = [&](const std::string& line) {
    return std::find(skipped.begin(), skipped.end(), line) != skipped.end();
  };
  CHECK(std::is_sorted(skipped.begin(), skipped.end()));
  CHECK(names("README: not a picture by its extension"));
  CHECK(names("loose.jpg: not in a class folder"));
  CHECK(names("with_mask/notes.txt: not a picture by its extension"));
  CHECK(names("with_mask/.hidden: hidden folder"));
  CHECK(names(".ipynb_checkpoints: hidden folder"));
  CHECK(names("empty: class folder without pictures"));
  CHECK(names("with_mask/loop: a link to a folder that contains it or was read already"));
  CHECK(names("with_mask/dangling.jpg: a link to nothing"));
  CHECK(names("with_mask/device.jpg: not a regular file"));
  CHECK(std::any_of(skipped.begin(), skipped.end(), [](const std::string& line) {
    return line.find("unreadable.jpg: cannot read: Input/output error") != std::string::npos;
  }));
}

TEST_CASE("copies share a group, over folders and classes too") {
  const TemporaryFolder folder;
  const std::string big(200000, 'x');
  folder.write("a/with/1.jpg", "one");
  folder.write("a/with/2.jpg", big + "1");
  folder.write("a/with/3.jpg", "one");
  folder.write("a/without/1.jpg", big + "2");
  folder.write("a/without/2.jpg", "one");
  folder.write("b/with/1.jpg", big + "2");
  folder.write("b/with/0.jpg", "two");
  folder.write("b/uncertain/0.jpg", "");
  const apps::Dataset dataset = apps::scan_dataset({folder / "a", folder / "b"});
  CHECK(dataset.classes == std::vector<std::string>{"uncertain", "with", "without"});
  std::vector<int> groups;
  for (const apps::DatasetImage& image : dataset.images) groups.push_back(image.group);
  // uncertain/0, with/0, then with/1 of both folders in the order of their digests.
  CHECK(names_of(dataset) == std::vector<std::string>{"uncertain/0.jpg", "with/0.jpg", "with/1.jpg",
                                                      "with/1.jpg", "with/2.jpg", "with/3.jpg",
                                                      "without/1.jpg", "without/2.jpg"});
  const int one = groups[5];
  const int big2 = groups[6];
  CHECK(
      std::is_permutation(groups.begin() + 2, groups.begin() + 4, std::vector{one, big2}.begin()));
  CHECK(groups[7] == one);
  CHECK(groups[4] != big2);
  CHECK(*std::max_element(groups.begin(), groups.end()) == 4);
  CHECK(apps::count_copies(dataset) == 3);
  CHECK(dataset.conflicts.size() == 2);
  for (const std::vector<int>& conflict : dataset.conflicts)
    CHECK(conflict.size() == (groups[static_cast<std::size_t>(conflict[0])] == one ? 3 : 2));

  const apps::Dataset swapped = apps::scan_dataset({folder / "b", folder / "a"});
  CHECK(apps::fingerprint(swapped) == apps::fingerprint(dataset));
  for (std::size_t i = 0; i < groups.size(); ++i) {
    CHECK(swapped.images[i].group == groups[i]);
    CHECK(swapped.images[i].path == dataset.images[i].path);
  }
  folder.write("b/with/0.jpg", "twO");
  CHECK(apps::fingerprint(apps::scan_dataset({folder / "a", folder / "b"})) !=
        apps::fingerprint(dataset));
}

TEST_CASE("what is wrong with a data set is said with its name") {
  const TemporaryFolder folder;
  folder.write("one/with_mask/a.jpg", "1");
  folder.write("loose/a.jpg", "1");
  folder.write("text/with_mask/a.txt", "1");
  folder.write("control/a\x1b[2J/a.jpg", "1");
  folder.write("latin/caf\xe9/a.jpg", "1");
  folder.write("file", "1");
  fs::create_directories(folder / "empty");
  fs::create_directories(folder / "mem/with_mask");
  fs::create_symlink("/proc/self/mem", folder / "mem/with_mask/a.jpg");
  const auto message = [&](const std::vector<std::string>& names) {
    std::vector<std::string> folders;
    for (const std::string& name : names) folders.push_back(folder / name);
    CHECK_THROWS_AS(apps::scan_dataset(folders), std::runtime_error);
    return message_of([&] { apps::scan_dataset(folders); });
  };
  const auto starts = [&](const std::vector<std::string>& names, const std::string& start) {
    const std::string text = message(names);
    INFO(text);
    CHECK(text.substr(0, start.size()) == start);
  };
  starts({"missing"}, folder / "missing: no such folder (a data set is a folder that");
  starts({"file"}, folder / "file: is not a folder (");
  starts({"file/x"}, folder / "file/x: cannot open the folder: Not a directory");
  starts({"empty"}, folder / "empty: holds no pictures (jpg, jpeg, jfif, png, ");
  starts({"text"}, folder / "text: holds no pictures (jpg, jpeg, jfif, png, ");
  starts({"loose"}, folder / "loose: its pictures are not in class folders (");
  starts({"one"}, folder / "one: holds 1 class (with_mask) where 2 are needed (");
  starts({"one", "empty"}, folder / "empty: holds no");
  starts({"one", "one/"}, folder / "one/: the data set is given twice");
  starts({"control"}, folder / "control/a\x1b[2J: the name of a class must be printable UTF-8");
  starts({"latin"}, folder / "latin/caf\xe9: the name of a class must be printable UTF-8");
  starts({"mem"}, folder / "mem: none of its pictures can be read: ");
  starts({}, "no data set given");
  CHECK(apps::scan_dataset({folder / "one"}, 1).classes.size() == 1);
}

TEST_CASE("the original data set: its copies, the same on any number of threads") {
  const std::string mask1376 = "../shared/datasets/mask1376";
  if (!fs::exists(mask1376)) {
    MESSAGE("SKIPPED: ../shared/datasets/mask1376 is missing");
    return;
  }
  set_threads(1);
  const apps::Dataset dataset = apps::scan_dataset({mask1376});
  set_threads(3);
  CHECK(apps::fingerprint(apps::scan_dataset({mask1376})) == apps::fingerprint(dataset));
  set_threads(0);
  CHECK(apps::class_counts(dataset) == std::vector<std::int64_t>{690, 686});
  // md5sum */* | awk '{print $1}' | sort | uniq -c
  CHECK(apps::count_copies(dataset) == 97);
  CHECK(dataset.conflicts.empty());
}

namespace {

// "train with_mask/1.jpg": the part, the class and the name of the file, of each picture.
std::vector<std::string> parts_of(const apps::Dataset& dataset) {
  const char* const names[] = {"-", "train", "validation", "test"};
  std::vector<std::string> lines;
  for (const apps::DatasetImage& image : dataset.images)
    lines.push_back(std::string(names[static_cast<int>(image.part)]) + " " +
                    dataset.classes[static_cast<std::size_t>(image.label)] +
                    image.name.substr(image.name.rfind('/')));
  std::sort(lines.begin(), lines.end());
  return lines;
}

const std::vector<std::string> kInParts{"test Mask/3.jpg",       "test NoMask/6.jpg",
                                        "train Mask/1.jpg",      "train NoMask/4.jpg",
                                        "validation Mask/2.jpg", "validation NoMask/5.jpg"};

}  // namespace

TEST_CASE("folders called train, validation and test split a data set, whatever their case") {
  for (const auto& [train, validation, test] :
       {std::array<const char*, 3>{"Train", "Validation", "Test"},
        {"training_set", "val", "TEST"},
        {"01_train", "Valid", "testing"}}) {
    const TemporaryFolder folder;
    int number = 0;
    for (const char* name : {"Mask", "NoMask"})
      for (const std::string part : {train, validation, test}) {
        const std::string text = std::to_string(++number);
        folder.write("above/" + part + "/" + name + "/" + text + ".jpg", text);
        folder.write("below/" + std::string(name) + "/" + part + "/" + text + ".jpg", text);
      }
    folder.write("above/" + std::string(train) + "/loose.jpg", "x");
    const apps::Dataset above = apps::scan_dataset({folder / "above"});
    CHECK(above.classes == std::vector<std::string>{"Mask", "NoMask"});
    CHECK(parts_of(above) == kInParts);
    CHECK(apps::has_parts(above));
    REQUIRE(above.skipped.size() == 1);
    CHECK(above.skipped[0].reason == "not in a class folder");
    CHECK(parts_of(apps::scan_dataset({folder / "below"})) == kInParts);
    CHECK(parts_of(apps::without_part(above, apps::DatasetPart::test)).size() == 4);
  }
}

TEST_CASE("a data set that is split in part, or one folder deeper, is refused with what to do") {
  const TemporaryFolder folder;
  const auto fails = [&](const std::vector<std::string>& names, const std::string& part) {
    std::vector<std::string> folders;
    for (const std::string& name : names) folders.push_back(folder / name);
    const std::string text = message_of([&] { apps::scan_dataset(folders); });
    INFO(text);
    CHECK(text.find(part) != std::string::npos);
  };
  for (const char* name : {"with_mask", "without_mask"}) {
    for (const char* part : {"Train", "Test"})
      folder.write(std::string("zip/Face Mask Dataset/") + part + "/" + name + "/1.jpg", "1");
    folder.write(std::string("plain/") + name + "/1.jpg", "2");
    folder.write(std::string("mixed/") + name + "/1.jpg", "2");
    folder.write(std::string("split/Train/") + name + "/1.jpg", "2");
  }
  folder.write("mixed/test/1.jpg", "3");
  folder.write("flat/train/1.jpg", "1");
  folder.write("flat/test/1.jpg", "2");
  fails({"zip"}, "-d '" + (folder / "zip/Face Mask Dataset") + "'");
  fails({"mixed"}, "parts of a split, but beside them lie with_mask, without_mask");
  fails({"flat"}, "pictures are not in class folders");
  fails({"plain", "split"}, "are split into train and test by their folders, others are not");
  // Where nothing else speaks of masks or of a split, a train may be a train.
  folder.write("vehicles/train/1.jpg", "1");
  folder.write("vehicles/car/1.jpg", "2");
  CHECK_FALSE(apps::has_parts(apps::scan_dataset({folder / "vehicles"})));
}

TEST_CASE("what macOS leaves in a zip file, and hidden files, are no pictures") {
  const TemporaryFolder folder;
  for (const std::string name : {"with_mask", "without_mask"})
    for (const std::string number : {"1", "2"}) {
      folder.write(name + "/" + number + ".jpg", name + number);
      folder.write(name + "/._" + number + ".jpg", "resource fork");
      folder.write("__MACOSX/" + name + "/._" + number + ".jpg", "resource fork");
    }
  folder.write("with_mask/.DS_Store", "x");
  const apps::Dataset dataset = apps::scan_dataset({folder.path()});
  CHECK(dataset.images.size() == 4);
  CHECK(dataset.classes == std::vector<std::string>{"with_mask", "without_mask"});
  std::vector<std::string> reasons;
  for (const apps::SkippedFile& file : dataset.skipped) reasons.push_back(file.reason);
  CHECK(reasons == std::vector<std::string>{"hidden folder", "3 hidden files", "2 hidden files"});
  CHECK(apps::scan_images({folder.path()}).images.size() == 4);
}

TEST_CASE("folders that link to each other are each read once") {
  const TemporaryFolder folder;
  constexpr int count = 12;  // whose paths are 12! many
  const auto inner = [](int i) { return "with_mask/" + std::to_string(i); };
  for (int i = 0; i < count; ++i) folder.write(inner(i) + "/a.jpg", "picture " + std::to_string(i));
  for (int i = 0; i < count; ++i)
    for (int j = 0; j < count; ++j)
      if (i != j)
        fs::create_directory_symlink(folder / inner(j),
                                     folder / (inner(i) + "/" + std::to_string(j)));
  folder.write("without_mask/a.jpg", "bare");
  const apps::Dataset dataset = apps::scan_dataset({folder.path()});
  REQUIRE(dataset.images.size() == count + 1);
  for (int i = 0; i < count; ++i) {
    std::string name = inner(i) + "/a.jpg";
    CHECK(std::any_of(dataset.images.begin(), dataset.images.end(),
                      [&](const apps::DatasetImage& image) { return image.name == name; }));
  }
  CHECK(std::any_of(dataset.skipped.begin(), dataset.skipped.end(), [](const auto& file) {
    return file.reason == "a link to a folder that contains it or was read already";
  }));
}

TEST_CASE("places are spread evenly") {
  using Places = std::vector<std::size_t>;
  CHECK(apps::spread_evenly(3, 5) == Places{0, 1, 2});
  CHECK(apps::spread_evenly(10, 4) == Places{0, 2, 5, 7});
  CHECK(apps::spread_evenly(0, 4).empty());
  CHECK(apps::spread_evenly(4, 0).empty());
}
