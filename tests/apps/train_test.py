"""train_mask_detector as a user runs it: same bytes for any number of threads and after kill -9 and --resume, and one
clear line for bad input. Usage: train_test.py TRAIN_MASK_DETECTOR DRAW_FACES"""

import json
import os
import random
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest

TRAIN, DRAW = (os.path.abspath(path) for path in sys.argv[1:3])
SHIPPED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "data", "models", "mask_detector.safetensors")
RECIPE = ["--scratch", "--width", "0.35", "--size", "48", "--batch-size", "8"]


class Training(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp()
        cls.faces = os.path.join(cls.folder, "faces")
        subprocess.run([DRAW, "-o", cls.faces, "-n", "48", "--size", "64", "--seed", "7"], check=True, capture_output=True)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder)

    def arguments(self, name, *more):
        at = lambda file: os.path.join(self.folder, name + file)
        return [TRAIN, "-d", self.faces, "-m", at(".safetensors"), "-p", at(".png"), "--history", at(".json"), *RECIPE, *(more if "--epochs" in more else ("--epochs", "3", *more))]

    def train(self, name, *more):
        done = subprocess.run(self.arguments(name, *more), capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def model(self, name):
        with open(os.path.join(self.folder, name + ".safetensors"), "rb") as file:
            return file.read()

    def test_same_bytes_for_any_number_of_threads(self):
        for threads in (1, 2, 3):
            self.train(f"threads{threads}", "--threads", str(threads))
        self.assertEqual(self.model("threads1"), self.model("threads2"))
        self.assertEqual(self.model("threads1"), self.model("threads3"))
        self.train("seed", "--seed", "43")
        self.assertNotEqual(self.model("threads1"), self.model("seed"))

    def test_augmentation_in_another_light(self):
        for threads in (1, 2):
            self.train(f"light{threads}", "--augment", "light", "--epochs", "1", "--threads", str(threads))
        self.assertEqual(self.model("light1"), self.model("light2"))
        self.train("strong", "--augment", "strong", "--epochs", "1")
        self.assertNotEqual(self.model("light1"), self.model("strong"))

    def test_same_bytes_within_a_memory_budget(self):
        peak = lambda said: int(said.split("peak memory of tensors ")[1].split()[0])
        kept = peak(self.train("kept"))
        said = self.train("tight", "--memory-budget", "1")
        self.assertRegex(said, r"[1-9][0-9]* of 19 stages are computed twice")
        self.assertLess(peak(said), kept)
        self.assertEqual(self.model("kept"), self.model("tight"))

    def test_a_teacher_is_learned_from(self):
        self.train("alone")
        self.train("teacher", "--seed", "5")
        teacher = ("--teacher", os.path.join(self.folder, "teacher.safetensors"))
        for threads in (1, 2):
            self.train(f"taught{threads}", *teacher, "--threads", str(threads))
        self.assertEqual(self.model("taught1"), self.model("taught2"))
        self.assertNotEqual(self.model("taught1"), self.model("alone"))
        self.assertRegex(self.metadata("taught1")["recipe"], "teacher [0-9a-f]{16} 0.7")
        self.cut_off("untaught")
        self.assertIn("teacher", self.refuse("untaught", "--epochs", "1000", "--resume", *teacher))

    def test_same_bytes_after_kill_and_resume(self):
        self.train("whole")
        started = time.monotonic()
        self.train("timed")
        whole = time.monotonic() - started
        moments = random.Random(1)
        killed = 0
        for attempt in range(6):
            process = subprocess.Popen(self.arguments("cut", "--resume"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                process.wait(timeout=whole * moments.uniform(0.2, 0.9))
                break
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.wait()
                killed += 1
        self.assertGreater(killed, 0)
        self.train("cut", "--resume")
        self.assertEqual(self.model("whole"), self.model("cut"))
        self.assertEqual(sorted(name for name in os.listdir(self.folder) if name.startswith("cut")), ["cut.json", "cut.png", "cut.safetensors"])

    def test_what_it_writes(self):
        output = self.train("outputs")
        self.assertIn("precision    recall  f1-score   support", output)
        with open(os.path.join(self.folder, "outputs.json")) as file:
            history = json.load(file)
        self.assertEqual(len(history["epochs"]), 3)
        self.assertTrue(history["validation_files"])
        with open(os.path.join(self.folder, "outputs.png"), "rb") as file:
            self.assertEqual(file.read(8), b"\x89PNG\r\n\x1a\n")
        length = struct.unpack("<Q", self.model("outputs")[:8])[0]
        metadata = json.loads(self.model("outputs")[8 : 8 + length])["__metadata__"]
        self.assertEqual(metadata["architecture"], "mobilenet_v2")
        self.assertEqual(json.loads(metadata["labels"]), ["with_mask", "without_mask"])

    def test_the_plot_is_of_the_kind_that_its_name_says(self):
        arguments = self.arguments("photo", "--epochs", "1")
        arguments[arguments.index("-p") + 1] = os.path.join(self.folder, "photo.jpg")
        subprocess.run(arguments, check=True, capture_output=True)
        with open(os.path.join(self.folder, "photo.jpg"), "rb") as file:
            self.assertEqual(file.read(3), b"\xff\xd8\xff")

    def metadata(self, name):
        length = struct.unpack("<Q", self.model(name)[:8])[0]
        return json.loads(self.model(name)[8 : 8 + length])["__metadata__"]

    def train_on(self, name, dataset, *more):
        arguments = self.arguments(name, "--epochs", "1", *more)
        arguments[2] = dataset
        return subprocess.run(arguments, capture_output=True, text=True)

    def test_what_classes_mean_is_written_or_asked_for(self):
        self.train("usual", "--epochs", "1")
        self.assertEqual(json.loads(self.metadata("usual")["meanings"]), ["mask", "no_mask"])
        odd = os.path.join(self.folder, "odd")
        os.mkdir(odd)
        for source, name in (("with_mask", "A"), ("without_mask", "B")):
            shutil.copytree(os.path.join(self.faces, source), os.path.join(odd, name))
        done = self.train_on("odd", odd)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue(done.stderr.startswith("warning: the class names A, B do not say who wears a mask"), done.stderr)
        self.assertEqual(json.loads(self.metadata("odd")["meanings"]), ["", ""])
        done = self.train_on("odd", odd, "--classes", "mask=A", "no_mask=B")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(json.loads(self.metadata("odd")["meanings"]), ["mask", "no_mask"])
        done = self.train_on("odd", odd, "--classes", "mask=C")
        self.assertEqual(done.returncode, 2)
        self.assertEqual(done.stderr, "error: --classes: 'C' is not a class of the data set: A, B\n")

    def test_classes_of_one_meaning_are_told_of(self):
        note = "note: the classes WithMask, with_mask mean the same (mask), and are trained to be told apart"
        for name, folders in (("twins", ["twins"]), ("two", ["first", "second"])):
            paths = [os.path.join(self.folder, folder) for folder in folders]
            for path, sources in zip((paths[0], paths[-1]), (("with_mask", "without_mask"), ("WithMask",))):
                for source in sources:
                    shutil.copytree(os.path.join(self.faces, source.replace("WithMask", "with_mask")), os.path.join(path, source))
            arguments = self.arguments(name, "--epochs", "1")
            done = subprocess.run([*arguments[:2], *paths, *arguments[3:]], capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
            self.assertTrue(done.stderr.startswith(note), done.stderr)

    def test_a_data_set_that_its_folders_split(self):
        split = os.path.join(self.folder, "split")
        for name in ("with_mask", "without_mask"):
            files = sorted(os.listdir(os.path.join(self.faces, name)))
            for part, chosen in (("Train", files[:8]), ("Validation", files[8:12]), ("Test", files[12:14])):
                folder = os.path.join(split, part, name)
                os.makedirs(folder)
                for file in chosen:
                    shutil.copy(os.path.join(self.faces, name, file), folder)
        done = self.train_on("split", split)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("16 pictures to train on, 8 to validate on", done.stdout)
        self.assertIn("4 pictures of test are left", done.stdout)
        self.assertEqual(json.loads(self.metadata("split")["labels"]), ["with_mask", "without_mask"])
        with open(os.path.join(self.folder, "split.json")) as file:
            validated = json.load(file)["validation_files"]
        self.assertEqual(len(validated), 8)
        self.assertTrue(all(name.startswith("Validation/") for name in validated))
        done = self.train_on("split", split, "--validation", "0.3")
        self.assertEqual(done.returncode, 2)
        self.assertIn("--validation does nothing", done.stderr)

    def test_broken_pictures_are_named_and_skipped(self):
        broken = os.path.join(self.folder, "broken")
        shutil.copytree(self.faces, broken)
        first = sorted(os.listdir(os.path.join(broken, "with_mask")))[0]
        path = os.path.join(broken, "with_mask", first)
        with open(path, "r+b") as file:
            file.truncate(os.path.getsize(path) // 2)
        with open(os.path.join(broken, "with_mask", "notes.txt"), "w") as file:
            file.write("not a picture")
        arguments = self.arguments("broken")
        arguments[2] = broken
        done = subprocess.run(arguments, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(first, done.stdout)
        self.assertIn("notes.txt", done.stdout)
        self.assertIn("2 files skipped", done.stdout)

    def test_bad_input_is_one_line_and_exit_code_2(self):
        at = lambda name: os.path.join(self.folder, name)
        os.mkdir(at("empty"))
        os.makedirs(at("one/with_mask"))
        source = os.path.join(self.faces, "with_mask")
        shutil.copy(os.path.join(source, sorted(os.listdir(source))[0]), at("one/with_mask"))
        with open(at("garbage.safetensors"), "wb") as file:
            file.write(struct.pack("<Q", 1 << 60) + b"{}")
        with open(at("other.safetensors"), "wb") as file:
            header = json.dumps({"__metadata__": {"architecture": "resnet"}}).encode()
            file.write(struct.pack("<Q", len(header)) + header)
        tail = ["-m", at("never.safetensors"), "-p", at("never.png"), "--history", at("never.json")]
        good = ["-d", self.faces, *tail]
        cases = {
            "missing data set": (["-d", at("nowhere"), *tail, "--scratch"], "nowhere"),
            "empty data set": (["-d", at("empty"), *tail, "--scratch"], "empty"),
            "one class": (["-d", at("one"), *tail, "--scratch"], "one"),
            "missing weights": ([*good, "--weights", at("no.safetensors")], "no.safetensors"),
            "weights that would be written over": (["-d", self.faces, "--weights", at("other.safetensors"), "-m", at("other.safetensors")], "the same file as --weights"),
            "hostile weights": ([*good, "--weights", at("garbage.safetensors")], "garbage.safetensors"),
            "another architecture": ([*good, "--weights", at("other.safetensors")], "resnet"),
            "no folder for the model": (["-d", self.faces, "--scratch", "-m", at("no/where.safetensors")], "no/where"),
            "unknown option": ([*good, "--sratch"], "--help"),
            "number out of range": ([*good, "--scratch", "--epochs", "0"], "epochs"),
            "fine-tune": ([*good, "--fine-tune", "most"], "--fine-tune most"),
            "teacher of other classes": ([*good, "--scratch", "--teacher", SHIPPED], "--teacher " + SHIPPED + ": the teacher "),
            "missing teacher": ([*good, "--scratch", "--teacher", at("no.safetensors")], "no.safetensors"),
            "share of no teacher": ([*good, "--scratch", "--teacher-share", "0.5"], "--teacher"),
            "teacher that would be written over": (["-d", self.faces, "--scratch", "--teacher", at("other.safetensors"), "-m", at("other.safetensors")], "the same file as --teacher"),
            "model without a name": ([*good[:2], "--scratch", "-m", "", *tail[2:]], "--model: its value is empty"),
            "plot without a name": ([*good[:4], "--scratch", "--plot=", *tail[4:]], "--plot: its value is empty"),
            "plot of another kind": ([*good[:4], "--scratch", "-p", at("never.bmp"), *tail[4:]], "pictures are written as .png"),
            "contradiction": ([*good, "--scratch", "--weights", at("other.safetensors")], "--scratch"),
        }
        for name, (arguments, expected) in cases.items():
            with self.subTest(name):
                done = subprocess.run([TRAIN, *arguments], capture_output=True, text=True, cwd=self.folder)
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
                self.assertTrue(done.stderr.startswith("error: "), done.stderr)
                self.assertIn(expected, done.stderr)
                self.assertFalse([file for file in os.listdir(self.folder) if file.startswith("never")])

    def cut_off(self, name, *more):
        """A run that is killed after its second epoch; the bytes of its checkpoint."""
        process = subprocess.Popen(self.arguments(name, "--epochs", "1000", *more), stdout=subprocess.PIPE, text=True)
        for line in process.stdout:
            if line.startswith("Epoch 2/"):
                break
        time.sleep(0.05)  # the checkpoint is written behind the line
        process.kill()
        process.wait()
        process.stdout.close()
        with open(os.path.join(self.folder, name + ".safetensors.checkpoint"), "rb") as file:
            return file.read()

    def refuse(self, name, *more):
        done = subprocess.run(self.arguments(name, *more), capture_output=True, text=True)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        return done.stderr

    def test_a_checkpoint_is_not_written_over_unasked(self):
        before = self.cut_off("again")
        fault = self.refuse("again", "--epochs", "1000")
        for part in ("again.safetensors.checkpoint", "--resume", "--overwrite"):
            self.assertIn(part, fault)
        with open(os.path.join(self.folder, "again.safetensors.checkpoint"), "rb") as file:
            self.assertEqual(file.read(), before)
        self.assertIn("--resume", self.refuse("again", "--resume", "--overwrite"))
        self.assertIn("Epoch 1/3", self.train("again", "--overwrite"))
        self.train("whole_again")
        self.assertEqual(self.model("again"), self.model("whole_again"))
        self.assertEqual(sorted(name for name in os.listdir(self.folder) if name.startswith("again")), ["again.json", "again.png", "again.safetensors"])

    def test_resume_says_what_differs(self):
        self.cut_off("recipe")
        fault = self.refuse("recipe", "--resume", "--epochs", "7", "--seed", "43")
        self.assertIn("made with other options or pictures", fault)
        for part in ("epochs 1000 then, epochs 7 now", "seed 42 then, seed 43 now", "the weights that it starts with"):
            self.assertIn(part, fault)
        self.assertNotIn("batch", fault)
        self.assertNotIn("the pictures", fault)

    def test_one_training_at_a_time_on_a_model(self):
        first = subprocess.Popen(self.arguments("shared", "--epochs", "1000"), stdout=subprocess.PIPE, text=True)
        first.stdout.readline()
        for more in ((), ("--resume",), ("--overwrite",)):
            self.assertIn("another training is at work", self.refuse("shared", *more))
        first.kill()
        first.wait()
        first.stdout.close()
        self.train("shared", "--overwrite")

    def test_a_loss_that_is_not_finite_ends_the_training(self):
        self.train("sound", "--epochs", "1")
        bytes = bytearray(self.model("sound"))
        begin = 8 + struct.unpack("<Q", bytes[:8])[0]
        header = json.loads(bytes[8:begin])
        first, end = header["blocks.16.project_bn.gamma"]["data_offsets"]
        bytes[begin + first : begin + end] = struct.pack("<f", 3e38) * ((end - first) // 4)
        weights = os.path.join(self.folder, "huge.safetensors")
        with open(weights, "wb") as file:
            file.write(bytes)
        at = lambda end: os.path.join(self.folder, "diverged" + end)
        done = subprocess.run([TRAIN, "-d", self.faces, "--weights", weights, "-m", at(".safetensors"), "-p", at(".png"), "--history", at(".json"), "--epochs", "2"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 1, done.stderr + done.stdout[-500:])
        self.assertRegex(done.stderr, "^error: .*no longer finite.*--lr")
        self.assertEqual([name for name in os.listdir(self.folder) if name.startswith("diverged")], [])

    def test_a_full_disk_ends_the_checkpoints_not_the_training(self):
        def small_files():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (50000, 50000))

        done = subprocess.run(self.arguments("full"), capture_output=True, text=True, preexec_fn=small_files)
        self.assertIn("Epoch 3/3", done.stdout)
        self.assertEqual(done.stderr.count("note: "), 3, done.stderr)
        self.assertIn("goes on without this checkpoint", done.stderr)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertRegex(done.stderr, "error: .*full.safetensors: cannot write")
        self.assertEqual([name for name in os.listdir(self.folder) if name.startswith("full")], [])


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
