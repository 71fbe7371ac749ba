"""The programs under mpirun: the same bytes on 1, 2 and 4 processes as on one, a process that is lost, going on with
another number of them, faults. Usage: ranks_test.py FOLDER_OF_PROGRAMS"""

import json
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest

from drawn_boxes import write_pictures

SKIPPED = 77  # meson's code
PROGRAMS = os.path.abspath(sys.argv[1])
MPIRUN = ["mpirun", "--quiet", "--allow-run-as-root", "--oversubscribe"]
STOPPED = "error: stopped: another process was lost, or the launcher was told to stop (a training goes on with --resume)"
# Each process of an mpirun leaves its number in a file, then becomes the program.
WITH_PID = ["sh", "-c", 'echo $$ >"$0.$OMPI_COMM_WORLD_RANK" && exec "$@"']


def program(name):
    return os.path.join(PROGRAMS, name)


def without_times(text):
    return re.sub(r'\\?"(seconds|pictures_per_second|milliseconds_per_picture)\\?": *[-+.e\d]+|[\d.]+ pictures/s|[\d.]+ ms a picture|[\d.]+ s, [\d:]+ left', "", text)


class Ranks(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp()
        cls.faces, cls.boxes = (os.path.join(cls.folder, name) for name in ("faces", "boxes"))
        subprocess.run([program("draw_faces"), "-o", cls.faces, "-n", "36", "--size", "64", "--seed", "7"], check=True, capture_output=True)
        write_pictures(cls.boxes, 16)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder)

    def at(self, name):
        return os.path.join(self.folder, name)

    def bytes_of(self, name):
        with open(self.at(name), "rb") as file:
            return file.read()

    def run_on(self, ranks, command):
        """ranks 0: without mpirun."""
        return subprocess.run([*(MPIRUN + ["-n", str(ranks)] if ranks else []), *command], capture_output=True, text=True, timeout=120, cwd=self.folder)

    def training(self, trainer, data, name, options, more):
        written = ["-m", name + ".safetensors", "--history", name + ".json", "-p", name + ".png"]
        return [program(trainer), "-d", data, *written, *(part for option, value in {**options, **more}.items() for part in (option, value) if part)]

    def classifier(self, name, *flags, **more):
        options = {"--width": "0.35", "--size": "48", "--batch-size": "8", "--epochs": "3", "--shards": "4", "--scratch": ""}
        return [*self.training("train_mask_detector", self.faces, name, options, more), *flags]

    def head(self, name, *flags, **more):
        options = {"--weights": "backbone.safetensors", "--batch-size": "9", "--epochs": "2", "--shards": "4"}
        return [*self.training("train_mask_detector", self.faces, name, options, more), *flags]

    def detector(self, name, *flags, **more):
        options = {"--size": "64", "--batch-size": "5", "--steps": "6", "--stretch": "3", "--validation": "0.25", "--shards": "4"}
        begin = {} if "--fine-tune" in more else {"--width": "0.35", "--scratch": ""}
        return [*self.training("train_face_detector", self.boxes, name, {**options, **begin}, more), *flags]

    def checkpoint(self, name):
        """Its values, and its metadata without times."""
        data = self.bytes_of(name + ".safetensors.checkpoint")
        length = struct.unpack("<Q", data[:8])[0]
        header = json.loads(data[8 : 8 + length])
        return {key: without_times(value) for key, value in header.pop("__metadata__").items()}, header, data[8 + length :]

    def same_on_any_number(self, numbers, kind, train, **more):
        """Of processes; 0: one without mpirun."""
        expected = None
        for ranks in numbers:
            name = f"{kind}{ranks}"
            done = self.run_on(ranks, train(name, **more))
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            said = without_times(done.stdout).replace(name, "")
            said = re.sub(r"4 shards on \d processes, each of which sends [\d.]+ MiB in a step\n", "", said)
            said = re.sub(r"peak memory of tensors \d+", "", said)
            result = (self.bytes_of(name + ".safetensors"), without_times(self.bytes_of(name + ".json").decode()), said)
            expected = expected or result
            for what, got, wanted in zip(("model", "history", "output"), result, expected):
                self.assertEqual(got, wanted, f"{what} of {ranks} processes")
            self.assertEqual(sorted(file for file in os.listdir(self.folder) if file.startswith(name)), [name + end for end in (".json", ".png", ".safetensors")])

    def test_same_bytes_of_a_classifier(self):
        self.same_on_any_number((0, 1, 2, 4), "classifier", self.classifier)

    def test_same_bytes_of_a_detector(self):
        self.same_on_any_number((0, 1, 2, 4), "detector", self.detector)

    def test_same_bytes_behind_frozen_stages(self):
        self.assertEqual(self.run_on(0, self.classifier("backbone")).returncode, 0)
        self.assertEqual(self.run_on(0, self.detector("begun")).returncode, 0)
        self.same_on_any_number((0, 2), "head", self.head)
        self.same_on_any_number((0, 4), "tuned", self.head, **{"--fine-tune": "2"})
        self.same_on_any_number((0, 2), "retrained", self.detector, **{"--fine-tune": "begun.safetensors", "--freeze": "6"})

    def test_shards_change_the_model(self):
        models = set()
        for shards in ("1", "2"):
            done = self.run_on(0, self.classifier("shards" + shards, **{"--shards": shards, "--epochs": "1"}))
            self.assertEqual(done.returncode, 0, done.stderr)
            models.add(self.bytes_of(f"shards{shards}.safetensors"))
        self.assertEqual(len(models), 2)

    def test_checkpoints_are_the_same_and_go_on_on_another_number(self):
        for kind, train in (("classifier", self.classifier), ("detector", self.detector)):
            whole = f"whole_{kind}"
            self.assertEqual(self.run_on(0, train(whole)).returncode, 0)
            checkpoints = []
            for ranks in (0, 4):
                name = f"cut_{kind}{ranks}"
                os.symlink("/dev/full", self.at(name + ".png"))  # fails when all is trained
                done = self.run_on(ranks, train(name))
                self.assertEqual(done.returncode, 1, done.stderr)
                self.assertRegex(done.stderr, rf"\Aerror: {name}.png: .*\n\Z")
                checkpoints.append(self.checkpoint(name))
                os.remove(self.at(name + ".png"))
                done = self.run_on({0: 2, 4: 1}[ranks], train(name, "--resume"))
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                self.assertIn("going on after ", done.stdout)
                self.assertEqual(self.bytes_of(name + ".safetensors"), self.bytes_of(whole + ".safetensors"))
            self.assertEqual(checkpoints[0], checkpoints[1])

    def test_a_lost_process_ends_the_others(self):
        many = {"--epochs": "12"}
        self.assertEqual(self.run_on(0, self.classifier("whole", **many)).returncode, 0)
        for lost in (2, 0):
            resume = ["--resume"] if lost == 0 else []
            train = self.classifier("lost", *resume, **many)
            process = subprocess.Popen([*MPIRUN, "-n", "4", *WITH_PID, self.at("pid"), *train], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=self.folder)
            try:
                for line in process.stdout:
                    if re.match(r"Epoch \d+/12", line):
                        break
                deadline = time.monotonic() + 30
                while not os.path.exists(self.at("lost.safetensors.checkpoint")) and time.monotonic() < deadline:
                    time.sleep(0.002)
                os.kill(int(self.bytes_of(f"pid.{lost}")), signal.SIGKILL)
                killed = time.monotonic()
                _, errors = process.communicate(timeout=30)
            finally:
                process.kill()
                process.wait()
            self.assertLess(time.monotonic() - killed, 15)
            self.assertNotEqual(process.returncode, 0)
            self.assertEqual([line for line in errors.splitlines() if line.startswith("error: ")], [STOPPED], errors)
            left = sorted(file for file in os.listdir(self.folder) if file.startswith("lost."))
            self.assertLessEqual(set(left), {"lost.safetensors.checkpoint", "lost.safetensors.lock"})
            wait_until_gone([int(self.bytes_of(f"pid.{rank}")) for rank in range(4)])
        done = self.run_on(2, self.classifier("lost", "--resume", **many))
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("going on after epoch ", done.stdout)
        self.assertEqual(self.bytes_of("lost.safetensors"), self.bytes_of("whole.safetensors"))

    def test_faults_are_one_line(self):
        train = self.classifier("never")
        one_shard = self.classifier("never", **{"--shards": "1"})
        by_rank = lambda first, second: ["sh", "-c", f'test $OMPI_COMM_WORLD_RANK = 0 && set -- {first} || set -- {second}; exec "$0" "$@" -m never.safetensors -p never.png --history never.json --scratch --width 0.35 --size 48 --shards 2', train[0]]
        for ranks, command, code, complaint in (
            (3, train, 2, "error: --shards 4: 3 processes cannot share 4 shards evenly (--shards 3, or another multiple of 3"),
            (2, one_shard, 2, "error: --shards 1: 2 processes cannot share one shard evenly (--shards 2"),
            (0, self.classifier("never", **{"--shards": "9"}), 2, "error: --shards 9: more than the pictures of a batch, 8"),
            (2, self.classifier("never", **{"--epochs": "0"}), 2, "error: --epochs"),
            (2, by_rank("-d faces", "-d nowhere"), 2, "error: nowhere: no such folder"),
            (2, by_rank("-d faces", "-d faces --seed 43"), 2, "error: process 1 has other pictures, weights or options than process 0"),
            (0, ["env", "SLURM_STEP_NUM_TASKS=3", *train], 2, "error: started as 3 processes, of which MPI sees 1"),
            (0, ["env", "PMI_SIZE=3", *train], 2, "error: started as 3 processes, of which MPI sees 1"),
            (2, [program("detect_mask_image"), "--show", "faces"], 2, "error: --show needs one process"),
        ):
            done = self.run_on(ranks, command)
            self.assertEqual(done.returncode, code, done.stderr)
            self.assertTrue(done.stderr.startswith(complaint), done.stderr)
            self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
            self.assertEqual([file for file in os.listdir(self.folder) if file.startswith("never") and not file.endswith(".lock")], [])

    def test_pictures_are_shared_out(self):
        mixed = self.at("mixed")
        os.mkdir(mixed)
        for index, name in enumerate(sorted(os.listdir(os.path.join(self.faces, "with_mask")))):
            shutil.copy(os.path.join(self.faces, "with_mask", name), mixed)
            if index == 4:
                os.truncate(os.path.join(mixed, name), 300)
        for name, options, code in (
            ("detect_mask_image", ["mixed", "-o", "out", "--json"], 2),
            ("detect_mask_image", ["mixed", "-o", "out"], 2),
            ("evaluate_mask_detector", ["-d", "faces", "--face", "ours", "--json", "--scores", "scores"], 0),
            ("evaluate_mask_detector", ["-d", "faces"], 0),
            ("evaluate_face_detector", ["-d", "boxes", "--write-found", "found"], 0),
        ):
            expected = None
            for ranks in (0, 3):
                shutil.rmtree(self.at("out"), ignore_errors=True)
                done = self.run_on(ranks, [program(name), *options])
                self.assertEqual(done.returncode, code, done.stderr)
                files = [self.bytes_of(file) for file in ("scores", "found") if os.path.exists(self.at(file))]
                if os.path.exists(self.at("out")):
                    files += [self.bytes_of("out/" + file) for file in sorted(os.listdir(self.at("out")))]
                    self.assertEqual(len(files), len(os.listdir(mixed)) - 1)
                result = (without_times(done.stdout), done.stderr, files)
                expected = expected or result
                self.assertEqual(result, expected, f"{name} on {ranks} processes")
            for file in ("scores", "found"):
                if os.path.exists(self.at(file)):
                    os.remove(self.at(file))


def wait_until_gone(processes):
    deadline = time.monotonic() + 20
    while processes and time.monotonic() < deadline:
        time.sleep(0.05)
        processes = [process for process in processes if os.path.exists(f"/proc/{process}")]
    if processes:
        raise AssertionError(f"still there: {processes}")


def refuses_without_mpi():
    """Of a build that has none: several processes would each do the whole work."""
    done = subprocess.run([program("train_mask_detector"), "-d", "faces"], env={**os.environ, "OMPI_COMM_WORLD_SIZE": "2"}, capture_output=True, text=True)
    return done.returncode == 2 and done.stderr == "error: started as 2 processes, but this build has no MPI (build with libopenmpi-dev and -Dmpi=enabled, or start one process)\n"


if __name__ == "__main__":
    if os.environ.get("MASKWATCH_MPI") == "0":
        if not refuses_without_mpi():
            sys.exit("several processes are not refused")
        print("SKIPPED, NOT TESTED: this build has no MPI", file=sys.stderr)
        sys.exit(SKIPPED)
    if not shutil.which("mpirun"):
        print("SKIPPED, NOT TESTED: mpirun is not there", file=sys.stderr)
        sys.exit(SKIPPED)
    unittest.main(argv=sys.argv[:1] + sys.argv[2:], verbosity=2)
