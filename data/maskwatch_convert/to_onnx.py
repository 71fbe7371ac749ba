"""One of our models as an ONNX model, and whether an ONNX model is one that was made here."""

import json

from . import onnx_mobilenet, onnx_published, onnx_ssd
from .errors import ConvertError, need
from .onnx_builder import CONSTANT, ExportOptions, IR_VERSION, MOST_BATCH, OnnxBuilder, OPSET, SIDES
from .our_file import OurModel

NETWORKS = {
    onnx_mobilenet.ARCHITECTURE: onnx_mobilenet.build,
    onnx_ssd.ARCHITECTURE: onnx_ssd.build,
    **{name: onnx_published.build for name in onnx_published.ARCHITECTURES},
}
PRODUCER = "maskwatch"
EXPORT = "onnx_export"  # key of the metadata: how the file was made, for the way back
VERSION = 1  # of the graphs: another number, once a model makes another graph than it did


def graph_of(model, options):
    """The GraphProto of a model; a ConvertError names what is missing, unknown or does not fit."""
    architecture = model.text("architecture")
    if architecture not in NETWORKS:
        raise ConvertError(f"holds the architecture '{architecture}', which is not known; {', '.join(NETWORKS)} are")
    builder = OnnxBuilder(model, options)
    NETWORKS[architecture](builder)
    return builder.graph(architecture)


def exported(model, options):
    """The ModelProto, checked by ONNX's own rules."""
    onnx = need("onnx")
    opset = [onnx.helper.make_opsetid("", OPSET)]
    made = onnx.helper.make_model(
        graph_of(model, options), producer_name=PRODUCER, opset_imports=opset, ir_version=IR_VERSION
    )
    way = {"version": VERSION, "pixels": options.pixels, "raw": options.raw, "size": options.size, "batch": options.batch,
           "half": options.half, "was_half": model.half}  # fmt: skip
    metadata = {**model.metadata, EXPORT: json.dumps(way, separators=(",", ":"))}
    onnx.helper.set_model_props(made, dict(sorted(metadata.items())))
    try:
        onnx.checker.check_model(made, full_check=True)
    except Exception as fault:  # of the checker or of shape inference
        raise ConvertError(f"makes no valid ONNX model: {fault}") from fault
    return made


def way_of(metadata):
    """(ExportOptions, whether the tensors were float16), or None for a file that was not made here."""
    try:
        way = json.loads(metadata[EXPORT])
        size = tuple(int(side) for side in way["size"]) if way["size"] else None
        batch = int(way["batch"]) if way["batch"] else None
        flags = [bool(way[key]) for key in ("pixels", "raw", "half", "was_half")]
    except (KeyError, TypeError, ValueError):
        return None
    if size and not (len(size) == 2 and SIDES[0] <= min(size) <= max(size) <= SIDES[1]):
        return None
    if batch is not None and not 1 <= batch <= MOST_BATCH:
        return None
    return ExportOptions(flags[0], flags[1], size, batch, flags[2]), flags[3]


def ours_of(name, values):
    """A tensor of ONNX's layout in ours."""
    from .layouts import from_oihw

    if values.ndim != 4:
        return values
    return from_oihw(values, values.shape[1] == 1 and values.shape[2] > 1, name)


def model_of(content, metadata):
    """The OurModel that an exported ONNX model was made of, or None where it was made elsewhere. A ConvertError if
    it was changed since: what it computes must be what the tensors and the metadata say."""
    onnx, numpy = need("onnx"), need("numpy")
    way = way_of(metadata)
    if way is None:
        return None
    options, was_half = way
    version = json.loads(metadata[EXPORT]).get("version")
    if version != VERSION:
        raise ConvertError(f"version {version} of export_onnx.py wrote it, and this is {VERSION}")
    arrays = {t.name: onnx.numpy_helper.to_array(t) for t in content.graph.initializer if not t.name.startswith(CONSTANT)}
    tensors = {name: ours_of(name, values).astype(numpy.float32) for name, values in arrays.items()}
    kept = {key: value for key, value in metadata.items() if key != EXPORT}
    model = OurModel(tensors, kept, was_half or options.half)
    expect_same(graph_of(model, options), content.graph)
    return model


def expect_same(due, found):
    """Two GraphProtos, by what they compute."""
    numpy, to_array = need("numpy"), need("onnx").numpy_helper.to_array
    text = lambda part: part.SerializeToString(deterministic=True)  # noqa: E731
    for i, (a, b) in enumerate(zip(due.node, found.node)):
        if text(a) != text(b):
            raise ConvertError(f"its node {i}, '{b.name or b.op_type}' ({b.op_type}), is not as export_onnx.py wrote it")
    constants = [{t.name: to_array(t) for t in graph.initializer} for graph in (due, found)]
    for name in sorted(set(constants[0]) | set(constants[1])):
        a, b = (values.get(name) for values in constants)
        if a is None or b is None or a.dtype != b.dtype or not numpy.array_equal(a, b):
            raise ConvertError(f"its constant '{name}' is not as export_onnx.py wrote it")
    if len(due.node) != len(found.node):
        raise ConvertError(f"it has {len(found.node)} nodes, of which export_onnx.py wrote {len(due.node)}")
    for what in ("input", "output"):  # sizes that were open may have been fixed since
        a, b = ([(v.name, v.type.tensor_type.elem_type) for v in getattr(graph, what)] for graph in (due, found))
        if a != b:
            raise ConvertError(f"its {what}s are not as export_onnx.py wrote them")
    for a, b in zip(due.input, found.input):
        written, given = ([d.dim_value for d in v.type.tensor_type.shape.dim[1:]] for v in (a, b))
        if len(written) != len(given) or any(m and n and m != n for m, n in zip(written, given)):
            raise ConvertError(f"its input '{b.name}' is of {given}, where export_onnx.py wrote {written}")
