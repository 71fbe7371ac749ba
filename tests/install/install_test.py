#!/usr/bin/env python3
"""What a user of the library does: installs it, copies README's programs, compiles them with pkg-config, runs them.

The install is then moved to another place, and its model gets a label of its own, so that a program that still read the
source tree or the folder that meson was told would be caught. Usage: install_test.py BUILD_FOLDER SOURCE_FOLDER
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

BUILD, SOURCE = (pathlib.Path(path).resolve() for path in sys.argv[1:3])
LABEL, MOVED_LABEL = b'with_mask', b'With-Mask'  # of one length: the file's header stays valid
PICTURES = "/usr/share/doc/opencv-doc/examples/data/messi5.jpg", "/usr/share/doc/opencv-doc/examples/data/lena.jpg"


def run(command, folder, code=0, **environment):
    """Standard output and error of a program that must end with this code."""
    plain = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    done = subprocess.run([str(word) for word in command], cwd=folder, env={**plain, **environment}, capture_output=True,
                          text=True, timeout=300)
    if done.returncode != code:
        sys.exit(f"{' '.join(map(str, command))}\nended with {done.returncode}, not {code}:\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def snippet(language):
    """README's program in this language: the block that has a main function."""
    blocks = re.findall(r"```" + language + r"\n(.*?)```", (SOURCE / "README.md").read_text(), re.DOTALL)
    programs = [block for block in blocks if "int main(" in block]
    assert len(programs) == 1, f"README.md has {len(programs)} programs in {language}, not one"
    return programs[0]


def install(work):
    """The prefix of a fresh install, moved to where meson was never told of."""
    run(["meson", "install", "--no-rebuild", "-C", BUILD, "--destdir", work / "staging"], work)
    prefix = next(path for path in (work / "staging").rglob("share/maskwatch")).parent.parent
    moved = work / "moved"
    prefix.rename(moved)
    shutil.rmtree(work / "staging")
    model = moved / "share/maskwatch/models/mask_detector.safetensors"
    contents = model.read_bytes()
    assert LABEL in contents
    model.write_bytes(contents.replace(LABEL, MOVED_LABEL))
    return moved


def check_layout(prefix):
    for path in ("include/maskwatch.h", "include/maskwatch/mask_detector.h", "include/maskwatch/vision/image/image.h",
                 "include/maskwatch/nn/classifier.h", "include/maskwatch/nn/ssd.h", "include/maskwatch/kernels/device.h",
                 "bin/detect_mask_image", "bin/detect_mask_video", "bin/train_mask_detector",
                 "share/maskwatch/models/face_detector.safetensors"):
        assert (prefix / path).is_file(), f"{path} was not installed"
    for header in (prefix / "include").rglob("*.h"):
        assert not re.search(r'#\s*include\s*"', header.read_text()), f"{header} includes a header without its folder"


def flags(prefix, *wanted):
    """What pkg-config says of the install."""
    description = next(prefix.rglob("maskwatch.pc"))
    # A build folder that was set up before the description became relocatable keeps the old way.
    moved = [] if "pcfiledir" in description.read_text() else [f"--define-variable=prefix={prefix}"]
    text = run(["pkg-config", *moved, *wanted, "maskwatch"], prefix, PKG_CONFIG_PATH=str(description.parent))
    assert str(SOURCE) not in text and str(BUILD) not in text, f"maskwatch.pc names the source tree: {text}"
    return text.split()


def compile_program(prefix, source, compiler):
    program = prefix / "bin" / source.stem
    libraries = flags(prefix, "--libs")
    run([*compiler, source, "-o", program, *flags(prefix, "--cflags"), *libraries], source.parent)
    return program


def picture(work, prefix):
    """A photograph if there is one, or a drawn face."""
    for path in PICTURES:
        if os.path.exists(path):
            return path
    run([prefix / "bin/draw_faces", "-o", work / "drawn", "-n", "2", "--size", "256", "--seed", "1"], work)
    return next((work / "drawn").rglob("*.*g"))


def main():
    with tempfile.TemporaryDirectory(prefix="maskwatch-install-") as folder:
        work = pathlib.Path(folder)
        prefix = install(work)
        check_layout(prefix)
        empty = work / "empty"
        empty.mkdir()
        libraries = {"LD_LIBRARY_PATH": str(next(prefix.rglob("libmaskwatch.*")).parent)}
        image = picture(work, prefix)
        for language, name, compiler in (("cpp", "first.cc", ["c++", "-std=c++20"]),
                                         ("c", "second.c", ["cc", "-std=c99", "-Wall", "-Wextra", "-Wpedantic",
                                                            "-Werror"])):
            source = work / name
            source.write_text(snippet(language))
            program = compile_program(prefix, source, compiler)
            printed = run([program, image], empty, **libraries)
            # The face detector that ships has not learned from drawn faces.
            assert image not in PICTURES or re.search(r"\d", printed), f"{name} found no face in {image}: {printed}"
            print(f"{name}: {printed.strip()}")
        # Which model it was: the label of the installed one, in words that only it has.
        probe = work / "labels.c"
        probe.write_text('#include <maskwatch.h>\n#include <stdio.h>\nint main(void) {\n'
                         '  maskwatch_options options = maskwatch_default_options();\n'
                         '  maskwatch_detector* detector;\n  size_t i;\n'
                         '  options.device = "auto";\n  detector = maskwatch_open(&options);\n'
                         '  if (detector == NULL) return printf("%s\\n", maskwatch_error()), 1;\n'
                         '  for (i = 0; i < maskwatch_label_count(detector); ++i)\n'
                         '    puts(maskwatch_label(detector, i));\n'
                         '  printf("on %s\\n", maskwatch_device(detector));\n'
                         '  maskwatch_close(detector);\n  return 0;\n}\n')
        program = compile_program(prefix, probe, ["cc", "-std=c99"])
        printed = run([program], empty, **libraries)
        assert re.search(r"^on (cpu|cuda:0)$", printed, re.MULTILINE), f"no device: {printed}"
        assert MOVED_LABEL.decode() in printed, f"the installed model was not used, but one with the labels {printed}"
        found = run([prefix / "bin/detect_mask_image", "-i", image, "-f", "none", "--json"], empty)
        assert MOVED_LABEL.decode() in found, f"detect_mask_image does not use the installed model: {found}"
        # A program that lies elsewhere is told where the data is.
        elsewhere = work / "elsewhere"
        elsewhere.mkdir()
        shutil.move(program, elsewhere)
        printed = run([elsewhere / program.name], empty, MASKWATCH_DATA=str(prefix / "share/maskwatch"), **libraries)
        assert MOVED_LABEL.decode() in printed


main()
