// detect_mask_image and evaluate_mask_detector as a user runs them. The environment variable
// MASKWATCH_PROGRAMS names the folder that they were built in.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/file.h"
#include "nn/classifier.h"
#include "tests/apps/temporary_folder.h"
#include "tests/shared_data.h"
#include "tests/vision/masks/classify_faces.h"
#include "vision/image/image.h"
#include "vision/masks/mask_classifier.h"

using namespace maskwatch;

namespace {

namespace fs = std::filesystem;
using nlohmann::json;

struct Outcome {
  int code;
  std::string output, errors;
};

std::string quoted(const std::string& word) {
  std::string text = "'";
  for (const char c : word) {
    if (c == '\'') text += "'\\'";
    text += c;
  }
  return text += "'";
}

std::string command_of(const std::string& program, const std::vector<std::string>& arguments) {
  const char* programs = std::getenv("MASKWATCH_PROGRAMS");
  REQUIRE_MESSAGE(programs != nullptr, "run by meson, which sets MASKWATCH_PROGRAMS");
  std::string command = fmt::format("env -u DISPLAY -u WAYLAND_DISPLAY -u SDL_VIDEODRIVER {}",
                                    quoted(fmt::format("{}/{}", programs, program)));
  for (const std::string& argument : arguments) command += fmt::format(" {}", quoted(argument));
  return command + " >.out 2>.err";
}

Outcome run_command(const TemporaryFolder& folder, const std::string& command) {
  const int status =
      std::system(fmt::format("cd {} && {}", quoted(folder.path()), command).c_str());
  REQUIRE(WIFEXITED(status));
  return {WEXITSTATUS(status), read_file(folder / ".out"), read_file(folder / ".err")};
}

// Runs in `folder`, without a display.
Outcome run(const TemporaryFolder& folder, const std::string& program,
            const std::vector<std::string>& arguments) {
  return run_command(folder, command_of(program, arguments));
}

void check_fault(const Outcome& outcome, const std::string& part) {
  CAPTURE(outcome.errors);
  CHECK(outcome.code == 2);
  CHECK(outcome.errors.starts_with("error: "));
  CHECK(std::count(outcome.errors.begin(), outcome.errors.end(), '\n') == 1);
  CHECK(outcome.errors.find(part) != std::string::npos);
}

// With random weights.
void write_model(const std::string& path,
                 std::vector<std::string> labels = {"with_mask", "without_mask"}) {
  nn::ClassifierOptions options;
  options.backbone.width = 0.1;
  options.backbone.input_size = 64;
  options.labels = std::move(labels);
  nn::save_classifier(path, nn::Classifier(options, 7));
}

vision::Image flat_picture(int width, int height, std::uint8_t value) {
  vision::Image image(width, height);
  std::fill(image.pixels.begin(), image.pixels.end(), value);
  return image;
}

const TemporaryFolder& prepared() {
  static const TemporaryFolder folder;
  static bool done = false;
  if (!std::exchange(done, true)) {
    write_model(folder / "model.safetensors");
    vision::save_image(folder / "grey.png", flat_picture(90, 70, 128));
    vision::save_image(folder / "dark.png", flat_picture(70, 90, 10));
    folder.write("text.png", "this is no picture");
    const std::string bytes = read_file(folder / "grey.png");
    folder.write("truncated.png", bytes.substr(0, bytes.size() / 2));
    for (int i = 0; i < 5; ++i)
      for (const char* name : {"with_mask", "without_mask"}) {
        const auto value = static_cast<std::uint8_t>(20 * i + (name[4] == '_' ? 140 : 10));
        const std::string file = std::string("set/") + name + "/" + std::to_string(i) + ".png";
        fs::create_directories(fs::path(folder / file).parent_path());
        vision::save_image(folder / file, flat_picture(40 + i, 50, value));
      }
  }
  return folder;
}

// What the model says of the whole picture of the data set that a line of --scores is about.
std::vector<float> answer_of(vision::MaskClassifier& classifier, const TemporaryFolder& folder,
                             const json& scored) {
  const auto image = vision::load_image(folder / ("set/" + scored["image"].get<std::string>()));
  const vision::Detection whole{
      {0, 0, static_cast<float>(image.width), static_cast<float>(image.height)}, 1};
  return classify_faces(classifier, image, vision::LocatedFaces{{whole}, 0}).front().probabilities;
}

const std::vector<std::string> kModel{"-m", "model.safetensors"};

std::vector<std::string> with_model(std::vector<std::string> arguments) {
  arguments.insert(arguments.end(), kModel.begin(), kModel.end());
  return arguments;
}

}  // namespace

TEST_CASE("detect_mask_image classifies whole pictures and draws the result") {
  const TemporaryFolder& folder = prepared();
  const Outcome done =
      run(folder, "detect_mask_image", with_model({"-i", "grey.png", "-f", "none"}));
  CHECK(done.code == 0);
  CHECK(done.errors == "");
  CHECK(done.output.starts_with("grey.png: 1 face, written to grey_detected.png\n"));
  const vision::Image drawn = vision::load_image(folder / "grey_detected.png");
  CHECK(drawn.width == 90);
  CHECK(drawn.height == 70);
  CHECK(drawn.pixels != flat_picture(90, 70, 128).pixels);
}

TEST_CASE("detect_mask_image --json says what the library finds") {
  const TemporaryFolder& folder = prepared();
  const Outcome done =
      run(folder, "detect_mask_image",
          with_model({"-i", "grey.png", "dark.png", "-f", "none", "--json", "--output", "out"}));
  REQUIRE(done.code == 0);
  const json found = json::parse(done.output);
  vision::MaskClassifier classifier(folder / "model.safetensors");
  REQUIRE(found.size() == 2);
  for (const json& entry : found) {
    const auto image = vision::load_image(folder / entry["image"].get<std::string>());
    const vision::Detection whole{
        {0, 0, static_cast<float>(image.width), static_cast<float>(image.height)}, 1};
    const auto expected =
        classify_faces(classifier, image, vision::LocatedFaces{{whole}, 0}).front();
    REQUIRE(entry["faces"].size() == 1);
    const json& face = entry["faces"][0];
    CHECK(face["box"] == json{0.0, 0.0, image.width, image.height});
    CHECK(face["label"] == classifier.labels()[static_cast<std::size_t>(expected.label)]);
    CHECK(face["probability"].get<double>() ==
          doctest::Approx(expected.probability()).epsilon(1e-5));
    CHECK(fs::exists(folder / entry["output"].get<std::string>()));
  }
}

TEST_CASE("detect_mask_image says plainly that a picture has no face") {
  if (!fs::exists("/usr/share/opencv4/haarcascades")) {
    MESSAGE("SKIPPED, NOT TESTED: opencv-data is not installed");
    return;
  }
  const Outcome done =
      run(prepared(), "detect_mask_image", with_model({"-i", "grey.png", "-f", "haar"}));
  CHECK(done.code == 0);
  CHECK(done.output.find("grey.png: no face found") == 0);
}

TEST_CASE("detect_mask_image names a broken picture and does the others") {
  const TemporaryFolder& folder = prepared();
  for (const char* broken : {"text.png", "truncated.png", "missing.png"}) {
    fs::remove(folder / "dark_detected.png");
    const Outcome done =
        run(folder, "detect_mask_image", with_model({"-i", broken, "dark.png", "-f", "none"}));
    check_fault(done, broken);
    CHECK(done.output.starts_with("dark.png: 1 face"));
    CHECK(fs::exists(folder / "dark_detected.png"));
    CHECK(!fs::exists(folder / (fs::path(broken).stem().string() + "_detected.png")));
  }
}

TEST_CASE("detect_mask_image takes folders, and pictures without -i") {
  const TemporaryFolder& folder = prepared();
  for (const char* name :
       {"many/2.png", "many/10.png", "many/deep/1.png", "many/._2.png", "many/__MACOSX/3.png"})
    folder.write(name, read_file(folder / "grey.png"));
  folder.write("many/notes.txt", "x");
  const auto looked_at = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"-f", "none", "--json"});
    const Outcome done = run(folder, "detect_mask_image", with_model(arguments));
    CAPTURE(done.errors);
    REQUIRE(done.code == 0);
    std::vector<std::string> names;
    for (const json& entry : json::parse(done.output)) {
      names.push_back(entry["image"]);
      CHECK(fs::exists(folder / entry["output"].get<std::string>()));
    }
    return std::pair(names, done.errors);
  };
  const std::vector<std::string> all{"many/2.png", "many/10.png", "many/deep/1.png"};
  const auto [names, notes] = looked_at({"-i", "many", "-o", "many/out.v1.5"});
  CHECK(names == all);
  CHECK(notes == "note: many: 1 files are not pictures by their extensions\n");
  CHECK(fs::exists(folder / "many/out.v1.5/10_detected.png"));
  // What that wrote is not looked at when the folder is again.
  CHECK(looked_at({"many", "-o", "many/out.v1.5"}).first == all);
  CHECK(looked_at({"grey.png", "-i", "dark.png", "-o", "both.of.them"}).first ==
        std::vector<std::string>{"dark.png", "grey.png"});
  const auto fault = [&](std::vector<std::string> arguments, const std::string& part) {
    check_fault(run(folder, "detect_mask_image", with_model(arguments)), part);
  };
  fs::create_directories(folder / "hollow");
  fault({"-i", "hollow", "-f", "none"}, "hollow: holds no pictures (jpg, jpeg, ");
  fault({"-i", "many/deep", "-f", "none", "-o", "x.png"}, "one file for 1 picture of a folder");
}

TEST_CASE("detect_mask_image reads a picture from a pipe") {
  const TemporaryFolder& folder = prepared();
  const char* programs = std::getenv("MASKWATCH_PROGRAMS");
  REQUIRE(programs != nullptr);
  const std::string command = fmt::format(
      "cd {} && (sleep 0.1; cat grey.png) | {}/detect_mask_image -i /dev/stdin -f none -m "
      "model.safetensors >.out 2>.err",
      quoted(folder.path()), quoted(programs));
  CHECK(std::system(command.c_str()) == 0);
  CHECK(
      read_file(folder / ".out").starts_with("/dev/stdin: 1 face, written to stdin_detected.png"));
  CHECK(vision::load_image(folder / "stdin_detected.png").width == 90);
}

TEST_CASE("programs say which labels they do not understand, until --classes does") {
  const TemporaryFolder& folder = prepared();
  write_model(folder / "odd.safetensors", {"A", "B"});
  for (const char* name : {"A", "B"})
    for (const int i : {0, 1})
      folder.write(fmt::format("odd/{}/{}.png", name, i), read_file(folder / "grey.png"));
  const auto image = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"-i", "grey.png", "-f", "none", "-m", "odd.safetensors"});
    return run(folder, "detect_mask_image", more);
  };
  const Outcome silent = image({});
  CHECK(silent.code == 0);
  CHECK(silent.errors.starts_with("warning: the class names A, B do not say who wears a mask"));
  CHECK(silent.errors.find("--classes mask=NAME") != std::string::npos);
  const Outcome told = image({"--classes", "mask=A,B"});
  CHECK(told.code == 0);
  CHECK(told.errors == "");
  CHECK(told.output.find("  Mask: ") != std::string::npos);
  check_fault(image({"--classes", "mask=C"}), "'C' is not a class of the model: A, B");
  check_fault(image({"--classes", "helmet=A"}), "'helmet' is not a meaning; use mask, no_mask");

  const auto evaluate = [&](std::vector<std::string> arguments) {
    return run(folder, "evaluate_mask_detector", arguments);
  };
  const Outcome odd = evaluate({"-d", "odd", "-m", "odd.safetensors", "--json"});
  CHECK(odd.code == 0);
  CHECK(odd.errors.starts_with("warning: the class names A, B"));
  CHECK_FALSE(json::parse(odd.output).contains("masks"));
  const Outcome known = evaluate(
      {"-d", "odd", "-m", "odd.safetensors", "--json", "--classes", "mask=A", "no_mask=B"});
  CHECK(known.errors == "");
  CHECK(json::parse(known.output).contains("masks"));
  // Folders are matched by what they mean.
  for (const char* name : {"WithMask", "NoMask"})
    folder.write(fmt::format("meant/{}/1.png", name), read_file(folder / "grey.png"));
  const Outcome meant = evaluate({"-d", "meant", "-m", "model.safetensors", "--json"});
  CHECK(meant.code == 0);
  CHECK(meant.errors.find("the folder WithMask counts as the model's class with_mask") !=
        std::string::npos);
  CHECK(json::parse(meant.output)["labels"] == json{"with_mask", "without_mask"});
  CHECK(
      evaluate({"-d", "odd", "-m", "model.safetensors", "--classes", "mask=A", "no_mask=B"}).code ==
      0);
}

TEST_CASE("a label cannot steer the terminal") {
  const TemporaryFolder& folder = prepared();
  write_model(folder / "steering.safetensors", {"\xc2\x9b"
                                                "2J\xe2\x80\xae",
                                                "without_mask\xc2\x9d"});
  for (const char* extra : {"--json", "--threads=1"}) {
    const Outcome done = run(folder, "detect_mask_image",
                             {"-i", "grey.png", "-f", "none", "-m", "steering.safetensors", extra});
    CHECK(done.code == 0);
    for (const std::string& text : {done.output, done.errors}) {
      CHECK(text.find('\xc2') == std::string::npos);
      CHECK(text.find('\xe2') == std::string::npos);
    }
  }
}

TEST_CASE("evaluate_mask_detector judges the test part of a data set that is split") {
  const TemporaryFolder& folder = prepared();
  for (const char* part : {"Train", "Validation", "Test"})
    for (const char* name : {"with_mask", "without_mask"})
      folder.write(fmt::format("split/{}/{}/{}.png", part, name, part),
                   read_file(folder / "grey.png"));
  const Outcome done =
      run(folder, "evaluate_mask_detector", with_model({"-d", "split", "--scores", "s.jsonl"}));
  CHECK(done.code == 0);
  CHECK(done.errors.find("only its 2 pictures of test are judged") != std::string::npos);
  CHECK(read_file(folder / "s.jsonl").find("Train") == std::string::npos);
}

TEST_CASE("evaluate_mask_detector tells each point of the curve once") {
  const Outcome done = run(prepared(), "evaluate_mask_detector", with_model({"-d", "set"}));
  const std::size_t begin = done.output.find("; found ");
  REQUIRE(begin != std::string::npos);
  std::istringstream points(
      done.output.substr(begin + 8, done.output.find('\n', begin) - begin - 8));
  std::vector<std::string> all;
  for (std::string point; std::getline(points, point, ',');) all.push_back(point);
  CHECK(all.size() == 1);  // five others: no share of false alarms up to a tenth is one of them
}

TEST_CASE("detect_mask_image: bad input is one line and exit code 2") {
  const TemporaryFolder& folder = prepared();
  const auto fault = [&](std::vector<std::string> arguments, const std::string& part) {
    check_fault(run(folder, "detect_mask_image", arguments), part);
  };
  fault({}, "--image");
  fault(with_model({"-i", "grey.png", "--no-such-flag"}), "--help");
  fault(with_model({"-i", "grey.png", "-f", "nonsense"}), "nonsense");
  fault(with_model({"-i", "grey.png", "-f", "none", "--detail", "0"}),
        "--detail is not for --face none");
  fault(with_model({"-i", "grey.png", "-f", "none", "-c", "0.6"}),
        "--confidence is not for --face none");
  fault(with_model({"-i", ""}), "--image: its value is empty");
  fault(with_model({"-i", "grey.png", "-o", ""}), "--output: its value is empty");
  fault({"-i", "grey.png", "-m", ""}, "--model: its value is empty");
  fault(with_model({"-i", "grey.png", "-f", "lost.xml"}), "lost.xml");
  fault(with_model({"-i", "grey.png", "-f", "model.safetensors"}), "model.safetensors");
  fault(with_model({"-i", "grey.png", "-c", "1.5"}), "--confidence");
  fault(with_model({"-i", "grey.png", "-f", "none", "-o", "no/such/folder.png"}),
        "no/such/folder.png");
  fault(with_model({"-i", "grey.png", "-f", "none", "-o", "a.gif"}), "a.gif");
  fault(with_model({"-i", "grey.png", "-f", "none", "-o", "grey.png"}), "written over");
  fault(with_model({"-i", "grey.png", "dark.png", "-f", "none", "-o", "x.png"}), "folder");
  fault(with_model({"-i", "grey.png", "-f", "none", "-o", "grey.png/x"}), "grey.png/x");
  fault(with_model({"-i", "grey.png", "-f", "none", "--show"}), "window");
  fault(with_model({"-i", "grey.png", "--landmarks", "x.onnx"}),
        "--landmarks takes dlib, the file of a dlib predictor (.dat) or of a converted landmark "
        "network (.safetensors), not \"x.onnx\"");
  fault(with_model({"-i", "grey.png", "--landmarks", "lost.dat"}), "lost.dat: no such file");
  CHECK(vision::load_image(folder / "grey.png").pixels == flat_picture(90, 70, 128).pixels);
  CHECK(!fs::exists(folder / "a.gif"));
}

TEST_CASE("detect_mask_image: a model that is none is one line and exit code 2") {
  const TemporaryFolder& folder = prepared();
  const std::string good = read_file(folder / "model.safetensors");
  folder.write("empty.safetensors", "");
  folder.write("cut.safetensors", good.substr(0, good.size() - 100));
  folder.write("huge.safetensors", std::string("\xff\xff\xff\xff\xff\xff\xff\x7f{}", 10));
  nn::Safetensors other;
  other.metadata = {{"architecture", "resnet50"}};
  other.tensors["w"] = nn::Tensor::zeros({2});
  nn::save_safetensors(folder / "other.safetensors", other);
  for (const char* model : {"empty.safetensors", "cut.safetensors", "huge.safetensors",
                            "other.safetensors", "lost.safetensors", "grey.png"})
    for (const char* program : {"detect_mask_image", "evaluate_mask_detector"}) {
      const bool detects = std::string(program) == "detect_mask_image";
      check_fault(
          run(folder, program, {detects ? "-i" : "-d", detects ? "dark.png" : "set", "-m", model}),
          model);
    }
}

TEST_CASE("a picture that cannot be written is a failure at work, and the others are looked at") {
  const TemporaryFolder& folder = prepared();
  const auto shown = [&](const std::vector<std::string>& pictures) {
    std::vector<std::string> arguments{"-i"};
    arguments.insert(arguments.end(), pictures.begin(), pictures.end());
    for (const char* more : {"-o", "taken", "--face", "none"}) arguments.push_back(more);
    return run(folder, "detect_mask_image", with_model(arguments));
  };
  fs::create_directories(folder / "taken");
  fs::create_symlink("/dev/full", folder / "taken/grey_detected.png");
  const Outcome done = shown({"grey.png", "dark.png"});
  CHECK(done.code == 1);
  CHECK(done.errors.find("grey_detected.png: cannot write") != std::string::npos);
  CHECK(fs::is_regular_file(folder / "taken/dark_detected.png"));
  CHECK(shown({"text.png", "grey.png"}).code == 1);
  CHECK(shown({"text.png", "dark.png"}).code == 2);
}

TEST_CASE("detect_mask_image that is told to stop keeps what it has found") {
  const TemporaryFolder& folder = prepared();
  std::vector<std::string> arguments{"-f", "none", "--json", "-o", "many", "-i"};
  arguments.resize(arguments.size() + 3000, "grey.png");
  const std::string command = command_of("detect_mask_image", with_model(arguments));
  const Outcome stopped = run_command(
      folder,
      "rm -f .out; { " + command +
          " & } ; pid=$!; until [ -s .out ]; do sleep 0.02; done; kill -TERM $pid; wait $pid");
  CHECK(stopped.code == 1);
  const json found = json::parse(stopped.output);
  CHECK(found.size() >= 1);
  CHECK(found.size() < 3000);
  CHECK(stopped.errors == fmt::format("note: stopped after {} of 3000 pictures\n", found.size()));
}

TEST_CASE("detect_mask_image: a name as long as names can be") {
  const TemporaryFolder& folder = prepared();
  const std::string name = std::string(250, 'n') + ".png", umlauts = "umlaut_";
  std::string wide = umlauts;
  while (wide.size() < 248) wide += "\u00fc";
  wide += ".png";
  for (const std::string& one : {name, wide}) {
    fs::copy_file(folder / "grey.png", folder / one);
    const Outcome done = run(folder, "detect_mask_image",
                             with_model({one, "grey.png", "-f", "none", "-o", "long", "--json"}));
    CHECK(done.code == 0);
    CHECK(done.errors == "");
    const json found = json::parse(done.output);
    CHECK(found[0]["image"] == one);
    CHECK(fs::is_regular_file(folder / found[0]["output"].get<std::string>()));
    fs::remove(folder / one);
  }
  check_fault(run(folder, "detect_mask_image", with_model({std::string(500, 'n')})), "cannot open");
}

TEST_CASE("an exit code does not depend on who listens") {
  const TemporaryFolder& folder = prepared();
  std::string command = command_of("detect_mask_image", with_model({"lost.png"}));
  command.resize(command.rfind("2>.err"));
  for (const char* nobody : {"2>&-", "2>/dev/full"})
    CHECK(run_command(folder, command + nobody).code == 2);
}

TEST_CASE("outputs do not lie over or among what is read") {
  const TemporaryFolder& folder = prepared();
  const std::string picture = read_file(folder / "set/with_mask/0.png");
  check_fault(run(folder, "evaluate_mask_detector",
                  with_model({"-d", "set", "--scores", "set/with_mask/0.png"})),
              "is a file of the data set");
  check_fault(run(folder, "make_mask_dataset",
                  {"-d", "set", "-o", "made", "--preview", "set/with_mask/0.png"}),
              "is a file of the data set");
  CHECK(read_file(folder / "set/with_mask/0.png") == picture);
  fs::create_directory_symlink("set", folder / "link");
  for (const char* inside : {"set/made", "link/with_mask/made", "set/../set/made"})
    check_fault(run(folder, "make_mask_dataset", {"-d", "set", "-o", inside}), "lies in set");
}

TEST_CASE("evaluate_mask_detector counts what the library predicts") {
  const TemporaryFolder& folder = prepared();
  const Outcome done = run(folder, "evaluate_mask_detector", with_model({"-d", "set", "--json"}));
  REQUIRE(done.code == 0);
  const json report = json::parse(done.output);
  vision::MaskClassifier classifier(folder / "model.safetensors");
  json counts{{0, 0}, {0, 0}};
  for (std::size_t label = 0; label < 2; ++label)
    for (const auto& file :
         fs::directory_iterator(folder / ("set/" + classifier.labels()[label]))) {
      const auto image = vision::load_image(file.path().string());
      const vision::Detection whole{
          {0, 0, static_cast<float>(image.width), static_cast<float>(image.height)}, 1};
      const auto found =
          classify_faces(classifier, image, vision::LocatedFaces{{whole}, 0}).front().label;
      counts[label][static_cast<std::size_t>(found)] =
          counts[label][static_cast<std::size_t>(found)].get<int>() + 1;
    }
  CHECK(report["confusion_matrix"] == counts);
  CHECK(report["pictures"] == 10);
  CHECK(report["faces_found"] == 1.0);
  const Outcome text = run(folder, "evaluate_mask_detector", with_model({"-d", "set"}));
  CHECK(text.code == 0);
  CHECK(text.output.find("balanced accuracy") != std::string::npos);
}

TEST_CASE("evaluate_mask_detector writes the probabilities that its figures are made of") {
  const TemporaryFolder& folder = prepared();
  const Outcome done =
      run(folder, "evaluate_mask_detector",
          with_model({"-d", "set", "--json", "--scores", "scores.jsonl", "--threads", "2"}));
  REQUIRE(done.code == 0);
  const json report = json::parse(done.output);
  std::istringstream lines(read_file(folder / "scores.jsonl"));
  std::vector<double> with, without;
  for (std::string line; std::getline(lines, line);) {
    const json picture = json::parse(line);
    const std::string image = picture["image"], label = picture["label"];
    CHECK(image.starts_with(label + "/"));
    const double mask = picture["probabilities"]["with_mask"];
    CHECK(mask + picture["probabilities"]["without_mask"].get<double>() == doctest::Approx(1));
    (label == "with_mask" ? with : without).push_back(mask);
  }
  REQUIRE(with.size() + without.size() == 10);
  double pairs = 0;
  for (const double a : with)
    for (const double b : without) pairs += a > b ? 1 : a == b ? .5 : 0;
  CHECK(report["masks"]["area"] ==
        doctest::Approx(pairs / static_cast<double>(with.size() * without.size())));
  check_fault(run(folder, "evaluate_mask_detector",
                  with_model({"-d", "set", "--scores", "no/such/scores.jsonl"})),
              "no/such");
}

TEST_CASE("evaluate_mask_detector --light judges darkened pictures and says so") {
  const TemporaryFolder& folder = prepared();
  const auto scores = [&](const char* set, const char* light) {
    const Outcome done =
        run(folder, "evaluate_mask_detector",
            with_model({"-d", set, "--json", "--scores", "lit.jsonl", "--light", light}));
    REQUIRE(done.code == 0);
    CHECK(json::parse(done.output)["light"] == light);
    return read_file(folder / "lit.jsonl");
  };
  for (const char* name : {"with_mask", "without_mask"}) {
    const std::string file = std::string(name) + "/1.png";
    for (const char* set : {"lit/", "darkened/"})
      fs::create_directories(fs::path(folder / (set + file)).parent_path());
    vision::save_image(folder / ("lit/" + file), flat_picture(40, 50, 200));
    vision::save_image(folder / ("darkened/" + file), flat_picture(40, 50, 70));
  }
  CHECK(scores("lit", "dark") == scores("darkened", "none"));
  CHECK(scores("lit", "none") != scores("darkened", "none"));
  check_fault(run(folder, "evaluate_mask_detector", with_model({"-d", "set", "--light", "pink"})),
              "pink");
}

TEST_CASE("evaluate_mask_detector: kinds of masks count as one where the data set knows none") {
  const TemporaryFolder& folder = prepared();
  write_model(folder / "kinds.safetensors", {"n95_mask", "no_mask", "surgical_mask"});
  const auto evaluate = [&](const std::string& set) {
    const Outcome done =
        run(folder, "evaluate_mask_detector",
            {"-d", set, "-m", "kinds.safetensors", "--json", "--scores", "kinds.jsonl"});
    REQUIRE(done.code == 0);
    return std::pair(json::parse(done.output), done.errors);
  };
  const auto [report, notes] = evaluate("set");
  CHECK(notes.find("note: the model's classes n95_mask, surgical_mask count as one, with_mask") !=
        std::string::npos);
  CHECK(report["labels"] == json{"with_mask", "no_mask"});
  vision::MaskClassifier classifier(folder / "kinds.safetensors");
  std::istringstream lines(read_file(folder / "kinds.jsonl"));
  int right = 0;
  std::map<std::string, std::vector<double>> scores;
  for (std::string line; std::getline(lines, line);) {
    const json picture = json::parse(line);
    const std::vector<float> three = answer_of(classifier, folder, picture);
    const double mask = picture["probabilities"]["with_mask"];
    const std::string label = picture["label"];
    CHECK(mask == doctest::Approx(three[0] + three[2]).epsilon(1e-5));
    right += (mask > .5) == (label == "with_mask") ? 1 : 0;
    scores[label].push_back(mask);
  }
  REQUIRE(scores["with_mask"].size() + scores["no_mask"].size() == 10);
  CHECK(report["accuracy"] == doctest::Approx(right / 10.));
  double pairs = 0;
  for (const double a : scores["with_mask"])
    for (const double b : scores["no_mask"]) pairs += a > b ? 1 : a == b ? .5 : 0;
  CHECK(report["masks"]["area"] == doctest::Approx(pairs / 25));

  fs::create_directories(folder / "kinds");
  for (const auto& [from, to] : {std::pair{"with_mask", "n95_mask"},
                                 {"with_mask", "surgical_mask"},
                                 {"without_mask", "no_mask"}})
    fs::copy(folder / (std::string("set/") + from), folder / (std::string("kinds/") + to),
             fs::copy_options::recursive);
  const auto [apart, silence] = evaluate("kinds");
  CHECK(silence == "");
  CHECK(apart["labels"] == json{"n95_mask", "no_mask", "surgical_mask"});
  CHECK(apart["masks"]["area"] == doctest::Approx(pairs / 25));  // of both kinds together
}

TEST_CASE("evaluate_mask_detector: worn wrongly is a mask where the data set has no such class") {
  const TemporaryFolder& folder = prepared();
  write_model(folder / "three.safetensors", {"mask_worn_wrongly", "without_mask", "with_mask"});
  const auto evaluate = [&](const std::string& set) {
    const Outcome done =
        run(folder, "evaluate_mask_detector",
            {"-d", set, "-m", "three.safetensors", "--json", "--scores", "three.jsonl"});
    REQUIRE(done.code == 0);
    return std::pair(json::parse(done.output), done.errors);
  };
  const auto [report, note] = evaluate("set");
  CHECK(note == "note: mask_worn_wrongly counts as with_mask: the data set has no such class\n");
  CHECK(report["labels"] == json{"without_mask", "with_mask"});
  vision::MaskClassifier classifier(folder / "three.safetensors");
  std::istringstream lines(read_file(folder / "three.jsonl"));
  int pictures = 0, right = 0;
  for (std::string line; std::getline(lines, line); ++pictures) {
    const json picture = json::parse(line);
    const std::vector<float> three = answer_of(classifier, folder, picture);
    const double mask = picture["probabilities"]["with_mask"];
    CHECK(mask == doctest::Approx(three[0] + three[2]).epsilon(1e-5));
    CHECK(picture["probabilities"].size() == 2);
    right += (mask > picture["probabilities"]["without_mask"].get<double>()) ==
                     (picture["label"] == "with_mask")
                 ? 1
                 : 0;
  }
  CHECK(pictures == 10);
  CHECK(report["accuracy"] == doctest::Approx(right / 10.0));

  for (const char* name : {"with_mask", "mask_worn_wrongly"})
    folder.write(std::string("told/") + name + "/1.png", read_file(folder / "grey.png"));
  const auto [told, nothing] = evaluate("told");
  CHECK(nothing == "");
  CHECK(told["labels"] == json{"mask_worn_wrongly", "without_mask", "with_mask"});
}

TEST_CASE("evaluate_mask_detector keeps to the pictures of a list or a history") {
  const TemporaryFolder& folder = prepared();
  folder.write("list.txt", "\xef\xbb\xbfwith_mask/1.png\n./without_mask/3.png \r\n\n");
  folder.write(
      "history.json",
      R"({"validation_files": ["with_mask/0.png", "with_mask/2.png", "without_mask/4.png"]})");
  const auto pictures = [&](const char* option, const char* file) {
    const Outcome done =
        run(folder, "evaluate_mask_detector", with_model({"-d", "set", "--json", option, file}));
    REQUIRE(done.code == 0);
    return json::parse(done.output)["pictures"].get<int>();
  };
  CHECK(pictures("--only", "list.txt") == 2);
  CHECK(pictures("--history", "history.json") == 3);
}

TEST_CASE("evaluate_mask_detector: bad input is one line and exit code 2") {
  const TemporaryFolder& folder = prepared();
  const auto fault = [&](std::vector<std::string> arguments, const std::string& part) {
    check_fault(run(folder, "evaluate_mask_detector", with_model(arguments)), part);
  };
  fault({}, "--dataset");
  fault({"-d", "lost"}, "lost");
  fs::create_directories(folder / "hollow");
  fault({"-d", "hollow"}, "hollow");
  fault({"-d", "set", "--confidence", "0.6"}, "--confidence is not for --face none");
  for (const char* option : {"--history", "--only", "--scores", "--model", "-d"})
    fault({"-d", "set", option, ""}, ": its value is empty");
  fault({"-d", "set", "--history", "lost.json"}, "lost.json");
  folder.write("broken.json", "{\"validation_files\": 3");
  fault({"-d", "set", "--history", "broken.json"}, "broken.json");
  folder.write("none.txt", "no/such.png\n");
  fault({"-d", "set", "--only", "none.txt"}, "none.txt");
  folder.write("some.txt", "with_mask/1.png\nwith_mask/zz.png\n");
  fault({"-d", "set", "--only", "some.txt"},
        "some.txt: 1 of 2 pictures that it names are not in the data set: with_mask/zz.png");
  folder.write("some.json", R"({"validation_files": ["with_mask/1.png", "with_mask/zz.png"]})");
  fault({"-d", "set", "--history", "some.json"}, "1 of 2 pictures");
  folder.write("hollow.txt", "\n");
  fault({"-d", "set", "--only", "hollow.txt"}, "hollow.txt: it names no pictures");
  folder.write("one.txt", "with_mask/1.png\n");
  folder.write("twin/with_mask/1.png", read_file(folder / "grey.png"));
  folder.write("twin/without_mask/9.png", read_file(folder / "dark.png"));
  fault({"-d", "set", "twin", "--only", "one.txt"}, "have the same");
  folder.write("other/cats/1.png", read_file(folder / "grey.png"));
  folder.write("other/dogs/1.png", read_file(folder / "dark.png"));
  fault({"-d", "other"}, "cats");
  folder.write("torn/with_mask/1.png", "torn");
  const Outcome torn = run(folder, "evaluate_mask_detector", with_model({"-d", "torn"}));
  CHECK(torn.code == 2);
  CHECK(torn.errors.starts_with("skipped torn/with_mask/1.png"));
  CHECK(torn.errors.ends_with("error: no picture of the data set can be read\n"));
}

TEST_CASE("evaluate_mask_detector skips a broken picture and names it") {
  const TemporaryFolder& folder = prepared();
  folder.write("mixed/with_mask/1.png", read_file(folder / "grey.png"));
  folder.write("mixed/without_mask/2.png", read_file(folder / "truncated.png"));
  const Outcome done = run(folder, "evaluate_mask_detector", with_model({"-d", "mixed"}));
  CHECK(done.code == 0);
  CHECK(done.errors.find("mixed/without_mask/2.png") != std::string::npos);
  CHECK(done.output.find("1 pictures skipped") != std::string::npos);
}
