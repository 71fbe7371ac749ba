#!/usr/bin/env python3
"""Cameras without a camera: camera_test.py VIDEO_FRAMES FAKE_CAMERA.

FAKE_CAMERA (fake_camera.cc) is preloaded and plays the kernel's part; its head says what each device does.
"""
import os
import subprocess
import sys


def run(program, fake, *options, **variables):
    environment = {**os.environ, "LD_PRELOAD": fake, **variables}
    command = [program, "--for", "20", "--timeout", "2", *options]
    result = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, timeout=60, check=False)
    lines = [line.partition(" ")[::2] for line in result.stdout.splitlines()]
    return result.returncode, lines


def frames_of(lines):
    """(clock, number, time, width, height, red, green, blue) of each frame."""
    return [tuple(float(value) for value in text.split()) for kind, text in lines if kind == "frame"]


def check_list(*programs):
    _, lines = run(*programs, "--list")
    found = {text.split("|")[0]: text.split("|")[1:] for kind, text in lines if kind == "camera"}
    assert found["/dev/video41"] == ["Maskwatch Test Camera", ""], found
    assert "/dev/video42" not in found, found
    assert "no permission" in found["/dev/video43"][1], found


def check_pictures(*programs):
    for source in ["41", "/dev/video41", "test camera"]:
        code, lines = run(*programs, "--most", "30", source)
        frames = frames_of(lines)
        assert code == 0 and len(frames) == 30, lines
        assert lines[0][1].startswith("1 30.000000 "), lines[0]
        for k, frame in enumerate(frames):
            assert frame[3:5] == (640, 480), frame
            # 30 frames a second, though a busy machine may miss some: the picture tells its own number.
            assert frame[2] >= k / 30 - 1e-3, frame
            for value in frame[5:]:
                assert abs(value - 255 / 219 * 8 * (round(frame[2] * 30) % 25)) <= 3, frame
    took = frames[-1][0] - frames[0][0]
    assert took > 0.8, f"30 frames in {took} s: not a camera's pace"


def check_wishes(*programs):
    at_30, other = (640, 480), "the camera was asked for 1920x1080"
    for options, found, note in [
        (["--size", "320x240"], (320, 240), None),
        (["--size", "320x240", "--fps", "30"], (320, 240), None),
        (["--size", "1920x1080"], at_30, other + " and gives 640x480"),
        (["--fps", "60"], at_30, "the camera was asked for 60 frames a second and gives 30 frames a second"),
        (["--size", "1920x1080", "--fps", "60"], at_30,
         other + " at 60 frames a second and gives 640x480 at 30 frames a second"),
    ]:  # fmt: skip
        code, lines = run(*programs, "--most", "2", *options, "41")
        assert code == 0 and frames_of(lines)[0][3:5] == found, lines
        assert [text for kind, text in lines if kind == "note"] == ([f"camera 41: {note}"] if note else []), lines


def check_unplugged(*programs):
    code, lines = run(*programs, "--most", "25", "41", FAKE_CAMERA_UNPLUG="10")
    frames, lost = frames_of(lines), [text for kind, text in lines if kind == "lost"]
    assert code == 0 and len(frames) == 25, lines
    assert any("No such device" in text for text in lost), lost
    assert any("there is no such camera; connecting again" in text for text in lost), lost
    assert all(b[2] > a[2] for a, b in zip(frames, frames[1:])), frames
    away = max(b[0] - a[0] for a, b in zip(frames, frames[1:]))
    print(f"a camera that was away for 1 s gave pictures again after {away:.2f} s")
    assert 1 <= away < 4, away
    assert abs(frames[-1][2] - (frames[-1][0] - frames[0][0])) < 0.5, frames[-1]


def check_refused(*programs):
    for device, reason in [("42", "camera 42: the camera cannot be used"), ("43", "no permission to use this camera"),
                           ("44", "used by another program"), ("45", "there is no such camera")]:  # fmt: skip
        code, lines = run(*programs, device)
        kind, text = lines[-1]
        assert code == 2 and kind == "error" and reason in text and text.startswith("camera "), lines


if __name__ == "__main__":
    for check in [check_list, check_pictures, check_wishes, check_unplugged, check_refused]:
        check(*sys.argv[1:3])
