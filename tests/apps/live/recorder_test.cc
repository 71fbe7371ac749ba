#include "apps/live/recorder.h"

#include <doctest/doctest.h>

#include <filesystem>

#include "tests/apps/temporary_folder.h"

using namespace maskwatch;

TEST_CASE("a recording that cannot be made is told of, and the next one runs") {
  const TemporaryFolder folder;
  const auto picture = std::make_shared<vision::Image>(64, 48, 3);
  apps::Recorder recorder;
  recorder.start_soon(folder / "no/folder/video.mp4", 64, 48, 30);
  recorder.add(picture, 0, true);
  recorder.start_soon(folder / "video.mp4", 64, 48, 30);
  for (int i = 0; i < 5; ++i) recorder.add(picture, i / 30., true);
  CHECK(recorder.recording());
  CHECK(recorder.save_picture(picture, folder / "picture.png"));
  CHECK(recorder.save_picture(picture, folder / "no/folder/picture.png"));
  recorder.finish();
  CHECK(!recorder.recording());
  CHECK(recorder.frames() == 5);
  CHECK(recorder.take_fault().find("no/folder/video.mp4: cannot be written") != std::string::npos);
  CHECK(recorder.take_fault().empty());
  CHECK(recorder.take_picture_fault().find("no/folder/picture.png") != std::string::npos);
  CHECK(vision::load_image(folder / "picture.png").width == 64);
  CHECK(std::filesystem::file_size(folder / "video.mp4") > 500);
}
