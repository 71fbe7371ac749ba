"""Keras' description of a model (the JSON of a .h5 or .keras file, of Keras 2 or 3) as steps.

`weights` finds the arrays of a layer: weights(path, layer), path being the names of the models that hold
it and layer its description, gives {variable: array} under Keras' own names.
"""

from . import steps
from .errors import ConvertError, need
from .layouts import from_hwio

# Layers that leave their input as it is when a model only answers.
IDENTITIES = {
    "ActivityRegularization", "AlphaDropout", "Dropout", "GaussianDropout", "GaussianNoise", "Identity",
    "RandomBrightness", "RandomColorDegeneration", "RandomColorJitter", "RandomContrast", "RandomFlip",
    "RandomGrayscale", "RandomHeight", "RandomHue", "RandomPosterization", "RandomRotation", "RandomSaturation",
    "RandomSharpness", "RandomShear", "RandomTranslation", "RandomWidth", "RandomZoom", "SpatialDropout2D",
}  # fmt: skip
MODELS = {"Functional", "Model", "Sequential"}
# What answers otherwise, or by chance, when a call says training=True.
TRAINED = {*MODELS, *IDENTITIES, "BatchNormalization"} - {"ActivityRegularization", "Identity"}
# What the description of each class says in every version of Keras, where it has something to say: one without it is
# of a user's class by the same name. (A .h5 names the module of a class only if the class is registered.)
ALWAYS_SAID = {
    **dict.fromkeys(("AlphaDropout", "Dropout", "GaussianDropout", "SpatialDropout2D"), "rate"),
    **dict.fromkeys((
        "RandomBrightness", "RandomColorDegeneration", "RandomContrast", "RandomGrayscale", "RandomHeight", "RandomHue",
        "RandomPosterization", "RandomRotation", "RandomSaturation", "RandomSharpness", "RandomWidth"), "factor"),
    **dict.fromkeys(("BatchNormalization", "Normalization", "Softmax"), "axis"),
    **dict.fromkeys(("Flatten", "GlobalAveragePooling2D"), "data_format"),
    **dict.fromkeys(("RandomTranslation", "RandomZoom"), "height_factor"),
    "Activation": "activation", "ActivityRegularization": "l1", "AveragePooling2D": "pool_size", "Conv2D": "filters",
    "Dense": "units", "DepthwiseConv2D": "kernel_size", "GaussianNoise": "stddev", "RandomColorJitter": "hue_factor",
    "RandomFlip": "mode", "RandomShear": "x_factor", "ReLU": "max_value", "Rescaling": "scale", "ZeroPadding2D": "padding",
}  # fmt: skip
ARITHMETIC = {
    "truediv": "divide", "divide": "divide", "true_divide": "divide", "multiply": "multiply",
    "mul": "multiply", "subtract": "subtract", "sub": "subtract", "add": "add", "__operators__.add": "add",
    "nn.bias_add": "add",
}  # fmt: skip
OPERANDS = ("x", "y", "bias")  # what functions of TensorFlow take beside their first argument


def layer_name(layer):
    return layer["config"].get("name") or layer.get("name") or layer["class_name"]


def of_keras(layer):
    """Whether the class is Keras' own, and not one of a user's by the same name, as far as the file tells."""
    if "module" in layer:
        return (layer["module"] or "").split(".")[0] in ("keras", "tf_keras", "tensorflow")
    said = ALWAYS_SAID.get(layer["class_name"])
    return said is None or not isinstance(layer["config"], dict) or said in layer["config"]


class Trace:
    """Runs the models of a description on steps."""

    def __init__(self, weights):
        self.weights = weights

    def model(self, node, x, path):
        config = node["config"]
        layers = config if isinstance(config, list) else config.get("layers")
        if not isinstance(layers, list):
            raise ConvertError(f"its model is a class of its own ('{node['class_name']}'), whose layers no file tells")
        if node["class_name"] == "Sequential":
            for layer in layers:
                x = self.layer(layer, [x], {}, path)
            return x
        return Calls(self, config, x, path).result()

    def layer(self, layer, inputs, extra, path):
        """What the layer makes of its inputs, which are steps, or numbers of an operation; `extra` are further
        arguments of the call."""
        kind, config, name = layer["class_name"], layer["config"], layer_name(layer)
        x = next((i for i in inputs if isinstance(i, steps.Step)), None)
        if x is None:
            raise ConvertError(f"layer '{name}' ({kind}) has no input")
        if not of_keras(layer):
            return steps.unknown(x, f"a {kind} that is not Keras' own", name)
        if extra.get("training") and kind in TRAINED:
            return steps.unknown(x, f"{kind} in training mode", name)
        if kind == "InputLayer" or kind in IDENTITIES or x.op == "unknown":
            return x
        if kind in MODELS:
            return self.model(layer, x, (*path, name))
        if kind == "TFOpLambda":
            kind = config.get("function", "").removeprefix("math.")
            if kind not in ARITHMETIC:
                return steps.unknown(x, kind, name)
        if len(inputs) == 2 and kind in ("Add", "Subtract", "Multiply", "Divide", "TrueDivide", *ARITHMETIC):
            return arithmetic(steps_name(kind), inputs, name)
        handler = getattr(self, "on_" + kind.lower(), None)
        if handler is None or len(inputs) != 1:
            return steps.unknown(x, kind, name)
        if config.get("data_format") == "channels_first":
            raise ConvertError(f"layer '{name}' has the channels first")
        try:
            return handler(x, config, self.weights(path, layer), name)
        except KeyError as error:
            raise ConvertError(f"tensor {error} of layer '{name}' ({kind}) is missing") from error

    def on_rescaling(self, x, config, weights, name):
        return steps.affine(x, numbers(config["scale"]), numbers(config.get("offset", 0)), name)

    def on_normalization(self, x, config, weights, name):
        numpy = need("numpy")
        mean, variance = (numbers(weights[k] if config.get(k) is None else config[k]) for k in ("mean", "variance"))
        if mean is None or variance is None:
            return steps.affine(x, variance, mean, name)
        deviation = numpy.maximum(numpy.sqrt(variance), 1e-7)
        scale, offset = 1 / deviation, -mean / deviation
        if config.get("invert"):
            scale, offset = deviation, mean
        return steps.affine(x, scale, offset, name)

    def on_conv2d(self, x, config, weights, name):
        if config.get("groups", 1) != 1:
            return steps.unknown(x, "Conv2D in groups", name)
        return self.convolution(x, weights["kernel"], config, weights, name)

    def on_depthwiseconv2d(self, x, config, weights, name):
        if config.get("depth_multiplier", 1) != 1:
            return steps.unknown(x, "DepthwiseConv2D with a multiplier", name)
        kernel = weights["depthwise_kernel"] if "depthwise_kernel" in weights else weights["kernel"]
        return self.convolution(x, from_hwio(kernel, True, name), config, weights, name)

    def convolution(self, x, kernel, config, weights, name):
        bias = weights["bias"] if config.get("use_bias", True) else None
        if x.shape[:-1] == ():
            return steps.unknown(x, "a convolution of values in a row", name)
        dilations = config.get("dilation_rate", (1, 1))
        x = steps.conv(x, kernel, bias, config["strides"], config["padding"], name, dilations)
        return self.activated(x, config.get("activation"), name)

    def activated(self, x, activation, name):
        """With an activation, which is given by its name, or described as a function or a layer."""
        if x.op == "unknown":
            return x
        if not isinstance(activation, dict):
            return steps.act(x, str(activation or "linear").lower(), name)
        kind, config = activation["class_name"], activation.get("config")
        if not isinstance(config, dict):
            return steps.act(x, str(config or kind).lower(), name)
        handler = {"ReLU": self.on_relu, "Softmax": self.on_softmax}.get(kind)
        if handler is None or not of_keras(activation):
            return steps.unknown(x, kind, name)
        return handler(x, config, {}, name)

    def on_batchnormalization(self, x, config, weights, name):
        axis = config.get("axis", -1)
        axis = axis[0] if isinstance(axis, list) else axis
        if axis not in (-1, len(x.shape)):
            return steps.unknown(x, f"BatchNormalization of axis {axis}", name)
        gamma, beta = (weights[k] if config.get(w, True) else None for k, w in (("gamma", "scale"), ("beta", "center")))
        epsilon = config.get("epsilon", 1e-3)
        return steps.norm(x, gamma, beta, weights["moving_mean"], weights["moving_variance"], epsilon, name)

    def on_relu(self, x, config, weights, name):
        if config.get("negative_slope") or config.get("threshold"):
            return steps.unknown(x, "a leaky ReLU", name)
        return steps.clipped(x, 0, config.get("max_value"), name)

    def on_activation(self, x, config, weights, name):
        return self.activated(x, config.get("activation"), name)

    def on_softmax(self, x, config, weights, name):
        fits = config.get("axis", -1) in (-1, len(x.shape), [-1])
        return steps.act(x, "softmax", name) if fits else steps.unknown(x, "Softmax of another axis", name)

    def on_zeropadding2d(self, x, config, weights, name):
        (top, bottom), (left, right) = config["padding"]
        return steps.pad(x, (top, left, bottom, right), name)

    def on_globalaveragepooling2d(self, x, config, weights, name):
        x = steps.average(x, name=name)
        return x if config.get("keepdims") else steps.flatten(x, name)

    def on_averagepooling2d(self, x, config, weights, name):
        window = config["pool_size"]
        return steps.average(x, window, config.get("strides") or window, config.get("padding", "valid"), name)

    def on_flatten(self, x, config, weights, name):
        return steps.flatten(x, name)

    def on_reshape(self, x, config, weights, name):
        shape = config["newshape"][1:] if "newshape" in config else config["target_shape"]
        return steps.reshape(x, shape, name)

    def on_dense(self, x, config, weights, name):
        bias = weights["bias"] if config.get("use_bias", True) else None
        return self.activated(steps.dense(x, weights["kernel"], bias, name), config.get("activation"), name)


def numbers(value):
    """A number or an array, which Keras 3 may describe as an object; None where it is neither."""
    numpy = need("numpy")
    if isinstance(value, dict) and value.get("class_name") in ("__numpy__", "__tensor__"):
        value = value["config"]["value"]
    try:
        return None if value is None else numpy.asarray(value, numpy.float64)
    except (TypeError, ValueError):
        return None


def steps_name(kind):
    return ARITHMETIC[kind] if kind in ARITHMETIC else {"TrueDivide": "divide"}.get(kind, kind.lower())


def arithmetic(operation, inputs, name):
    """Two steps added, or a step and a number combined."""
    first = isinstance(inputs[0], steps.Step)
    x, other = inputs if first else inputs[::-1]
    if isinstance(other, steps.Step):
        return steps.add(x, other, name) if operation == "add" else steps.unknown(x, operation, name)
    value = numbers(other)
    if value is None:
        return steps.unknown(x, operation, name)
    if operation == "add":
        return steps.affine(x, 1, value, name)
    if operation == "multiply":
        return steps.affine(x, value, 0, name)
    if operation == "subtract":
        return steps.affine(x, 1, -value, name) if first else steps.affine(x, -1, value, name)
    return steps.affine(x, 1 / value, 0, name) if first else steps.unknown(x, "a division by pixels", name)


class Calls:
    """A Functional model: which layer takes what of which other."""

    def __init__(self, trace, config, x, path):
        self.trace, self.path, self.x = trace, path, x
        self.layers = {layer_name(layer): layer for layer in config["layers"]}
        for layer in config["layers"]:
            self.layers[layer.get("name") or layer_name(layer)] = layer
        self.inputs, self.outputs = (endpoints(config[k]) for k in ("input_layers", "output_layers"))
        if len(self.inputs) != 1 or len(self.outputs) != 1:
            raise ConvertError(f"its model has {len(self.inputs)} inputs and {len(self.outputs)} outputs; expected "
                               "one of each")  # fmt: skip
        self.done = {}

    def result(self):
        name, index = self.outputs[0]
        return self.value(name, index)

    def value(self, name, index):
        if name == self.inputs[0][0]:
            return self.x
        if name not in self.layers:
            raise ConvertError(f"its model takes '{name}', which it does not hold")
        layer = self.layers[name]
        nodes = layer.get("inbound_nodes") or []
        if not nodes:
            raise ConvertError(f"layer '{name}' has no input")
        # A model within counts its own making as a call too, in some versions.
        index = min(int(index), len(nodes) - 1)
        if (name, index) not in self.done:
            self.done[name, index] = None
            inputs, extra = arguments(nodes[index])
            if isinstance(nodes[index], dict) and layer["class_name"].startswith("Random"):
                extra.pop("training", None)  # which Keras 3 writes of each of them, and does not heed when it answers
            values = [self.value(*i) if isinstance(i, Reference) else i for i in inputs]
            self.done[name, index] = self.trace.layer(layer, values, extra, self.path)
        if self.done[name, index] is None:
            raise ConvertError(f"layer '{name}' takes its own output")
        return self.done[name, index]


class Reference(tuple):
    """(name of a layer, number of the call)."""


def endpoints(entries):
    if entries and isinstance(entries[0], str):
        entries = [entries]
    return [(entry[0], entry[1]) for entry in entries]


def arguments(node):
    """(inputs, further arguments by name) of a call: Keras 3 writes an object, Keras 2 a list."""
    if isinstance(node, dict):
        inputs = [found for argument in node.get("args", []) for found in references(argument)]
        return inputs, {k: v for k, v in node.get("kwargs", {}).items() if not isinstance(v, dict)}
    if node and isinstance(node[0], str):
        node = [node]
    inputs, extra = [], {}
    for entry in node:
        inputs.append(entry[2] if entry[0] == "_CONSTANT_VALUE" else Reference(entry[:2]))
        if len(entry) > 3 and isinstance(entry[3], dict):
            extra.update(entry[3])
    for operand in (extra.pop(key) for key in OPERANDS if extra.get(key) is not None):
        is_reference = isinstance(operand, list) and operand and isinstance(operand[0], str)
        inputs.append(Reference(operand[:2]) if is_reference else operand)
    return inputs, extra


def references(argument):
    if isinstance(argument, dict) and argument.get("class_name") == "__keras_tensor__":
        history = argument["config"]["keras_history"]
        return [Reference((history[0], history[1]))]
    if isinstance(argument, list):
        return [found for entry in argument for found in references(entry)]
    return [] if argument is None else [argument]


def input_shapes(node):
    """Of maps that a model takes, and then the models in it: [batch, height, width, channels], None where open."""
    config = node["config"]
    own = {} if isinstance(config, list) else config
    parts = config if isinstance(config, list) else config.get("layers") or []
    for shape in (own.get("batch_input_shape"), own.get("batch_shape"), own.get("build_input_shape")):
        if shape and len(shape) == 4:
            yield shape
    for part in parts:
        yield from input_shapes(part)


def picture_of(node):
    """The input of the model, of the size that it or the first model in it with a size has."""
    shapes = list(input_shapes(node))
    if shapes and shapes[0][3] not in (3, None):
        raise ConvertError(f"takes pictures of {shapes[0][3]} channels where RGB has 3")
    sized = [shape[1:3] for shape in shapes if all(shape[1:3]) and shape[3] in (3, None)]
    return steps.pictures(*(sized or [(None, None)])[0])


def trace(node, weights):
    """(last step, picture) of a model's description."""
    if not isinstance(node, dict) or "class_name" not in node or not isinstance(node.get("config"), (dict, list)):
        raise ConvertError("its description is not one of a Keras model")
    if node["class_name"] not in MODELS or not of_keras(node):
        raise ConvertError(f"its model is a class of its own ('{node['class_name']}'), whose layers no file tells; "
                           "make it a Functional or Sequential model and save it again")  # fmt: skip
    picture = picture_of(node)
    return Trace(weights).model(node, picture, ()), picture
