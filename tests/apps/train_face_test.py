"""train_face_detector and evaluate_face_detector as a user runs them: same bytes for any number of threads and after
kill -9 and --resume, what they write, and one clear line for bad input.
Usage: train_face_test.py TRAIN_FACE_DETECTOR EVALUATE_FACE_DETECTOR"""

import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest

from drawn_boxes import drawn, write_pictures

TRAIN, EVALUATE = (os.path.abspath(path) for path in sys.argv[1:3])
SHIPPED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "data", "models", "mask_detector.safetensors")
RECIPE = ["--scratch", "--width", "0.35", "--size", "64", "--batch-size", "4", "--steps", "9", "--stretch", "3", "--validation", "0.25"]


class Training(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp()
        cls.data = os.path.join(cls.folder, "data")
        write_pictures(cls.data, 24)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder)

    def at(self, name):
        return os.path.join(self.folder, name)

    def arguments(self, name, *more):
        return [TRAIN, "-d", self.data, "-m", self.at(name + ".safetensors"), "--history", self.at(name + ".json"), *RECIPE, *more]

    def train(self, name, *more):
        done = subprocess.run(self.arguments(name, *more), capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def model(self, name):
        with open(self.at(name + ".safetensors"), "rb") as file:
            return file.read()

    def test_same_bytes_for_any_number_of_threads(self):
        for threads in (1, 2, 3):
            self.train(f"threads{threads}", "--threads", str(threads))
        self.assertEqual(self.model("threads1"), self.model("threads2"))
        self.assertEqual(self.model("threads1"), self.model("threads3"))
        self.train("seed", "--seed", "43")
        self.assertNotEqual(self.model("threads1"), self.model("seed"))

    def test_same_bytes_after_kill_and_resume(self):
        self.train("whole")
        process = subprocess.Popen(self.arguments("cut"), stdout=subprocess.PIPE, text=True)
        for line in process.stdout:
            if line.startswith("Step 3/"):
                break
        # The checkpoint follows the line.
        deadline = time.monotonic() + 60
        while not os.path.exists(self.at("cut.safetensors.checkpoint")) and time.monotonic() < deadline:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        self.assertIn("going on after step ", self.train("cut", "--resume"))
        self.assertEqual(self.model("whole"), self.model("cut"))
        self.assertFalse(os.path.exists(self.at("cut.safetensors.checkpoint")))

    def test_what_they_write(self):
        pictures = [self.at(name) for name in ("curves.png", "precision.png", "misses.jpg", "false.png", "preview.png")]
        said = self.train("outputs", "--plot", pictures[0], "--precision-plot", pictures[1], "--misses", pictures[2], "--false-alarms", pictures[3])
        self.assertIn("AP50:95", said)
        subprocess.run([TRAIN, "-d", self.data, "--preview", pictures[4]], check=True, capture_output=True)
        for picture in pictures:
            self.assertGreater(os.path.getsize(picture), 1000)
        with open(self.at("outputs.json")) as file:
            history = json.load(file)
        self.assertEqual([stretch["step"] for stretch in history["stretches"]], [3, 6, 9])
        self.assertTrue(history["validation_files"])
        done = subprocess.run(self.arguments("tuned")[:7] + ["--fine-tune", self.at("outputs.safetensors"), "--size", "64", "--steps", "2", "--batch-size", "2", "--freeze", "18"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotEqual(self.model("tuned"), self.model("outputs"))

    def test_a_teacher_and_pictures_without_boxes(self):
        self.train("taught_by")
        photographs = self.at("photographs")
        os.makedirs(os.path.join(photographs, "with_mask"))
        for seed in (101, 102):
            with open(os.path.join(photographs, "with_mask", f"{seed}.png"), "wb") as file:
                file.write(drawn(seed)[0])
        teacher = ["--teacher", self.at("taught_by.safetensors"), "--teacher-score", "0.3"]
        said = self.train("taught", *teacher, "--without-boxes", photographs)
        self.assertIn(", 2 without boxes", said)
        self.assertRegex(said, r"the teacher added \d+ faces and \d+ that are ignored; \d pictures without boxes are not used")
        for arguments, complaint in (
            (["--without-boxes", photographs], "--teacher"),
            (["--teacher", "haar"], "it gives no probabilities"),
            (["--teacher", self.at("none.safetensors")], "none.safetensors"),
        ):
            done = subprocess.run(self.arguments("refused", *arguments), capture_output=True, text=True)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn(complaint, done.stderr)

    def test_evaluation_with_a_classifier_heeds_what_its_file_says_that_classes_mean(self):
        with open(SHIPPED, "rb") as shipped:
            (length,) = struct.unpack("<Q", shipped.read(8))
            header, tensors = json.loads(shipped.read(length)), shipped.read()
        names = dict(zip(json.loads(header["__metadata__"]["labels"]), "pqrs"))
        header["__metadata__"]["labels"] = json.dumps(list(names.values()))
        text = json.dumps(header).encode()
        with open(self.at("odd_names.safetensors"), "wb") as file:
            file.write(struct.pack("<Q", len(text)) + text + tensors)
        labels = []
        for model in (SHIPPED, self.at("odd_names.safetensors")):
            done = subprocess.run([EVALUATE, "-d", self.data, "--face", "none", "-m", model, "--write-found", self.at("meant.json")], capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stderr)
            with open(self.at("meant.json")) as file:
                labels.append([face["label"] for entry in json.load(file) for face in entry["found"]])
        self.assertTrue(labels[0])
        self.assertEqual(*labels)

    def test_evaluation_of_faces_found_elsewhere(self):
        data = shutil.copytree(self.data, self.at("one_without_annotation"))
        os.remove(os.path.join(data, "5.xml"))
        found = [{"file": "3.png", "found": [{"box": [1, 1, 10, 10], "score": 0.9, "label": "with_mask"}]}, {"file": "5.png", "found": []}]
        with open(self.at("found.json"), "w") as file:
            json.dump(found, file)
        done = subprocess.run([EVALUATE, "-d", data, "--found", self.at("found.json"), "--json", "--write-found", self.at("again.json"), "--plot", self.at("curve.png")], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        figures = json.loads(done.stdout)
        self.assertEqual(figures["pictures"], 23)
        self.assertEqual(figures["backgrounds"], 6)
        with open(self.at("again.json")) as file:
            again = json.load(file)
        self.assertEqual([entry for entry in again if entry["found"]][0]["file"], "3.png")

    def test_names_that_are_no_utf8_are_found_again(self):
        odd = os.fsencode(self.at("odd"))
        shutil.copytree(os.fsencode(self.data), odd)
        for name in (b"1", b"2"):
            for extension in (b".png", b".xml"):
                os.rename(os.path.join(odd, name + extension), os.path.join(odd, b"\xff" + name + extension))
        history, found = self.at("odd.json"), self.at("odd_found.json")
        evaluate = [EVALUATE, "-d", odd, "--json"]
        done = subprocess.run([*evaluate, "--face", "none", "-m", SHIPPED, "--write-found", found], capture_output=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        with open(found) as file:
            self.assertIn("\ufffd1.png", [entry["file"] for entry in json.load(file)])
        with open(history, "w") as file:
            json.dump({"validation_files": ["\ufffd1.png", "3.png"]}, file)
        done = subprocess.run([*evaluate, "--found", found, "--history", history], capture_output=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        figures = json.loads(done.stdout)
        self.assertEqual((figures["pictures"], figures["found"]), (2, 2))
        for extension in (b".png", b".xml"):
            os.rename(os.path.join(odd, b"\xff2" + extension), os.path.join(odd, b"\xfe1" + extension))
        done = subprocess.run([*evaluate, "--found", found, "--history", history], capture_output=True)
        self.assertEqual(done.returncode, 2)
        self.assertRegex(done.stderr, rb"\Aerror: .* have the same .*\n\Z")

    def test_broken_files_are_named_and_skipped(self):
        broken = self.at("broken")
        shutil.copytree(self.data, broken)
        path = os.path.join(broken, "5.png")
        with open(path, "r+b") as file:
            file.truncate(os.path.getsize(path) // 2)
        os.remove(os.path.join(broken, "6.png"))
        os.remove(os.path.join(broken, "7.xml"))
        open(os.path.join(broken, "9.xml"), "w").close()
        arguments = self.arguments("broken")
        arguments[2] = broken
        done = subprocess.run(arguments, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        for name, reason in (("5.png", ""), ("6.xml", "annotation without picture"), ("7.png", "picture without annotation"), ("9.xml", "empty file")):
            self.assertRegex(done.stdout, f"skipped .*{name}.*{reason}")
        self.assertIn("5 files skipped", done.stdout)

    def test_bad_input_is_one_line_and_exit_code_2(self):
        os.mkdir(self.at("empty"))
        with open(self.at("garbage.safetensors"), "wb") as file:
            file.write(struct.pack("<Q", 1 << 60) + b"{}")
        open(self.at("zero.json"), "w").close()
        other = self.at("other")
        shutil.copytree(self.data, other)
        with open(os.path.join(other, "3.xml")) as file:
            text = file.read()
        with open(os.path.join(other, "3.xml"), "w") as file:
            file.write(text.replace("without_mask", "helmet").replace("with_mask", "helmet"))
        tail = ["-m", self.at("never.safetensors"), "--history", self.at("never.json")]
        good = ["-d", self.data, *tail]
        cases = {
            "missing data set": (["-d", self.at("nowhere"), *tail, "--scratch"], "nowhere"),
            "empty data set": (["-d", self.at("empty"), *tail, "--scratch"], "empty"),
            "empty file": (["-d", self.at("zero.json"), *tail, "--scratch"], "zero.json"),
            "unknown class": (["-d", other, *tail, "--scratch"], "'helmet'"),
            "rule without a meaning": ([*good, "--scratch", "--classes", "hat=helmet"], "hat"),
            "nothing to begin with": (good, "--scratch"),
            "contradiction": ([*good, "--scratch", "--weights", self.at("garbage.safetensors")], "exclude each other"),
            "missing weights": ([*good, "--weights", self.at("no.safetensors")], "no.safetensors"),
            "hostile weights": ([*good, "--weights", self.at("garbage.safetensors")], "garbage.safetensors"),
            "hostile model": ([*good, "--fine-tune", self.at("garbage.safetensors")], "garbage.safetensors"),
            "no folder for the model": (["-d", self.data, "--scratch", "-m", self.at("no/where.safetensors")], "no/where"),
            "a source that is not there": ([*good, "--scratch", "--leave-out", "mars"], "mars"),
            "a picture of another kind": ([*good, "--scratch", "--plot", self.at("never.gif")], "never.gif"),
            "a picture of the data set": ([*good, "--scratch", "--plot", os.path.join(self.data, "1.png")], "a file of the data set"),
            "boxes of the data set": (["-d", self.data, "-m", self.at("never.safetensors"), "--history", os.path.join(self.data, "1.xml"), "--scratch"], "a file of the data set"),
            "number out of range": ([*good, "--scratch", "--steps", "0"], "steps"),
            "steps and epochs": ([*good, "--scratch", "--steps", "2", "--epochs", "2"], "epochs"),
        }
        for name, (arguments, expected) in cases.items():
            with self.subTest(name):
                done = subprocess.run([TRAIN, *arguments], capture_output=True, text=True, cwd=self.folder)
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
                self.assertTrue(done.stderr.startswith("error: "), done.stderr)
                self.assertIn(expected, done.stderr)
                self.assertFalse([file for file in os.listdir(self.folder) if file.startswith("never")])

    def found_in(self, entries):
        with tempfile.NamedTemporaryFile("w", dir=self.folder, suffix=".json", delete=False) as file:
            json.dump(entries, file)
        return file.name

    def test_bad_input_of_the_evaluation(self):
        twin = self.at("twin")
        shutil.copytree(self.data, twin)
        with open(self.at("nothing_found.json"), "w") as file:
            file.write("[]")
        found = ["--found", self.at("nothing_found.json")]
        entry = lambda **fields: {"file": "1.png", "found": [{"box": [1, 2, 3, 4], "score": 0.5} | fields]}
        odd = {
            "[0].found[0].box has a width or height below 0": [entry(box=[1, 2, -3, 4])],
            "[0].found[0].score is not from 0 to 1": [entry(score=1.5)],
            "[0].found[0].score is not from": [entry(score=-0.1)],
            "[1].file is named by an entry before it": [entry(), entry()],
            "its boxes are shares of the pictures' sides, not pixels": [entry(box=[0.1, 0.2, 0.5, 0.5])],
        }
        with open(self.at("part.json"), "w") as file:
            json.dump({"validation_files": ["1.png", "zz.png"]}, file)
        with open(self.at("part_found.json"), "w") as file:
            json.dump([{"file": "1.png", "found": []}, {"file": "zz.png", "found": []}], file)
        cases = {
            "a picture of another kind": (["--plot", self.at("never.gif")], "never.gif"),
            "a picture of the data set": ([*found, "--plot", os.path.join(self.data, "2.png")], "a file of the data set"),
            "boxes of the data set": ([*found, "--write-found", os.path.join(self.data, "2.xml")], "a file of the data set"),
            "the detector": (["-f", self.at("twin/2.xml"), "--write-found", self.at("twin/2.xml")], "the detector"),
            "faces found elsewhere and a classifier": ([*found, "-m", self.at("any.safetensors")], "--model"),
            "faces found elsewhere and a score": ([*found, "--least-score", "0.2"], "--least-score"),
            "a score of the whole picture": (["--face", "none", "--least-score", "0.2"], "--least-score is not for --face none"),
            "two thresholds that contradict each other": (["-c", "0.1", "--least-score", "0.2"], "--least-score"),
            "a list of pictures that are not there": (["--history", self.at("part.json")], "1 of 2 pictures that it names are not in the data set: zz.png"),
            "faces found in pictures that are not there": (["--found", self.at("part_found.json")], "1 of 2 pictures that it names are not in the data set: zz.png"),
            **{f"faces found: {expected}": (["--found", self.found_in(entries)], expected) for expected, entries in odd.items()},
            "names that do not tell pictures apart": (["-d", twin, *found], "have the same"),
        }
        for name, (arguments, expected) in cases.items():
            with self.subTest(name):
                done = subprocess.run([EVALUATE, "-d", self.data, *arguments], capture_output=True, text=True, cwd=self.folder)
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertTrue(done.stderr.startswith("error: "), done.stderr)
                self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
                self.assertIn(expected, done.stderr)
        with open(os.path.join(self.data, "2.png"), "rb") as file:
            self.assertEqual(file.read(), drawn(2)[0])

    def test_fine_tuning_at_another_size(self):
        self.train("small")
        done = subprocess.run(self.arguments("larger")[:7] + ["--fine-tune", self.at("small.safetensors"), "--size", "96", "--steps", "1", "--batch-size", "2"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        for name, size in (("small", "64"), ("larger", "96")):
            model = self.model(name)
            header = json.loads(model[8 : 8 + struct.unpack("<Q", model[:8])[0]])
            self.assertEqual(header["__metadata__"]["input_size"], size)

    def test_resume_refuses_another_recipe(self):
        process = subprocess.Popen(self.arguments("recipe")[:-6] + ["--steps", "1000", "--stretch", "2"], stdout=subprocess.PIPE, text=True)
        for line in process.stdout:
            if line.startswith("Step 4/"):
                break
        process.kill()
        process.wait()
        process.stdout.close()
        done = subprocess.run(self.arguments("recipe", "--resume"), capture_output=True, text=True)
        self.assertEqual(done.returncode, 2)
        self.assertIn("other options", done.stderr)
        self.assertIn("steps 1000 then, steps 9 now", done.stderr)
        done = subprocess.run(self.arguments("recipe"), capture_output=True, text=True)
        self.assertEqual(done.returncode, 2)
        for part in ("recipe.safetensors.checkpoint", "--resume", "--overwrite"):
            self.assertIn(part, done.stderr)
        self.assertIn("Step 9/9", self.train("recipe", "--overwrite"))
        self.assertEqual(sorted(name for name in os.listdir(self.folder) if name.startswith("recipe")), ["recipe.json", "recipe.safetensors"])


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
