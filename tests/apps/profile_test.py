"""profile_model as a user runs it: figures that add up, of every kind of network, and one clear line for bad input.
Usage: profile_test.py PROFILE_MODEL QUANTIZE_MODEL DRAW_FACES"""

import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

PROFILE, QUANTIZE, DRAW = (os.path.abspath(path) for path in sys.argv[1:4])
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CLASSIFIER, DETECTOR = (os.path.join(ROOT, "data", "models", name + ".safetensors") for name in ("mask_detector", "face_detector"))
PUBLISHED = os.path.join(ROOT, "data", "weights", "rfb_320.safetensors")
QUICK = ["--repeats", "2", "--threads", "1"]


class Profiling(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def run_program(self, *arguments):
        return subprocess.run([PROFILE, *arguments], capture_output=True, text=True)

    def profile(self, *arguments):
        ran = self.run_program(*arguments, *QUICK, "--json")
        self.assertEqual((ran.returncode, ran.stderr), (0, ""))
        return json.loads(ran.stdout)

    def test_the_classifier_that_ships_layer_by_layer(self):
        found = self.profile()
        names = [layer["name"].split()[0] for layer in found["layers"]]
        self.assertEqual(sum(" ".join(layer["name"].split()[:2]) == "int8 inverted_residual" for layer in found["layers"]), 17)
        self.assertEqual(names[-1], "softmax")
        self.assertEqual(found["products"], sum(layer["products"] for layer in found["layers"]))
        # 1.0/128: Keras counts 300 million for 224, which is 3.06 times as many positions.
        self.assertAlmostEqual(found["products"] / 1e6, 300 / 3.06, delta=2)
        # The file holds bytes, and batch norms that are folded into the weights here.
        weights = sum(layer["weight_bytes"] for layer in found["layers"])
        file = os.path.getsize(CLASSIFIER)
        self.assertTrue(0.9 * file < weights < file)
        self.assertTrue(all(layer["us"] > 0 for layer in found["layers"]))
        self.assertGreater(found["ms"], 0)
        # What runs in int8 is compared with the peak of that: no step is beyond it, but for the clock's noise.
        self.assertGreater(found["peak_int8_gops"], found["peak_gflops"])
        for layer in found["layers"]:
            self.assertEqual("of_peak" in layer, layer["products"] > 0)
            self.assertLess(layer.get("of_peak", 0), 1.3, layer)

    def test_unfused_are_the_layers_as_they_were_trained(self):
        fused, unfused = self.profile(), self.profile("--unfused")
        self.assertEqual(sum(layer["name"].startswith("batch_norm ") for layer in unfused["layers"]), 52)
        self.assertEqual(unfused["products"], fused["products"])

    def test_a_detector_at_the_size_that_was_asked_for(self):
        small = self.profile(DETECTOR, "--height", "96", "--width", "128")
        large = self.profile(DETECTOR, "--height", "192", "--width", "256", "--batch", "2")
        self.assertEqual(large["batch"], 2)
        self.assertAlmostEqual(large["products"] / small["products"], 4, delta=0.1)

    def test_a_model_in_int8_as_it_runs(self):
        faces, model = os.path.join(self.folder, "faces"), os.path.join(self.folder, "int8.safetensors")
        subprocess.run([DRAW, "-o", faces, "-n", "8", "--size", "64"], check=True, capture_output=True)
        subprocess.run([QUANTIZE, CLASSIFIER, "-d", faces, "-o", model], check=True, capture_output=True)
        found, before = self.profile(model), self.profile("--float")
        self.assertFalse(any(layer["name"].startswith("int8 ") for layer in before["layers"]))
        self.assertEqual(sum(layer["name"].startswith("int8 ") for layer in found["layers"]), 20)
        self.assertEqual(found["products"], before["products"])
        in_float = os.path.join(self.folder, "float.safetensors")
        with open(model, "rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            header, content = json.loads(file.read(length)), file.read()
        del header["__metadata__"]["quantization"]
        text = json.dumps(header).encode()
        with open(in_float, "wb") as file:
            file.write(struct.pack("<Q", len(text)) + text + content)
        ran = self.run_program(in_float, "--float", *QUICK)
        self.assertEqual(ran.returncode, 0)
        self.assertRegex(ran.stderr, r"\Awarning: --float changes nothing: \S*float\.safetensors runs in float32\n\Z")
        weights = [sum(layer["weight_bytes"] for layer in each["layers"]) for each in (found, before)]
        self.assertEqual(4 * weights[0], weights[1])
        unfused = self.profile(model, "--unfused")
        self.assertFalse(any(layer["name"].startswith("int8 ") for layer in unfused["layers"]))

    def test_the_graph_as_a_drawing(self):
        drawing = os.path.join(self.folder, "graph.dot")
        fused = self.profile("--dot", drawing)
        with open(drawing) as file:
            text = file.read()
        # Each step is a box, and the input is another.
        self.assertEqual(text.count("[label="), len(fused["layers"]) + 1)
        self.assertIn("inverted residual", text)
        self.profile("--unfused", "--dot", drawing)
        with open(drawing) as file:
            self.assertIn("batch norm", file.read())
        if shutil.which("dot"):
            drawn = subprocess.run(["dot", "-Tsvg", drawing], capture_output=True, text=True)
            self.assertEqual((drawn.returncode, drawn.stderr), (0, ""))

    def test_a_converted_network(self):
        if not os.path.exists(PUBLISHED):
            self.skipTest("SKIPPED, NOT TESTED: data/weights is empty")
        self.assertGreater(len(self.profile(PUBLISHED)["layers"]), 20)

    def test_the_table_and_its_picture(self):
        picture = os.path.join(self.folder, "profile.png")
        ran = self.run_program(*QUICK, "-p", picture)
        self.assertEqual((ran.returncode, ran.stderr), (0, ""))
        lines = ran.stdout.splitlines()
        self.assertTrue(lines[0].startswith("layer "))
        self.assertEqual(len(lines), 1 + 21 + 1)
        self.assertIn("ms a picture", lines[-1])
        self.assertIn(" % of ", lines[-1])
        self.assertTrue(all(" % " in line for line in lines[1:-1]))
        with open(picture, "rb") as file:
            self.assertTrue(file.read().startswith(b"\x89PNG"))

    def test_faults(self):
        for arguments, part in (
            (["no-such.safetensors"], "no-such.safetensors"),
            ([__file__], "profile_test.py"),
            (["--batch", "0"], "--batch"),
            (["-p", "profile.txt"], "profile.txt"),
            (["--device", "gpu"], "--device gpu"),
            (["--height", "64"], "--height is for face detectors"),
        ):
            ran = self.run_program(*arguments)
            self.assertEqual(ran.returncode, 2, arguments)
            self.assertIn(part, ran.stderr)
            self.assertEqual(len(ran.stderr.splitlines()), 1)

    def test_a_reader_who_leaves_is_not_an_error(self):
        read, write = os.pipe()
        os.close(read)
        ran = subprocess.run([PROFILE, "--help"], stdout=write, stderr=subprocess.PIPE, text=True)
        os.close(write)
        self.assertEqual((ran.returncode, ran.stderr), (0, ""))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
