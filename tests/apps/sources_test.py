"""detect_mask_video with several sources: each on its own, and all together.
Usage: sources_test.py DETECT_MASK_VIDEO DRAW_VIDEO [TEST ...]"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import unittest
import urllib.request

import mqtt_broker
import virtual_display
from clip_folder import ClipFolder

DETECT, DRAW = (os.path.abspath(path) for path in sys.argv[1:3])
WITHOUT_DISPLAY = {name: value for name, value in os.environ.items() if name != "DISPLAY"}
SERVICE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "packaging", "maskwatch-video.service")
SCENES = ("leave", "mask", "one")


def lines(path):
    with open(path) as file:
        return [json.loads(line) for line in file]


def words(path):
    if not os.path.exists(path):
        return []
    with open(path) as file:
        return file.read().split()


class Sources(ClipFolder):
    DRAW, SCENES = DRAW, SCENES
    looks = ("--face", "haar", "--detect-every", "3")
    named = [word for scene in SCENES for word in ("-s", f"{scene}_1={scene}.mp4")]

    def command(self, *arguments):
        return [DETECT, *self.looks, "--stats", "stats.json", *arguments]

    def run_program(self, *arguments, code=0):
        done = subprocess.run(self.command("--headless", *arguments), capture_output=True, text=True, timeout=120, cwd=self.folder, env=WITHOUT_DISPLAY)
        self.assertEqual(done.returncode, code, done.stderr)
        return done

    def start(self, *arguments, **variables):
        process = subprocess.Popen(self.command(*arguments), cwd=self.folder, env={**WITHOUT_DISPLAY, **variables}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def stats(self):
        with open(self.at("stats.json")) as file:
            return json.load(file)

    def check_each_sees_what_it_would_see_alone(self):
        done = self.run_program(*self.named, "--events", "all.jsonl")
        self.assertEqual([line.split(": ")[0] for line in done.stdout.splitlines()], [scene + "_1" for scene in SCENES])
        together, stats = lines(self.at("all.jsonl")), self.stats()
        for scene in SCENES:
            self.run_program("-s", scene + ".mp4", "--events", f"{scene}.jsonl")
            alone, mine = lines(self.at(f"{scene}.jsonl")), [dict(event) for event in together if event["source"] == scene + "_1"]
            for event in alone + mine:
                event.pop("clock")
                event.pop("source", None)
            self.assertEqual(mine, alone)
            self.assertTrue(alone)
            own, single = stats["sources"][scene + "_1"], self.stats()
            for name in ("frames", "captured", "dropped", "detections", "people", "people_by_label"):
                self.assertEqual(own[name], single[name], name)

    def test_each_sees_what_it_would_see_alone(self):
        self.check_each_sees_what_it_would_see_alone()

    def test_and_where_the_detector_takes_their_frames_as_one_batch(self):
        self.looks = ("--face", "ours", "--detect-every", "5")
        self.check_each_sees_what_it_would_see_alone()

    def test_alerts_name_the_source(self):
        self.run_program(*self.named, "--alert", "sh -c 'echo $MASKWATCH_SOURCE >> alerts'", "--alert-after", "1")
        self.assertTrue(mqtt_broker.wait_until(lambda: sorted(words(self.at("alerts"))) == sorted(scene + "_1" for scene in SCENES), 5))
        self.assertEqual([source["alerts"] for source in self.stats()["sources"].values()], [1, 1, 1])

    def test_one_that_ends_does_not_end_the_others(self):
        subprocess.run(["ffmpeg", "-v", "error", "-i", self.at("one.mp4"), "-t", "1", "-c", "copy", self.at("short.mp4")], check=True)
        self.run_program("-s", "short.mp4", "-s", "one.mp4")
        self.assertEqual({name: source["frames"] for name, source in self.stats()["sources"].items()}, {"1": 30, "2": 300})

    @unittest.skipUnless("MASKWATCH_FAILING_CONVERSION" in os.environ, "nothing is preloaded into a build with sanitizers")
    def test_one_that_fails_does_not_end_the_others(self):
        subprocess.run([DRAW, "-o", self.at("low.mp4"), "--scene", "one", "--width", "240", "--height", "176"], check=True, capture_output=True)
        process = self.start("--headless", "-s", "door=low.mp4", "-s", "hall=one.mp4", LD_PRELOAD=os.environ["MASKWATCH_FAILING_CONVERSION"], FAIL_HEIGHT="176")
        output, errors = process.communicate(timeout=60)
        self.assertEqual((process.returncode, errors), (1, "error: door: low.mp4: a picture could not be converted to RGB\n"))
        stats = self.stats()
        self.assertLessEqual(stats["sources"]["door"]["frames"], 20)
        self.assertEqual(stats["sources"]["hall"]["frames"], 300)
        self.assertEqual(stats["ended_by"], "door: low.mp4: a picture could not be converted to RGB")

    def test_one_that_is_away_does_not_end_the_others(self):
        with socket.socket() as none:  # bound, but nobody listens
            none.bind(("127.0.0.1", 0))
            process = self.start("--headless", "-s", "here=one.mp4", "-s", f"away=http://127.0.0.1:{none.getsockname()[1]}/x", "--loop", "--events", "here.jsonl")
            self.assertIn("note: away: ", process.stderr.readline())
            self.assertTrue(mqtt_broker.wait_until(lambda: os.path.exists(self.at("here.jsonl")) and lines(self.at("here.jsonl")), 20))
            process.send_signal(signal.SIGTERM)
            self.assertEqual((process.wait(timeout=15), process.stderr.read()), (0, ""))
        self.assertEqual(self.stats()["sources"]["away"]["frames"], 0)

    def test_topics_and_pages_of_each(self):
        if not mqtt_broker.is_there():
            self.skipTest("SKIPPED, NOT TESTED: mosquitto is not there")
        broker = mqtt_broker.Broker(self.folder)
        self.addCleanup(broker.end)
        watcher = mqtt_broker.Subscriber(broker.port)
        self.addCleanup(watcher.end)
        process = self.start("--headless", "--live", "--loop", *self.named, "--mqtt", f"mqtt://127.0.0.1:{broker.port}/house", "--serve", "0")
        url = process.stderr.readline().split()[-1]
        for scene in SCENES:
            for topic in ("state", "events", "snapshot"):
                self.assertTrue(mqtt_broker.wait_until(lambda of=f"house/{scene}_1/{topic}": watcher.of(of), 20), topic)
            self.assertEqual({event["source"] for event in watcher.jsons(f"house/{scene}_1/events")}, {scene + "_1"})
        devices = {json.loads(payload)["device"]["name"] for _, topic, _, payload in watcher.messages if topic.endswith("/config")}
        self.assertEqual(devices, {f"Maskwatch {scene}_1" for scene in SCENES})
        with urllib.request.urlopen(url + "state") as answer:
            state = json.load(answer)
        self.assertEqual(set(state["sources"]), {scene + "_1" for scene in SCENES})
        with urllib.request.urlopen(url + "metrics") as answer:
            metrics = answer.read().decode()
        for scene in SCENES:
            self.assertIn(f'maskwatch_source_up{{source="{scene}_1"}} 1\n', metrics)
        with urllib.request.urlopen(url + "snapshot.jpg") as answer:
            self.assertEqual(answer.read(2), b"\xff\xd8")
        process.send_signal(signal.SIGTERM)
        self.assertEqual((process.wait(timeout=15), process.stderr.read()), (0, ""))
        self.assertTrue(mqtt_broker.wait_until(lambda: watcher.texts("house/availability")[-1:] == ["offline"], 5))

    def test_a_wall_in_a_window(self):
        if not all(map(shutil.which, ("Xvfb", "xdotool", "identify"))):
            self.skipTest("SKIPPED, NOT TESTED: Xvfb, xdotool and ImageMagick are not there")
        with virtual_display.display() as environment:
            process = self.start(*self.named, "--loop", "--events", "wall.jsonl", DISPLAY=environment["DISPLAY"])
            self.assertTrue(mqtt_broker.wait_until(lambda: os.path.exists(self.at("wall.jsonl")) and len({event["source"] for event in lines(self.at("wall.jsonl"))}) == 3, 20))
            for key in ("plus", "h", "h", "space", "s", "space", "r"):
                subprocess.run(["xdotool", "key", key], env=environment, check=True)
                time.sleep(0.3)
            self.assertTrue(mqtt_broker.wait_until(lambda: [name for name in os.listdir(self.folder) if name.startswith("screenshot-") and name.endswith(".png")], 10))
            subprocess.run(["xdotool", "key", "q"], env=environment, check=True)
            self.assertEqual((process.wait(timeout=15), process.stderr.read()), (0, ""))
        (shot,) = [name for name in os.listdir(self.folder) if name.startswith("screenshot-")]
        size = subprocess.run(["identify", "-format", "%wx%h %k", self.at(shot)], capture_output=True, text=True, check=True).stdout.split()
        self.assertEqual(size[0], "1280x720")
        self.assertGreater(int(size[1]), 1000)  # colours: there are pictures on it

    def test_the_service_takes_a_source_with_spaces(self):
        """Its command line, taken apart as systemd.service(5) says: ${NAME} is one word, $NAME is split at spaces."""
        with open(SERVICE) as file:
            command = next(line for line in file if line.startswith("ExecStart=")).split()[1:]

        def words_of(**variables):
            split = [[variables[w[2:-1]]] if w.startswith("${") else variables[w[1:]].split() if w.startswith("$") else [w] for w in command]
            return [word for part in split for word in part]

        shutil.copy(self.clip, self.at("a clip.mp4"))
        options = "--face haar --detect-every 3 --events events.jsonl"
        for source, code, told in (("a clip.mp4", 0, ""), ("", 2, "error: --source: its value is empty")):
            done = subprocess.run([DETECT, *words_of(SOURCE=source, OPTIONS=options)], capture_output=True, text=True, timeout=60, cwd=self.folder, env=WITHOUT_DISPLAY)
            self.assertEqual((done.returncode, done.stderr[: len(told) or None].strip()), (code, told), done.stderr)
        self.assertTrue(lines(self.at("events.jsonl")))

    def test_bad_input(self):
        for part, *arguments in (("missing.mp4", "-s", "one.mp4", "-s", "missing.mp4"), ("two are called a", "-s", "a=one.mp4", "-s", "a=mask.mp4"),
                                 ("no recording of several sources", "-s", "one.mp4", "-s", "mask.mp4", "--record", "x.mp4"),
                                 ("the same file as the source", "-s", "one.mp4", "-s", "mask.mp4", "--events", "mask.mp4")):  # fmt: skip
            with self.subTest(part):
                done = self.run_program(*arguments, code=2)
                self.assertEqual((done.stderr.count("\n"), done.stderr[:7], part in done.stderr), (1, "error: ", True), done.stderr)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
