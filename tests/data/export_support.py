"""What the tests of data/export_onnx.py share: the exporter, pictures, and files compared."""

import contextlib
import io
import os

import numpy
import samples
from safetensors import safe_open

EXPORTER = os.path.join(samples.ROOT, "data", "export_onnx.py")
SHIPPED = {name: os.path.join(samples.ROOT, "data", "models", f"{name}_detector.safetensors") for name in ("mask", "face")}
TOLERANCE = 1e-5  # of the largest number


def run_exporter(*command_line):
    """(exit code, what it printed, what it printed as an error), in this process."""
    import export_onnx

    output, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(output):
        try:
            code = export_onnx.main(list(command_line))
        except SystemExit as stop:
            code = stop.code
    return code, output.getvalue(), errors.getvalue()


def pictures(width, height, count=3):
    """uint8 [count, height, width, 3]: photographs with faces where ../shared is there, or drawn blots."""
    if os.path.isdir(samples.SHARED):
        names = [name for name, _ in samples.photographs()[:count]]
        return samples.pixels([samples.photograph(name) for name in names], width, height).astype("u1")
    from PIL import Image

    random = numpy.random.default_rng(3)
    blots = random.integers(0, 256, (count, 9, 9, 3)).astype("u1")
    return samples.pixels([Image.fromarray(blot) for blot in blots], width, height).astype("u1")


class ExportTest(samples.FolderTest):
    def export(self, model, *options):
        """The exported file's path."""
        code, output, errors = run_exporter(model, self.path("out.onnx"), *options)
        self.assertEqual((code, errors), (0, ""))
        self.assertTrue(output.startswith(self.path("out.onnx") + ": "), output)
        return self.path("out.onnx")

    def assert_close(self, found, expected, tolerance=TOLERANCE):
        self.assertEqual(found.shape, expected.shape)
        self.assertTrue(numpy.isfinite(found).all() and numpy.isfinite(expected).all())
        self.assertGreater(expected.std(), 0)
        error = abs(found - expected).max() / abs(expected).max()
        print(f"    {self.id().split('.')[-1]}: largest relative error {error:.2e}")
        self.assertLessEqual(error, tolerance)

    def assert_comes_back(self, model, exported):
        code, errors = samples.run_converter(exported, self.path("back.safetensors"))
        self.assertEqual((code, errors), (0, ""))
        (expected, metadata), (found, kept) = contents(model), contents(self.path("back.safetensors"))
        self.assertEqual(kept, metadata)
        self.assertEqual(set(found), set(expected))
        for name, values in expected.items():
            self.assertEqual((found[name].dtype, found[name].shape), (values.dtype, values.shape), name)
            self.assertEqual(found[name].tobytes(), values.tobytes(), name)


def contents(path):
    """({name: array}, metadata), in the file's own types; of one with weights in int8 all in float32."""
    with safe_open(path, "numpy") as file:
        arrays, metadata = {name: file.get_tensor(name) for name in file.keys()}, file.metadata()
    scales = {name: arrays.pop(name) for name in list(arrays) if name.endswith("_scale")}
    if scales:
        arrays = {name: values.astype(numpy.float32) * scales.get(name + "_scale", numpy.float32(1)) for name, values in arrays.items()}
    return arrays, metadata
