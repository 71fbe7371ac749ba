#!/usr/bin/env python3
"""Bad input to data/convert_weights.py and data/fetch.sh: one line, exit code 2, nothing written."""

import json
import os
import random
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import numpy  # noqa: E402
import samples  # noqa: E402

CONVERTER = os.path.join(samples.ROOT, "data", "convert_weights.py")
FETCH = os.path.join(samples.ROOT, "data", "fetch.sh")
MANIFEST = "ssd_mobilenetv1_model-weights_manifest.json"


def published(name):
    return os.path.join(samples.PUBLISHED, name)


class BadInputTest(samples.FolderTest):
    def path(self, name, content=None):
        path = super().path(name)
        if content is not None:
            with open(path, "wb") as file:
                file.write(content)
        return path

    def refusal(self, source, options, target, environment):
        """(exit code, errors): in this process, or in one of its own where the environment differs."""
        command_line = [source, target or self.path("out.safetensors"), *options]
        if not environment:
            return samples.run_converter(*command_line)
        done = subprocess.run(
            [sys.executable, CONVERTER, *command_line],
            capture_output=True, text=True, env={**os.environ, **environment},
        )  # fmt: skip
        return done.returncode, done.stderr

    def assert_refused(self, source, *hints, options=(), target=None, **environment):
        before = set(os.listdir(self.folder))
        code, errors = self.refusal(source, options, target, environment)
        self.assertEqual(code, 2, errors)
        lines = errors.splitlines()
        self.assertEqual(len(lines), 1, errors)
        self.assertTrue(lines[0].startswith("error: "), errors)
        self.assertTrue(lines[0].isprintable(), ascii(errors))
        for hint in hints:
            self.assertIn(hint, lines[0])
        self.assertEqual(set(os.listdir(self.folder)), before)
        return lines[0]


class AnyInput(BadInputTest):
    def test_missing_and_unknown_files(self):
        self.assert_refused(self.path("none.h5"), "none.h5", "no such file")
        self.assert_refused(self.path("a.xyz", b"x"), "a.xyz", "unknown kind", ".tflite")
        self.assert_refused(self.folder, "Const_90.npy")

    def test_no_format_accepts_noise(self):
        noise = random.Random(1)
        for ending in ("h5", "pth", "onnx", "tflite", "json"):
            for size in (0, 1, 7, 8, 100, 5000):
                content = bytes(noise.randrange(256) for _ in range(size))
                source = self.path("noise." + ending, content)
                self.assert_refused(source, "noise." + ending)
        self.assert_refused(self.path("x.tflite", b"\0\0\0\0TFL3" + b"\xff" * 50), "x.tflite")

    def test_pickle_that_runs_code_is_refused(self):
        import pickle

        class Harmful:
            def __reduce__(self):
                return os.mkdir, (os.path.join(folder, "harm"),)

        folder = self.folder
        self.assert_refused(self.path("a.pth", pickle.dumps(Harmful(), 2)), "a.pth", "plain tensors")

    def test_a_whole_module_is_refused_by_what_it_holds(self):
        import torch

        torch.save(torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3)), self.path("whole.pth"))
        self.assert_refused(self.path("whole.pth"), "torch.nn.modules.container.Sequential", "model.state_dict()")

    def test_what_a_terminal_would_obey_is_written_out(self):
        name = "a\x1b[1m\u202e\u009b.h5"
        self.assert_refused(self.path(name, b"x"), "a\\x1b[1m\\u{202e}\\u{009b}.h5: ")
        self.assert_refused(self.path("a\udcff.h5"), "a\\xff.h5: no such file")
        self.assert_refused(self.path(name), "\\x07", options=["--input-size", "\x07"])

    def test_missing_library_is_named_with_the_command(self):
        stub = self.path("stub")
        os.mkdir(stub)
        for library, ending in (("h5py", "h5"), ("torch", "pth"), ("onnx", "onnx"), ("tflite", "tflite")):
            with open(os.path.join(stub, library + ".py"), "w", encoding="utf-8") as file:
                file.write("raise ImportError('not here')")
            source = self.path("a." + ending, b"x" * 4 + (b"TFL3" if ending == "tflite" else b"none"))
            self.assert_refused(source, f"pip install {library}", PYTHONPATH=stub)

    def test_bad_usage(self):
        for options in (["--input-size", "7"], ["--padding", "odd"], ["--no-such"]):
            code, errors = samples.run_converter(self.path("a.h5"), self.path("b"), *options)
            self.assertEqual(code, 2)
            self.assertIn("error:", errors)
        self.assertEqual(subprocess.run([sys.executable, CONVERTER], capture_output=True).returncode, 2)


@unittest.skipUnless(os.path.isdir(samples.PUBLISHED), "../shared/published is missing")
class PublishedInput(BadInputTest):
    def folder_copy(self):
        copy = self.path("copy")
        shutil.copytree(published("mobilenet_v2_1.0_224_tflite_float"), copy)
        os.chmod(copy, 0o755)
        return copy

    def replace(self, path, array):
        os.unlink(path)
        numpy.save(path, array)

    def test_folder_without_a_tensor(self):
        copy = self.folder_copy()
        os.unlink(os.path.join(copy, "Const_119.npy"))
        self.assert_refused(copy, "Const_119.npy", "missing")

    def test_folder_with_a_wrong_shape(self):
        copy = self.folder_copy()
        path = os.path.join(copy, "Const_99.npy")
        self.replace(path, numpy.zeros((1, 3, 3, 95), "f4"))
        self.assert_refused(copy, "blocks.1.depthwise.weight", "Const_99.npy", "[3, 3, 95]", "[3, 3, 96]")
        self.replace(path, numpy.zeros((3, 96), "f4"))
        self.assert_refused(copy, "Const_99.npy", "2 axes")
        self.replace(path, numpy.full((1, 3, 3, 96), numpy.nan, "f4"))
        self.assert_refused(copy, "blocks.1.depthwise.weight", "NaN")

    def test_folder_with_a_header_of_absurd_size(self):
        copy = self.folder_copy()
        path = os.path.join(copy, "Const_99.npy")
        self.replace(path, numpy.zeros((1, 3, 3, 96), "f4"))
        with open(path, "r+b") as file:
            content = file.read().replace(b"(1, 3, 3, 96)", b"(9999999, 96)")
            file.seek(0)
            file.write(content)
        self.assert_refused(copy, "Const_99.npy")

    def test_truncated_files(self):
        names = ["keras_mobilenet_v2_0.35_224_head.h5", "version-RFB-320.onnx", "version-RFB-320.pth",
                 "mobilenet_v2_1.0_224_quant.tflite", "face_api/" + MANIFEST]  # fmt: skip
        for name in names:
            with open(published(name), "rb") as file:
                content = file.read()
            for share in (0.01, 0.5, 0.98):
                source = self.path("cut" + os.path.splitext(name)[1], content[: int(share * len(content))])
                self.assert_refused(source, os.path.basename(source))

    def test_weights_of_a_manifest(self):
        shutil.copy(published("face_api/" + MANIFEST), self.folder)
        manifest = self.path(MANIFEST)
        self.assert_refused(manifest, "ssd_mobilenetv1_model.bin", "No such file")
        with open(published("face_api/ssd_mobilenetv1_model.bin"), "rb") as file:
            content = file.read()
        self.path("ssd_mobilenetv1_model.bin", content[:-1])
        self.assert_refused(manifest, "Output/extra_dim", "truncated")
        self.path("ssd_mobilenetv1_model.bin", content + b"x")
        self.assert_refused(manifest, "1 bytes more")
        os.chmod(manifest, 0o644)
        with open(manifest, encoding="utf-8") as file:
            groups = json.load(file)
        groups[0]["paths"] = ["../../etc/passwd"]
        with open(manifest, "w", encoding="utf-8") as file:
            json.dump(groups, file)
        self.assert_refused(manifest, "not beside it")

    def test_other_networks(self):
        self.assert_refused(published("yunet_n_320_320.onnx"), "12 outputs; expected one")

    def test_operators_of_another_domain_in_a_detector(self):
        """In the network, and where boxes are decoded."""
        import onnx

        model = onnx.load(published("version-RFB-320.onnx"))
        for kind in ("Conv", "Exp"):
            next(node for node in model.graph.node if node.op_type == kind).domain = "my.ops"
            onnx.save(model, self.path("a.onnx"))
            self.assert_refused(self.path("a.onnx"), f"({kind} of domain 'my.ops') is not known")
            model = onnx.load(published("version-RFB-320.onnx"))

    def test_options_that_do_not_apply(self):
        labels = self.path("labels.txt", b"one\ntwo\n")
        quantised = published("mobilenet_v2_1.0_224_quant.tflite")
        self.assert_refused(quantised, "2 labels for 1001 classes", options=["--labels", labels])
        self.assert_refused(quantised, "gone.txt", options=["--labels", self.path("gone.txt")])
        folder = published("mobilenet_v2_1.0_224_tflite_float")
        self.assert_refused(folder, "no classifier", options=["--labels", labels])
        self.assert_refused(folder, "no classifier", options=["--classes", "mask=A"])
        keras = published("keras_mobilenet_v2_0.35_224_head.h5")
        for rule, hint in (("mask", "not of the form"), ("mask=", "not of the form"), ("hat=A", "'hat' is not a meaning"),
                           ("mask=C", "'C' is not a class of the model: class 0, class 1")):
            self.assert_refused(keras, "--classes", hint, options=["--classes", rule])
        self.assert_refused(keras, "two meanings", options=["--classes", "mask=A", "no_mask=A"])
        self.assert_refused(published("version-RFB-320.onnx"), "--padding", options=["--padding", "tf"])

    def test_target_that_cannot_be_written(self):
        source = published("version-RFB-320.onnx")
        self.assert_refused(source, "cannot be written", target=self.path("none/out.safetensors"))
        os.mkdir(self.path("folder"))
        self.assert_refused(source, "folder", target=self.path("folder"))
        copy = self.path("a.onnx")
        shutil.copyfile(source, copy)
        self.assert_refused(copy, "another DST", target=copy)
        if os.path.exists("/dev/full"):
            self.assert_refused(source, "cannot be written", target="/dev/full/out.safetensors")

    def test_a_failure_leaves_the_old_file(self):
        target = self.path("out.safetensors", b"old")
        self.assert_refused(published("yunet_n_320_320.onnx"), target=target)
        with open(target, "rb") as file:
            self.assertEqual(file.read(), b"old")

    def test_what_the_user_states_wins(self):
        from safetensors import safe_open

        target = self.path("out.safetensors")
        code, errors = samples.run_converter(
            published("keras_mobilenet_v2_0.35_224_head.h5"), target, "--padding", "symmetric",
            "--preprocessing", "imagenet", "--input-size", "96", "--no-classifier",
        )  # fmt: skip
        self.assertEqual(code, 0, errors)
        with safe_open(target, "numpy") as file:
            metadata, names = file.metadata(), set(file.keys())
        stated = {k: metadata[k] for k in ("padding", "preprocessing", "input_size", "head")}
        self.assertEqual(stated, {"padding": "symmetric", "preprocessing": "imagenet",
                                  "input_size": "96", "head": "none"})  # fmt: skip
        self.assertFalse({n for n in names if n.startswith("head.")})


class Fetch(BadInputTest):
    def fetch(self, *arguments, **environment):
        return subprocess.run(
            ["bash", FETCH, *arguments], capture_output=True, text=True, cwd=self.folder,
            env={**os.environ, **environment}, timeout=60,
        )  # fmt: skip

    def test_help_and_list(self):
        done = self.fetch("--help")
        self.assertEqual(done.returncode, 0)
        self.assertIn("--list", done.stdout)
        done = self.fetch("--list")
        self.assertEqual(done.returncode, 0)
        for name in ("keras-0.35-224", "torchvision", "tflite-float", "mask1376"):
            self.assertIn(name, done.stdout)

    def test_unknown_name(self):
        done = self.fetch("no-such-thing")
        self.assertEqual(done.returncode, 2)
        self.assertIn("no-such-thing", done.stderr)
        self.assertEqual(len(done.stderr.splitlines()), 1)

    def test_no_network_is_one_clear_line(self):
        """A proxy on a closed port stands for the missing network, wherever the test runs."""
        closed = "http://127.0.0.1:9"
        done = self.fetch("torchvision", "--to", self.path("w"), https_proxy=closed, http_proxy=closed,
                          HTTPS_PROXY=closed, ALL_PROXY=closed, NO_PROXY="", no_proxy="")  # fmt: skip
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
        self.assertIn("error: ", done.stderr)
        self.assertIn("mobilenet_v2-b0353104.pth", done.stderr)
        self.assertIn("network", done.stderr)
        self.assertEqual([n for n in os.listdir(self.path("w")) if not n.endswith(".part")], [])

    def test_resumes_and_checks_the_sum(self):
        import hashlib

        content = bytes(range(256)) * 64
        source = self.path("origin.bin", content)
        table = self.path("table.txt")
        target = self.path("w")

        def fetch(checksum):
            with open(table, "w", encoding="utf-8") as file:
                file.write(f"thing thing.bin {checksum} file://{source}\n")
            return self.fetch("thing", "--to", target, "--table", table)

        os.mkdir(target)
        part = os.path.join(target, "thing.bin.part")
        with open(part, "wb") as file:
            file.write(content[:1000])
        done = fetch("0" * 64)
        self.assertEqual(done.returncode, 2)
        self.assertIn("SHA-256", done.stderr)
        self.assertEqual(os.listdir(target), [])
        with open(part, "wb") as file:
            file.write(content[:1000])
        done = fetch(hashlib.sha256(content).hexdigest())
        self.assertEqual(done.returncode, 0, done.stderr)
        with open(os.path.join(target, "thing.bin"), "rb") as file:
            self.assertEqual(file.read(), content)
        self.assertEqual(os.listdir(target), ["thing.bin"])
        os.unlink(source)
        self.assertEqual(fetch(hashlib.sha256(content).hexdigest()).returncode, 0)  # already there
        self.assertEqual(fetch("1" * 64).returncode, 2)  # there, but not the right one


if __name__ == "__main__":
    unittest.main(verbosity=2)
