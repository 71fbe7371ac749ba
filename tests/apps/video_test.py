"""detect_mask_video as a user runs it: what it writes, how it ends, what it says of bad input, and its real window.
Usage: video_test.py DETECT_MASK_VIDEO DRAW_VIDEO [TEST ...]
The window is tested where Xvfb, xdotool and ImageMagick are installed (Debian: xvfb, xdotool, imagemagick)."""

import contextlib
import glob
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "vision", "video"))
import stream_servers  # noqa: E402
import virtual_display  # noqa: E402

DETECT, DRAW = (os.path.abspath(path) for path in sys.argv[1:3])
CLONE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SHIPPED_MODEL = os.path.join(CLONE, "data", "models", "mask_detector.safetensors")
WITHOUT_DISPLAY = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER")}


def read(path):
    with open(path) as file:
        return file.read()


def lines(path):
    return [json.loads(line) for line in read(path).splitlines()]


def with_face(arguments):
    """The detector that ships has not learned from drawn faces."""
    return [*arguments] if {"-f", "--face"} & set(arguments) else [*arguments, "--face", "haar"]


def shipped_with_names(path, names):
    """The model that ships with other names of classes, and without what the file says that they mean."""
    with open(SHIPPED_MODEL, "rb") as shipped:
        (length,) = struct.unpack("<Q", shipped.read(8))
        header, tensors = json.loads(shipped.read(length)), shipped.read()
    metadata = header["__metadata__"]
    metadata["labels"] = json.dumps([names.get(label, label) for label in json.loads(metadata["labels"])])
    metadata.pop("meanings", None)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + tensors)


class Video(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp()
        cls.clips = {}
        for scene in ("leave", "one", "mask"):
            cls.clips[scene] = os.path.join(cls.folder, scene + ".mp4")
            subprocess.run([DRAW, "-o", cls.clips[scene], "--scene", scene, "--width", "480", "--height", "360", "--truth", cls.clips[scene] + ".jsonl"], check=True, capture_output=True)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder)

    def at(self, name):
        return os.path.join(self.folder, name)

    def run_program(self, *arguments, timeout=120, **variables):
        return subprocess.run([DETECT, *with_face(arguments)], capture_output=True, text=True, env={**WITHOUT_DISPLAY, **variables}, timeout=timeout, cwd=self.folder)

    def check_fault(self, part, *arguments, code=2, **variables):
        done = self.run_program(*arguments, **variables)
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertTrue(done.stderr.startswith("error: "), done.stderr)
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        self.assertIn(part, done.stderr)
        self.assertEqual(done.stdout, "")


class Headless(Video):
    def test_help(self):
        done = self.run_program("--help")
        self.assertEqual(done.returncode, 0)
        for word in ("--source", "--detect-every", "--alert-after", "space pause", "Examples", "MASKWATCH_TRACK"):
            self.assertIn(word, done.stdout)

    def test_everything_that_is_written(self):
        done = self.run_program(
            "-s", self.clips["leave"], "--headless", "--record", "out.mp4", "--events", "events.jsonl", "--stats", "stats.json",
            "--alert", "sh -c 'echo $MASKWATCH_TRACK $MASKWATCH_LABEL >> alerts.txt'", "--alert-after", "2")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("330 frames", done.stdout)
        self.assertIn("2 people", done.stdout)
        events = lines(self.at("events.jsonl"))
        told = [(event["event"], event["track"], event["label"]) for event in events]
        self.assertEqual(sorted(told), sorted([("appear", 1, "without_mask"), ("leave", 1, "without_mask"), ("appear", 2, "with_mask"), ("leave", 2, "with_mask")]))
        leave = {event["track"]: event for event in events if event["event"] == "leave"}
        self.assertLess(leave[1]["last_seen"], leave[2]["first_seen"])
        stats = json.loads(read(self.at("stats.json")))
        for name, value in {"frames": 330, "captured": 330, "dropped": 0, "people": 2, "alerts": 1, "recorded": 330, "recording_lost": 0, "detections": 330}.items():
            self.assertEqual(stats[name], value, name)
        for stage in ("read", "detect", "classify", "draw", "total"):
            latency = stats["latency_ms"][stage]
            self.assertLessEqual(latency["median"], latency["p99"])
            self.assertLessEqual(latency["p99"], latency["max"])
        deadline = time.monotonic() + 5
        while not os.path.exists(self.at("alerts.txt")) and time.monotonic() < deadline:
            time.sleep(0.05)
        self.assertEqual(read(self.at("alerts.txt")), "1 without_mask\n")
        # What was recorded can be played, and holds the faces with their boxes.
        again = self.run_program("-s", "out.mp4", "--headless", "--stats", "-", "--detect-every", "10")
        self.assertEqual(json.loads(again.stdout)["frames"], 330)

    def test_the_label_follows_the_mask(self):
        self.assertEqual(self.run_program("-s", self.clips["mask"], "--headless", "--events", "mask.jsonl").returncode, 0)
        changes = [(event["before"], event["label"], event["time"]) for event in lines(self.at("mask.jsonl")) if event["event"] == "change"]
        self.assertEqual([change[:2] for change in changes], [("without_mask", "with_mask"), ("with_mask", "without_mask")])
        self.assertAlmostEqual(changes[0][2], 3, delta=0.3)
        self.assertAlmostEqual(changes[1][2], 7, delta=0.3)

    def test_the_threshold_moves_the_label(self):
        self.run_program("-s", self.clips["one"], "--headless", "--events", "strict.jsonl", "--threshold", "0.01", "--detect-every", "5")
        self.run_program("-s", self.clips["one"], "--headless", "--events", "usual.jsonl", "--detect-every", "5")
        strict, usual = (lines(self.at(name))[0]["confidence"] for name in ("strict.jsonl", "usual.jsonl"))
        self.assertLess(strict, usual)

    def test_signals_end_files_cleanly(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            process = subprocess.Popen(["env", "--default-signal=INT", DETECT, "--face", "haar", "-s", self.clips["one"], "--loop", "--headless", "--record", "cut.mp4", "--events", "cut.jsonl", "--stats", "cut.json"], cwd=self.folder, env=WITHOUT_DISPLAY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            while not (os.path.exists(self.at("cut.jsonl")) and read(self.at("cut.jsonl"))):
                self.assertIsNone(process.poll())
                time.sleep(0.05)
            time.sleep(0.5)
            process.send_signal(number)
            time.sleep(0.02)
            process.send_signal(number)  # as `timeout` does
            out, errors = process.communicate(timeout=15)
            self.assertEqual((process.returncode, errors), (0, ""))
            self.assertEqual([event["event"] for event in lines(self.at("cut.jsonl"))], ["appear", "leave"])
            stats = json.loads(read(self.at("cut.json")))
            self.assertEqual(stats["recorded"], stats["frames"])
            played = self.run_program("-s", "cut.mp4", "--headless", "--stats", "-", "--detect-every", "50")
            self.assertEqual(json.loads(played.stdout)["frames"], stats["frames"])
            os.remove(self.at("cut.jsonl"))

    def test_bad_input(self):
        with open(self.at("no_video.mp4"), "wb") as file:
            file.write(b"this is no video" * 100)
        with open(self.at("empty.mp4"), "wb"):
            pass
        with open(self.clips["one"], "rb") as whole, open(self.at("beginning.mp4"), "wb") as file:
            file.write(whole.read(600))
        os.makedirs(self.at("no_pictures"), exist_ok=True)
        with open(self.clips["one"], "rb") as whole, open(self.at("codec.mp4"), "wb") as file:
            file.write(whole.read().replace(b"avc1", b"zq9x"))
        subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2", "-frames:v", "0", "-c:v", "mpeg4", self.at("no_frames.avi")], check=True)
        for name in ("missing.mp4", "no_video.mp4", "empty.mp4", "beginning.mp4", "codec.mp4", "no_frames.avi", "no_pictures"):
            with self.subTest(name):
                self.check_fault(name, "-s", name, "--headless")
        one = self.clips["one"]
        self.check_fault("--headless", "-s", one)  # no display
        self.check_fault("--headless", "-s", one, DISPLAY=":1234")  # nor does this one answer
        self.check_fault("camera", "-s", "97", "--headless", "--no-reconnect", code=1)
        self.check_fault("--detect-every", "-s", one, "--detect-every", "0")
        self.check_fault("--camera-size", "-s", one, "--headless", "--camera-size", "big")
        self.check_fault("quote", "-s", one, "--headless", "--alert", "sh -c 'x")
        self.check_fault("no-such-program", "-s", one, "--headless", "--alert", "no-such-program")
        self.check_fault("no/folder", "-s", one, "--headless", "--events", "no/folder/x")
        self.check_fault("out.txt: the name must end in .mp4", "-s", one, "--headless", "--record", "out.txt")
        # At once, not when somebody answers there.
        self.check_fault("out.txt: the name must end in .mp4", "-s", "http://127.0.0.1:9/x", "--headless", "--record", "out.txt")
        os.makedirs(self.at("frames"), exist_ok=True)
        for name, text in (("frames/1.png", b"a picture"), ("token", b"0123456789abcdef0123")):
            with open(self.at(name), "wb") as file:
                file.write(text)
        self.check_fault("the same file as a picture of the source", "-s", "frames", "--headless", "--stats", "frames/1.png")
        self.check_fault("the same file as --serve-token-file", "-s", one, "--headless", "--serve", "127.0.0.1:0", "--serve-token-file", "token", "--stats", "token")
        self.check_fault("holds no events", "-s", one, "--headless", "--events", "token")
        self.check_fault("no_model", "-s", one, "--headless", "-m", "no_model")
        self.check_fault("--alert-after requires --alert", "-s", one, "--headless", "--alert-after", "3")
        for contradiction in (["--full-screen", "--headless"], ["--every-frame", "--headless"], ["--screenshot-dir", ".", "--headless"], ["--every-frame", "--live"]):
            self.check_fault(f"{contradiction[0]} excludes {contradiction[-1]}", "-s", one, *contradiction)
        self.check_fault("is neither a number above 0 nor auto", "-s", one, "--headless", "--detect-every", "00")
        self.check_fault("--fps-target is for --detect-every auto", "-s", one, "--headless", "--fps-target", "10", "--detect-every", "2")
        for option in ("-m", "--record", "--events", "--stats", "--alert", "--serve", "--mqtt", "--webhook", "-s", "--source"):
            self.check_fault(": its value is empty", "-s", one, "--headless", option, "")
        self.check_fault("--confidence is not for --face none", "-s", one, "--headless", "--face", "none", "-c", "0.9")
        other = self.at("other.safetensors")
        shipped_with_names(other, {"mask_worn_wrongly": "another_mask_kind"})
        self.check_fault("has no class for masks worn wrongly", "-s", one, "--headless", "-m", other, "--alert", "true", "--alert-worn-wrongly")
        self.check_fault("no_model.safetensors", "-s", one, "--headless", "-f", "no_model.safetensors")
        self.check_fault("127.0.0.1", "-s", "rtsp://127.0.0.1:9/x", "--headless", "--timeout", "1", "--no-reconnect", code=1)

    def test_options_that_do_nothing_are_told_of(self):
        done = self.run_program("-s", self.clips["one"], "--headless", "--camera-size", "640x480", "--camera-fps", "10", "--timeout", "3", "--no-reconnect", "--fps-target", "10")
        self.assertEqual(done.returncode, 0, done.stderr)
        told = [line.split(":")[1].strip() for line in done.stderr.splitlines() if line.startswith("warning: ")]
        self.assertEqual(told, ["--camera-size", "--camera-fps", "--timeout", "--no-reconnect", "--fps-target"])
        kinds = self.at("kinds.safetensors")
        for names, expected in (
            ({"without_mask": "surgical_mask", "mask_worn_wrongly": "n95_mask"}, "warning: --threshold: every class of the model means a mask, so it does nothing\n"),
            ({"without_mask": "surgical_mask"}, "warning: --threshold: the model has no class that means no mask, so it weighs masks against mask_worn_wrongly only\n"),
            ({}, ""),
        ):
            shipped_with_names(kinds, names)
            done = self.run_program("-s", self.clips["one"], "--headless", "-m", kinds, "--threshold", "0.9")
            self.assertEqual((done.returncode, done.stderr), (0, expected))

    def test_labels_that_nobody_understands_are_warned_of_until_classes_says_them(self):
        odd = self.at("odd.safetensors")
        shipped_with_names(odd, {"without_mask": "qqqqqqqqqqqq", "with_mask": "pppppppp9"})
        arguments = ["-s", self.clips["one"], "--headless", "-m", odd, "--alert", "true", "--alert-after", "1", "--threshold", "0.6", "--stats", self.at("odd.json")]
        done = self.run_program(*arguments)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("warning: --alert: the model has no class that means no mask, so it never runs\n", done.stderr)
        self.assertIn("warning: --threshold: the model has no class that means a mask, so it does nothing\n", done.stderr)
        self.assertIn("warning: the class names pppppppp9, qqqqqqqqqqqq do not say who wears a mask", done.stderr)
        self.assertEqual(json.loads(read(self.at("odd.json")))["alerts"], 0)
        done = self.run_program(*arguments, "--classes", "mask=pppppppp9", "no_mask=qqqqqqqqqqqq")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotIn("warning", done.stderr)
        self.assertEqual(json.loads(read(self.at("odd.json")))["alerts"], 1)
        self.check_fault("'nobody' is not a class of the model", *arguments, "--classes", "mask=nobody")

    def test_what_may_not_be_read(self):
        locked = self.at("locked")
        os.makedirs(os.path.join(locked, "folder"), exist_ok=True)
        shutil.copy(self.clips["one"], os.path.join(locked, "film.mp4"))
        shutil.copy(self.clips["one"], os.path.join(locked, "folder", "film.mp4"))
        os.chmod(os.path.join(locked, "film.mp4"), 0)
        os.chmod(os.path.join(locked, "folder"), 0)
        os.chmod(self.folder, 0o755)
        # Root may read everything, so that it tests as nobody: who may not reach the clone, which gets copies.
        user = {"user": 65534, "group": 65534, "extra_groups": []} if os.getuid() == 0 else {}
        program = shutil.copy(DETECT, self.at("program"))
        os.makedirs(self.at("data/models"))
        model = shutil.copy(os.path.join(CLONE, "data", "models", "mask_detector.safetensors"), self.at("data/models"))
        if subprocess.run(["sh", "-c", f"test -x '{program}' && test -r '{model}'"], **user).returncode != 0:
            self.skipTest(f"nobody cannot reach {self.folder}: set TMPDIR to a folder that everybody can reach")
        cases = [("locked/film.mp4: no permission", "-s", "locked/film.mp4"), ("locked/folder: cannot be listed: Permission", "-s", "locked/folder"),
                 ("locked/folder/film.mp4: cannot be read: Permission", "-s", "locked/folder/film.mp4"),
                 ("permission denied in locked/folder", "-s", self.clips["one"], "--record", "locked/folder/out.mp4")]  # fmt: skip
        for part, *arguments in cases:
            with self.subTest(part):
                done = subprocess.run([program, "--headless", *with_face(arguments)], capture_output=True, text=True, cwd=self.folder, timeout=60, env={**WITHOUT_DISPLAY, "MASKWATCH_DATA": self.at("data")}, **user)
                self.assertEqual((done.returncode, done.stderr.count("\n"), done.stdout), (2, 1, ""), done.stderr)
                self.assertIn(part, done.stderr)
        os.chmod(os.path.join(locked, "folder"), 0o755)

    def test_the_size_may_change_while_it_is_recorded(self):
        pieces = []
        for name, options in (("small", []), ("tall", ["-vf", "transpose=1"]), ("large", ["-vf", "scale=640:480"])):
            pieces.append(self.at(name + ".ts"))
            subprocess.run(["ffmpeg", "-v", "error", "-y", "-i", self.clips["one"], "-t", "3", *options, "-c:v", "libx264", "-preset", "ultrafast", "-g", "15", pieces[-1]], check=True)
        with open(self.at("sizes.ts"), "wb") as file:
            for piece in pieces:
                with open(piece, "rb") as part:
                    file.write(part.read())
        for name in ("sizes.mp4", "sizes.mkv", "sizes.avi"):
            with self.subTest(name):
                done = self.run_program("-s", "sizes.ts", "--headless", "--record", name, "--detect-every", "5", "--stats", "-")
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertLessEqual(done.stderr.count("\n"), 1)  # the pieces do not fit together without a gap
                stats = json.loads(done.stdout)
                self.assertEqual((stats["frames"], stats["recorded"]), (270, 270))
                probe = subprocess.run(["ffprobe", "-v", "error", "-count_frames", "-show_entries", "stream=width,height,nb_read_frames", "-of", "csv=p=0", self.at(name)], capture_output=True, text=True, check=True)
                self.assertEqual((probe.stdout.strip(), probe.stderr), ("480,360,270", ""))

    def first_box(self, name, *options):
        """(label, box) of the first person who appears; what was recorded has the size of the clip "one"."""
        done = self.run_program("-s", name, "--headless", "--events", "shape.jsonl", "--record", "shape.mp4", "--detect-every", "5", *options)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        probe = subprocess.run(["ffprobe", "-v", "error", "-show_entries", "stream=width,height", "-of", "csv=p=0", self.at("shape.mp4")], capture_output=True, text=True, check=True)
        self.assertEqual(probe.stdout.strip(), "480,360")
        event = lines(self.at("shape.jsonl"))[0]
        os.remove(self.at("shape.jsonl"))
        return event["label"], event["box"]

    def test_pixels_that_are_not_square_and_cameras_that_hang_upside_down(self):
        def film(name, *options):
            subprocess.run(["ffmpeg", "-v", "error", "-y", "-i", self.clips["one"], "-t", "2", *options, self.at(name)], check=True)

        upside_down = ["-c:v", "libx264", "-preset", "ultrafast", "-vf", "hflip,vflip"]
        film("square.mp4", "-c:v", "copy")
        film("narrow.mp4", "-c:v", "libx264", "-preset", "ultrafast", "-vf", "scale=240:360,setsar=2/1")
        film("hanging.mp4", *upside_down)
        subprocess.run(["ffmpeg", "-v", "error", "-y", "-i", self.at("hanging.mp4"), "-c", "copy", "-metadata:s:v:0", "rotate=180", self.at("told.mp4")], check=True)
        film("lying.mp4", "-c:v", "libx264", "-preset", "ultrafast", "-vf", "transpose=cclock,scale=360:240,setsar=1/2")
        label, box = self.first_box("square.mp4")
        mirrored = [480 - box[0] - box[2], *box[1:]]
        for name, options, expected in (("narrow.mp4", [], box), ("hanging.mp4", ["--rotate", "180"], box), ("told.mp4", [], box),
                                        ("lying.mp4", ["--rotate", "90"], box), ("square.mp4", ["--flip"], mirrored)):  # fmt: skip
            with self.subTest(name):
                found = self.first_box(name, *options)
                self.assertEqual(found[0], label)
                for one, other in zip(found[1], expected):
                    self.assertAlmostEqual(one, other, delta=12)
        self.check_fault("--rotate", "-s", "square.mp4", "--headless", "--rotate", "45")

    def test_a_truncated_file_plays_to_where_it_breaks(self):
        source = os.path.join(self.folder, "whole.mkv")
        subprocess.run([DRAW, "-o", source, "--scene", "one", "--width", "160", "--height", "120"], check=True, capture_output=True)
        with open(source, "rb") as whole, open(self.at("cut.mkv"), "wb") as file:
            data = whole.read()
            file.write(data[: len(data) // 2])
        done = self.run_program("-s", "cut.mkv", "--headless", "--stats", "-", "--detect-every", "10")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stderr, r"^note: cut.mkv: truncated: it ends after \d\.\d\d of 10.00 s[^\n]*\n$")
        self.assertTrue(50 < json.loads(done.stdout)["frames"] < 290)

    def test_notes_that_nobody_can_read_end_nothing(self):
        with open("/dev/full", "w") as full:
            done = subprocess.run([DETECT, "-s", "lavfi:testsrc2=size=160x120:duration=1,realtime", "--live", "--no-reconnect", "--headless", "--face", "none", "--stats", "-"], stdout=subprocess.PIPE, stderr=full, text=True, env=WITHOUT_DISPLAY, timeout=60, cwd=self.folder)
        self.assertEqual(done.returncode, 0)
        self.assertIn("ended", json.loads(done.stdout)["ended_by"])

    def test_notes_never_land_in_a_file(self):
        """Where standard error is closed, its number must not go to the next file that is opened."""
        for closed, code in (("2>&-", 0), ("<&- 2>&-", 0), ("<&- >&- 2>&-", 1)):  # 1: its summary is lost
            done = subprocess.run(["sh", "-c", f"exec '{DETECT}' -s cut_short.mkv --face none --headless --events lines.jsonl {closed}"], stdout=subprocess.DEVNULL, timeout=60, env=WITHOUT_DISPLAY, cwd=self.prepared("cut_short.mkv"))
            self.assertEqual(done.returncode, code)
            for line in read(self.at("lines.jsonl")).splitlines():
                self.assertIn("event", json.loads(line))

    def prepared(self, name):
        source = self.at("whole.mkv")
        if not os.path.exists(source):
            subprocess.run(["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", "testsrc2=size=160x120:rate=25:duration=2", source], check=True)
        with open(source, "rb") as whole, open(self.at(name), "wb") as file:
            data = whole.read()
            file.write(data[: len(data) // 2])
        return self.folder

    def test_a_folder_with_a_pipe_that_nobody_writes(self):
        folder = self.at("with_pipe")
        os.makedirs(folder)
        subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=64x48:rate=5:duration=1", os.path.join(folder, "%d.png")], check=True)
        os.mkfifo(os.path.join(folder, "0.jpg"))
        done = self.run_program("-s", "with_pipe", "--face", "none", "--headless", "--stats", "-")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(json.loads(done.stdout)["frames"], 5)
        self.assertIn("0.jpg: is not a regular file", done.stderr)

    def test_a_full_disk_ends_with_one_line(self):
        limited = subprocess.run(["sh", "-c", f"ulimit -f 100; trap '' XFSZ; exec '{DETECT}' --face haar -s '{self.clips['one']}' --loop --headless --detect-every 10 --record full.mp4 --stats full_disk.json"], capture_output=True, text=True, env=WITHOUT_DISPLAY, timeout=120, cwd=self.folder)
        self.assertEqual(limited.returncode, 1, limited.stderr)
        self.assertEqual(limited.stderr.count("\n"), 1, limited.stderr)
        self.assertIn("full.mp4", limited.stderr)
        self.assertEqual("error: " + json.loads(read(self.at("full_disk.json")))["ended_by"] + "\n", limited.stderr)
        played = self.run_program("-s", "full.mp4", "--headless", "--stats", "-", "--detect-every", "50")
        self.assertGreater(json.loads(played.stdout)["frames"], 5)

    def test_a_full_disk_under_a_recording_ends_the_recording_alone(self):
        done = subprocess.run(["sh", "-c", f"ulimit -f 100; trap '' XFSZ; exec '{DETECT}' --face haar -s '{self.clips['one']}' --headless --detect-every 10 --record part.mp4 --events part.jsonl --stats part.json"], capture_output=True, text=True, env=WITHOUT_DISPLAY, timeout=120, cwd=self.folder)
        self.assertEqual((done.returncode, done.stderr), (1, "error: part.mp4: cannot be written: File too large\n"))
        self.assertEqual([event["event"] for event in lines(self.at("part.jsonl"))], ["appear", "leave"])
        stats = json.loads(read(self.at("part.json")))
        self.assertEqual(stats["frames"], 300)
        self.assertLess(stats["recorded"], 300)

    def test_a_full_disk_under_the_events_ends_with_one_line(self):
        done = self.run_program("-s", self.clips["one"], "--headless", "--record", "until.mp4", "--events", "/dev/full", "--stats", "full.json")
        self.assertEqual((done.returncode, done.stderr), (1, "error: --events /dev/full: cannot be written: No space left on device\n"))
        played = self.run_program("-s", "until.mp4", "--headless", "--stats", "-", "--detect-every", "50")
        self.assertGreater(json.loads(played.stdout)["frames"], 3)

        self.assertIn("No space", json.loads(read(self.at("full.json")))["ended_by"])

    def test_nothing_that_is_read_is_written_over(self):
        film = self.at("film.mp4")
        shutil.copy(self.clips["one"], film)
        os.link(film, self.at("link.mp4"))
        with open(film, "rb") as file:
            before = file.read()
        for option, name in (("--record", "film.mp4"), ("--record", "./film.mp4"), ("--record", "link.mp4"), ("--events", "film.mp4"), ("--stats", "film.mp4")):
            self.check_fault(f"{option} {name}: the same file as the source", "-s", "film.mp4", "--headless", option, name)
        self.check_fault("--record film.mp4: the same file as the source", "-s", "file://" + film, "--headless", "--record", "film.mp4")
        self.check_fault("--events new.mp4: the same file as what --record writes", "-s", "film.mp4", "--headless", "--record", "new.mp4", "--events", "new.mp4")
        with open(film, "rb") as file:
            self.assertEqual(file.read(), before)
        self.assertFalse(os.path.exists(self.at("new.mp4")))

    def test_a_reader_who_does_not_read_holds_nothing_up(self):
        pipe = self.at("events")
        os.mkfifo(pipe)
        reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, reader)
        filler = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, filler)
        os.write(filler, b" " * 65536)  # it is full
        process = subprocess.Popen([DETECT, "--face", "haar", "-s", self.clips["one"], "--loop", "--headless", "--record", "beside.mp4", "--events", "events", "--stats", "beside.json"], cwd=self.folder, env=WITHOUT_DISPLAY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        deadline = time.monotonic() + 30
        while not (os.path.exists(self.at("beside.mp4")) and os.path.getsize(self.at("beside.mp4")) > 100_000) and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        out, errors = process.communicate(timeout=15)
        self.assertEqual((process.returncode, errors), (1, "error: --events events: incomplete: nobody reads it\n"))
        stats = json.loads(read(self.at("beside.json")))
        self.assertGreater(stats["recorded"], 60)
        self.assertEqual(stats["recorded"], stats["frames"])

    def test_a_second_signal_ends_at_once(self):
        pipe = self.at("unread")
        os.mkfifo(pipe)
        for flags in (os.O_RDONLY, os.O_WRONLY):
            end = os.open(pipe, flags | os.O_NONBLOCK)
            self.addCleanup(os.close, end)
        os.write(end, b" " * 65536)  # what waits behind this cannot be written
        process = subprocess.Popen([DETECT, "--face", "haar", "-s", self.clips["one"], "--loop", "--headless", "--events", "unread", "--record", "killed.mp4"], cwd=self.folder, env=WITHOUT_DISPLAY)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        while not os.path.exists(self.at("killed.mp4")) or os.path.getsize(self.at("killed.mp4")) < 100_000:
            self.assertIsNone(process.poll())
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        time.sleep(0.8)
        self.assertIsNone(process.poll())  # it waits for the reader, 2 s
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(timeout=1), -signal.SIGTERM)

    def test_a_signal_that_was_ignored_still_is(self):
        process = subprocess.Popen(["nohup", DETECT, "--face", "haar", "-s", self.clips["one"], "--headless", "--loop", "--events", "nohup.jsonl", "--stats", "nohup.json"], cwd=self.folder, env=WITHOUT_DISPLAY, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        while not (os.path.exists(self.at("nohup.jsonl")) and read(self.at("nohup.jsonl"))):
            self.assertIsNone(process.poll())
            time.sleep(0.05)
        process.send_signal(signal.SIGHUP)
        time.sleep(1)
        self.assertIsNone(process.poll())
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(timeout=15), 0)
        self.assertEqual(json.loads(read(self.at("nohup.json")))["ended_by"], "")

    def test_list_sources(self):
        self.assertEqual(self.run_program("--list-sources").returncode, 0)
        fake = os.environ.get("MASKWATCH_FAKE_CAMERA")
        if not fake:
            self.skipTest("SKIPPED, NOT TESTED: no camera is faked under a sanitizer")
        listed = self.run_program("--list-sources", LD_PRELOAD=fake).stdout.splitlines()
        self.assertIn("/dev/video41  Maskwatch Test Camera", listed)
        self.assertTrue(any(line.startswith("/dev/video43  ") and "(no permission" in line for line in listed), listed)


class Streams(Video):
    def watch(self, *arguments):
        """The program, and the times at which it says lines on standard error."""
        process = subprocess.Popen([DETECT, "--headless", *with_face(arguments)], cwd=self.folder, env=WITHOUT_DISPLAY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        told = []

        def read():
            for line in process.stderr:
                told.append((time.monotonic(), line.rstrip("\n")))

        thread = threading.Thread(target=read)
        thread.start()
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        self.addCleanup(thread.join)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process, told

    def wait_for_line(self, told, part, seconds):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for clock, line in list(told):
                if part in line:
                    return clock
            time.sleep(0.02)
        self.fail(f"{part!r} was not said: {told}")

    def test_a_stream_is_back_soon_after_its_server_hung_for_long(self):
        clip = stream_servers.make_clip(self.at("loop.mp4"), ["-i", self.clips["one"]])
        server = stream_servers.Rtsp(clip)
        self.addCleanup(server.cut)
        process, told = self.watch("-s", server.url(), "--record", "stream.mp4", "--events", "stream.jsonl", "--stats", "stream.json")
        deadline = time.monotonic() + 20
        while not (os.path.exists(self.at("stream.jsonl")) and read(self.at("stream.jsonl"))) and time.monotonic() < deadline:
            time.sleep(0.05)
        server.hangs = True
        server.drop()
        self.wait_for_line(told, ": lost: ", 10)
        time.sleep(7.4)
        server.hangs = False
        back = time.monotonic()
        self.assertLess(self.wait_for_line(told, "connected again", 15) - back, 3)
        time.sleep(1)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(timeout=15), 0)
        self.assertEqual(len(told), 2, told)
        stats = json.loads(read(self.at("stream.json")))
        self.assertEqual(stats["reconnections"], 1)
        played = self.run_program("-s", "stream.mp4", "--headless", "--stats", "-", "--detect-every", "50")
        self.assertEqual(json.loads(played.stdout)["frames"], stats["recorded"])

    def test_what_is_away_is_a_failure_at_work(self):
        with socket.socket() as none:  # bound, but nobody listens
            none.bind(("127.0.0.1", 0))
            for scheme in ("http", "rtsp"):
                self.check_fault("Connection refused", "-s", f"{scheme}://127.0.0.1:{none.getsockname()[1]}/x", "--headless", "--no-reconnect", code=1)
        self.check_fault("no such camera", "-s", "/dev/video999", "--headless", "--no-reconnect", code=1)

    def test_what_is_away_is_waited_for_from_the_start(self):
        server = stream_servers.Rtsp(stream_servers.make_clip(self.at("loop.mp4"), ["-i", self.clips["one"]]))
        server.cut()
        process, told = self.watch("-s", server.url(), "--record", "late.mp4", "--events", "late.jsonl", "--stats", "late.json")
        self.wait_for_line(told, "cannot be opened: Connection refused", 10)
        time.sleep(2)
        self.assertIsNone(process.poll())
        server.back()
        self.addCleanup(server.cut)
        self.wait_for_line(told, "connected after ", 10)
        deadline = time.monotonic() + 20
        while not read(self.at("late.jsonl")) and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(timeout=15), 0)
        self.assertEqual(len(told), 2, told)
        stats = json.loads(read(self.at("late.json")))
        self.assertEqual((stats["reconnections"], stats["width"], stats["live"]), (0, 480, True))
        self.assertGreater(stats["recorded"], 0)

    def test_a_stream_that_comes_and_goes_is_not_told_of_each_time(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            with open(self.clips["one"], "rb") as file:
                start = subprocess.run(["ffmpeg", "-v", "error", "-i", "-", "-t", "0.5", "-c", "copy", "-f", "mpegts", "-"], stdin=file, capture_output=True, check=True).stdout
            server.settimeout(0.1)
            process, told = self.watch("-s", f"tcp://127.0.0.1:{server.getsockname()[1]}", "--detect-every", "1000")
            connections, deadline = 0, time.monotonic() + 8
            while time.monotonic() < deadline:
                with contextlib.suppress(TimeoutError):
                    with server.accept()[0] as connection:
                        connections += 1
                        connection.sendall(start)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(timeout=15), 0)
        self.assertTrue(4 <= connections <= 11, connections)
        self.assertLessEqual(len(told), 3, told)

    def test_a_stream_that_never_answers_is_given_up(self):
        server = stream_servers.Rtsp(stream_servers.make_clip(self.at("loop.mp4"), ["-i", self.clips["one"]]))
        self.addCleanup(server.cut)
        server.hangs = True
        start = time.monotonic()
        self.check_fault("no data for 1 s", "-s", server.url(), "--headless", "--timeout", "1", "--no-reconnect", code=1)
        self.assertLess(time.monotonic() - start, 5)

    def test_a_signal_while_the_source_is_waited_for_is_no_fault(self):
        server = stream_servers.Rtsp(stream_servers.make_clip(self.at("loop.mp4"), ["-i", self.clips["one"]]))
        self.addCleanup(server.cut)
        server.hangs = True
        process, told = self.watch("-s", server.url(), "--timeout", "60")
        time.sleep(1)
        self.assertIsNone(process.poll())
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(timeout=5), 0)
        self.assertEqual(told, [])


TOOLS = [name for name in ("Xvfb", "xdotool", "import", "convert", "compare") if shutil.which(name) is None]


@unittest.skipIf(TOOLS, f"SKIPPED, NOT TESTED: {', '.join(TOOLS)} not installed")
class Window(Video):
    def setUp(self):
        self.display = {**WITHOUT_DISPLAY, "DISPLAY": self.enterContext(virtual_display.display())["DISPLAY"]}
        for old in glob.glob(self.at("shots/*")):
            os.remove(old)
        os.makedirs(self.at("shots"), exist_ok=True)
        self.process = None

    def tearDown(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def start(self, *arguments):
        self.process = subprocess.Popen([DETECT, "-s", self.clips["mask"], "--screenshot-dir", "shots", "--stats", "window.json", *with_face(arguments)], env=self.display, cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.window = self.tool("xdotool", "search", "--sync", "--onlyvisible", "--name", "Maskwatch").split()[0]
        time.sleep(1.5)

    def tool(self, *command):
        return subprocess.run(command, env=self.display, capture_output=True, text=True, check=True, timeout=60, cwd=self.folder).stdout

    def key(self, name, seconds=0.4):
        self.tool("xdotool", "key", name)
        time.sleep(seconds)

    def grab(self, name):
        self.tool("import", "-window", self.window, name)
        return name

    def distance(self, one, other):
        """Root mean square difference, 0 to 1."""
        done = subprocess.run(["compare", "-metric", "RMSE", one, other, "null:"], capture_output=True, text=True, cwd=self.folder)
        return float(done.stderr.split("(")[1].split(")")[0])

    def files(self, pattern):
        return [os.path.relpath(path, self.folder) for path in sorted(glob.glob(self.at("shots/" + pattern)))]

    def wait_for_files(self, pattern, count):
        deadline = time.monotonic() + 20
        while len(self.files(pattern)) < count and time.monotonic() < deadline:
            time.sleep(0.1)
        self.assertEqual(len(self.files(pattern)), count)
        return self.files(pattern)

    def end(self):
        out, errors = self.process.communicate(timeout=20)
        self.assertEqual((self.process.returncode, errors), (0, ""))
        return json.loads(read(self.at("window.json")))

    def test_what_is_drawn_is_what_is_shown(self):
        self.start("--loop")
        self.key("space")
        time.sleep(4)  # until "paused" alone is left
        self.key("s", 1)
        shot = self.wait_for_files("screenshot-*.png", 1)[0]
        self.tool("xdotool", "key", "s", "s", "s")
        self.wait_for_files("screenshot-*.png", 4)
        time.sleep(4)
        self.assertLess(self.distance(self.grab("held.png"), shot), 0.01)
        time.sleep(0.7)
        self.assertLess(self.distance(self.grab("still.png"), "held.png"), 0.01)  # it stands still
        self.key("h")
        self.assertGreater(self.distance(self.grab("help.png"), "held.png"), 0.03)
        self.key("h")
        self.key("p")
        self.assertGreater(self.distance(self.grab("bare.png"), "held.png"), 0.03)
        self.key("p")
        self.key("space", 1)
        self.assertGreater(self.distance(self.grab("moved.png"), "held.png"), 0.01)
        self.key("q")
        self.end()

    def test_keys_that_change_what_happens(self):
        self.start("--loop", "--face", "none")
        self.key("r", 2)
        self.key("r", 0.5)
        self.key("d", 2)
        self.key("plus")
        self.key("f", 1)
        self.key("f", 1)
        self.tool("xdotool", "windowsize", "--sync", self.window, "500", "300")
        time.sleep(0.5)
        self.key("Escape")
        stats = self.end()
        self.assertTrue(stats["detector"].startswith("ours"), stats["detector"])
        self.assertGreater(stats["recorded"], 10)
        self.assertEqual(len(self.files("recording-*.mp4")), 1)
        played = self.run_program("-s", self.files("recording-*.mp4")[0], "--headless", "--stats", "-", "--detect-every", "20")
        self.assertEqual(json.loads(played.stdout)["frames"], stats["recorded"])

    def test_a_screenshot_that_cannot_be_saved_is_told_of_and_no_more(self):
        self.start("--loop")
        shutil.rmtree(self.at("shots"))
        self.key("s", 1)
        self.key("r", 1)
        self.key("q")
        out, errors = self.process.communicate(timeout=20)
        self.assertEqual(self.process.returncode, 1)  # the recording
        self.assertRegex(errors, r"^error: shots/recording-[^\n]*: cannot be written: No such file or directory\n$")
        stats = json.loads(read(self.at("window.json")))
        self.assertGreater(stats["frames"], 50)
        self.check_fault("there is no folder shots", "-s", self.clips["one"], "--screenshot-dir", "shots", **self.display)
        os.makedirs(self.at("shots"))
        self.start("--loop")
        shutil.rmtree(self.at("shots"))
        self.key("s", 1)
        self.key("q")
        self.end()

    def test_a_window_that_is_taken_away_is_one_line_and_loses_nothing(self):
        for how, reason in (("the server", "its display is gone"), ("windowkill", "its display is gone"), ("windowclose", "another program destroyed it")):
            with self.subTest(how):
                with virtual_display.display() as environment:
                    self.display = {**WITHOUT_DISPLAY, "DISPLAY": environment["DISPLAY"]}
                    self.start("--loop", "--record", "taken.mp4", "--events", f"{how}.jsonl")
                    if how != "the server":
                        self.tool("xdotool", how, self.window)
                        self.process.wait(timeout=20)
                out, errors = self.process.communicate(timeout=20)
                self.assertEqual((self.process.returncode, errors), (1, f"error: the window failed: {reason}\n"))
                self.assertEqual(lines(self.at(f"{how}.jsonl"))[-1]["event"], "leave")
                played = self.run_program("-s", "taken.mp4", "--headless", "--stats", "-", "--detect-every", "50")
                self.assertEqual(json.loads(played.stdout)["frames"], json.loads(read(self.at("window.json")))["recorded"])

    def test_a_file_ends_by_itself_at_its_own_speed(self):
        self.start()
        stats = self.end()
        self.assertAlmostEqual(stats["seconds"], 10, delta=1)
        self.assertEqual(stats["frames"] + stats["dropped"], stats["captured"])
        self.assertEqual(stats["captured"], 300)
        self.assertEqual(stats["people"], 1)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + sys.argv[3:], verbosity=2)
