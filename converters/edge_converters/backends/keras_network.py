"""A Keras model with one input and one output as a network that passes edit, and an edited network as a Keras model.

Layers have their names in both. What the vocabulary has no word for is carried along as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import keras
import numpy as np

from edge_converters.channel_axes import find_channel_axes
from edge_converters.errors import NotConvertible
from edge_converters.networks import Array, Fused, Kind, Layer, Network, Run, Shape

KINDS: Final[Mapping[str, Kind]] = {
    "Conv1D": Kind.CONV,
    "Conv2D": Kind.CONV,
    "DepthwiseConv1D": Kind.CONV,
    "DepthwiseConv2D": Kind.CONV,
    "Dense": Kind.DENSE,
    "BatchNormalization": Kind.BATCH_NORM,
    "Add": Kind.ADD,
    "Multiply": Kind.MUL,
    "Activation": Kind.ACTIVATION,
    "ReLU": Kind.ACTIVATION,
    "LeakyReLU": Kind.ACTIVATION,
    "ELU": Kind.ACTIVATION,
    "Dropout": Kind.ACTIVATION,
    "SpatialDropout1D": Kind.ACTIVATION,
    "SpatialDropout2D": Kind.ACTIVATION,
    "GaussianNoise": Kind.ACTIVATION,
    "Identity": Kind.ACTIVATION,
    "AveragePooling1D": Kind.POOL,
    "AveragePooling2D": Kind.POOL,
    "MaxPooling1D": Kind.POOL,
    "MaxPooling2D": Kind.POOL,
    "GlobalAveragePooling1D": Kind.POOL,
    "GlobalAveragePooling2D": Kind.POOL,
    "GlobalMaxPooling1D": Kind.POOL,
    "GlobalMaxPooling2D": Kind.POOL,
    "UpSampling1D": Kind.RESIZE,
    "UpSampling2D": Kind.RESIZE,
    "ZeroPadding1D": Kind.PAD,
    "ZeroPadding2D": Kind.PAD,
    "Concatenate": Kind.CONCAT,
    "Flatten": Kind.FLATTEN,
    "Reshape": Kind.RESHAPE,
    "Softmax": Kind.SOFTMAX,
}
"""By the class of a Keras layer."""
FUSED: Final = {"linear": Fused.NONE, "relu": Fused.RELU, "relu6": Fused.RELU6}


DEPTHWISE: Final = frozenset({"DepthwiseConv1D", "DepthwiseConv2D"})
INPUT: Final = ":input"
BARE: Final = ":bare"
"""Ends the name of what a layer gives in front of an activation that is not fused."""


@dataclass(frozen=True)
class Step:
    """A layer (or operation) as it is called in a model."""

    layer: Any
    inputs: tuple[str, ...]
    kind: Kind


@dataclass
class Trace:
    """What a model does when it is called: its layers in order, and the shapes between them, batch 1."""

    steps: list[Step] = field(default_factory=list)
    shapes: dict[str, Shape] = field(default_factory=dict)
    tensors: dict[str, Any] = field(default_factory=dict)
    _names: dict[int, str] = field(default_factory=dict)

    def call(self, layer: Any, *args: Any, **kwargs: Any) -> Any:
        """Calls the layer and notes it down."""
        if layer.name in self.shapes:
            raise _not_trained(f"the layer {layer.name!r} is used more than once")
        inputs = tuple(self.name(each) for each in tensors_of((args, kwargs)))
        result = layer(*args, **kwargs)
        if len(tensors_of(result)) != 1 or isinstance(layer, keras.Model):
            what = "is a model of its own" if isinstance(layer, keras.Model) else "has several outputs"
            raise _not_trained(f"the layer {layer.name!r} {what}")
        self._note(layer.name, result)
        self.steps.append(Step(layer, inputs, _kind(layer, [self.shapes[each] for each in inputs])))
        return result

    def name(self, tensor: Any) -> str:
        """Of the layer that gave the tensor; `INPUT` if none did."""
        if id(tensor) not in self._names:
            self._note(INPUT, tensor)
        return self._names[id(tensor)]

    def rename(self, tensor: Any, name: str) -> None:
        """The tensor, which must outlive this, counts as what the layer `name` gives."""
        self._names[id(tensor)] = name

    def _note(self, name: str, tensor: Any) -> None:
        self._names[id(tensor)], self.tensors[name], self.shapes[name] = name, tensor, (1, *tensor.shape[1:])


def tensors_of(values: Any) -> list[Any]:
    """The symbolic tensors among nested values."""
    return [each for each in keras.tree.flatten(values) if isinstance(each, keras.KerasTensor)]


def functional(model: Any) -> Any:
    """The same layers as a functional model of one input and one output; models within it are taken apart.

    Raises:
        NotConvertible: it has no graph of layers, several inputs or outputs, or a layer that is used twice.
    """
    if not isinstance(model, keras.Sequential) and type(model).__name__ != "Functional":
        raise _not_trained(f"the model is a {type(model).__name__}, which computes by code of its own")
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise _not_trained(f"the model has {len(model.inputs)} inputs and {len(model.outputs)} outputs")
    try:
        flat = shared(keras.Model(model.inputs[0], model.outputs[0], name=model.name), _taken_apart)
    except ValueError as error:
        raise _not_trained(f"the models within the model cannot be taken apart ({error})") from error
    trace(flat)
    return flat


def _taken_apart(layer: Any, *args: Any, **kwargs: Any) -> Any:
    """The layer's result; of a model, its layers' on the same tensor."""
    if not isinstance(layer, keras.Model):
        return layer(*args, **kwargs)
    results = []

    def call(inner: Any, *args: Any, **kwargs: Any) -> Any:
        results.append(_taken_apart(inner, *args, **kwargs))
        return results[-1]

    whole = keras.Model(layer.inputs[0], layer.outputs[0], name=layer.name)
    keras.models.clone_model(whole, args[0], clone_function=lambda inner: inner, call_function=call)
    return results[-1]


def trace(model: Any) -> Trace:
    """The model's layers in order.

    Raises:
        NotConvertible: a layer is used twice, has several outputs, or is a model of its own.
    """
    found = Trace()
    shared(model, found.call)
    return found


def shared(model: Any, call: Callable[..., Any]) -> Any:
    """A model of the same layers and variables, in which `call` calls each layer."""
    return keras.models.clone_model(model, clone_function=lambda layer: layer, call_function=call)


def read(model: Any) -> Network:
    """The network of a functional model. Batch is 1, channels are last."""
    traced = trace(model)
    layers = tuple(each for step in traced.steps for each in _read(step))
    shapes = traced.shapes | {
        name: traced.shapes[name.removesuffix(BARE)] for layer in layers for name in layer.outputs
    }
    axes = find_channel_axes(layers, shapes, conv_axis=-1)
    return Network(layers, (INPUT,), (traced.steps[-1].layer.name,), shapes, axes)


def write(model: Any, network: Network) -> Any:
    """A new model: the layers of `model` with the constants of `network`, as wide as these.

    A layer that `network` lacks gives its input, a bias that `network` has is there.
    """
    edited = {layer.name: layer for layer in network.layers}

    def made(layer: Any) -> Any:
        if not isinstance(layer, keras.Layer):
            return layer
        if layer.name not in edited:
            return keras.layers.Identity(name=layer.name)
        size = _SIZES.get(type(layer).__name__)
        return type(layer).from_config(layer.get_config() | (size(edited[layer.name]) if size else {}))

    result = keras.models.clone_model(model, clone_function=made, call_function=call)
    for layer in result.layers:
        like = edited.get(layer.name)
        if like is not None and like.kind in _STORED and like.constants:
            layer.set_weights(_STORED[like.kind](layer, like))
        elif like is not None and layer.weights:
            layer.set_weights(model.get_layer(layer.name).get_weights())
    return result


def runner(model: Any) -> Run:
    """Runs networks of `model` that passes have edited; it knows every tensor between its layers."""

    def run(network: Network, names: Sequence[str], samples: Array) -> dict[str, Array]:
        traced = Trace()
        whole = shared(write(model, network), traced.call)
        probe = keras.Model(whole.inputs, [traced.tensors[name] for name in names])
        given: list[Array] = keras.tree.flatten(probe.predict_on_batch(samples))
        return dict(zip(names, given, strict=True))

    return run


def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
    """The layer's result. One that took the place of another does not know that one's options."""
    return layer(args[0]) if isinstance(layer, keras.layers.Identity) else layer(*args, **kwargs)


def _read(step: Step) -> list[Layer]:
    """One layer; two if it ends with an activation that is no rectifier."""
    layer, name, word = step.layer, step.layer.name, _word(step.layer)
    if step.kind is Kind.BATCH_NORM:
        numbers = {"epsilon": float(layer.epsilon)}
        return [Layer(name, step.kind, word, step.inputs, (name,), _statistics(layer), numbers=numbers)]
    if step.kind not in {Kind.CONV, Kind.DENSE}:
        return [Layer(name, step.kind, word, step.inputs, (name,))]
    constants = {"weight": _neutral(layer)} | ({"bias": np.array(layer.bias)} if layer.use_bias else {})
    groups = len(constants["weight"]) // layer.depth_multiplier if word in DEPTHWISE else getattr(layer, "groups", 1)
    function = _activation(layer)
    if function in FUSED:
        return [Layer(name, step.kind, word, step.inputs, (name,), constants, FUSED[function], groups)]
    bent = Kind.SOFTMAX if function == "softmax" else Kind.ACTIVATION
    return [
        Layer(name, step.kind, word, step.inputs, (name + BARE,), constants, groups=groups),
        Layer(f"{name}:{function}", bent, function, (name + BARE,), (name,)),
    ]


def _kind(layer: Any, shapes: list[Shape]) -> Kind:
    """What a layer with inputs of these shapes computes."""
    kind = KINDS.get(type(layer).__name__, Kind.OTHER)
    last = {-1, len(shapes[0]) - 1} if shapes else set()
    if getattr(layer, "data_format", "channels_last") != "channels_last":
        return Kind.OTHER
    if kind in {Kind.BATCH_NORM, Kind.CONCAT} and layer.axis not in last:
        return Kind.OTHER
    if kind in {Kind.ADD, Kind.MUL} and len(shapes) != 2:
        return Kind.OTHER
    return Kind.SOFTMAX if kind is Kind.ACTIVATION and _activation(layer) == "softmax" else kind


def _word(layer: Any) -> str:
    """The operator: Keras's name for it, but for a plain rectifier, which is one whatever layer it comes in."""
    plain = isinstance(layer, keras.layers.ReLU) and layer.max_value is None and not layer.negative_slope
    rectifies = isinstance(layer, keras.layers.Activation) and _activation(layer) == "relu"
    return "Relu" if rectifies or (plain and not layer.threshold) else type(layer).__name__


def _activation(layer: Any) -> str:
    return getattr(getattr(layer, "activation", None), "__name__", "linear")


def _neutral(layer: Any) -> Array:
    """The weight as networks have it: [out, in / groups, *kernel], of a dense layer [out, in]."""
    kernel = np.array(layer.kernel)
    if type(layer).__name__ in DEPTHWISE:
        places = kernel.shape[:-2]
        return np.moveaxis(kernel.reshape(*places, -1), -1, 0)[:, None]
    return np.moveaxis(kernel, (-1, -2), (0, 1))


def _kernel(layer: Any, weight: Array) -> Array:
    """The inverse of `_neutral`."""
    if type(layer).__name__ in DEPTHWISE:
        return np.moveaxis(weight[:, 0], 0, -1).reshape(layer.kernel.shape)
    return np.moveaxis(weight, (0, 1), (-1, -2))


def _statistics(layer: Any) -> dict[str, Array]:
    mean, variance = np.array(layer.moving_mean), np.array(layer.moving_variance)
    scale = np.array(layer.gamma) if layer.scale else np.ones_like(mean)
    offset = np.array(layer.beta) if layer.center else np.zeros_like(mean)
    return {"scale": scale, "offset": offset, "mean": mean, "variance": variance}


def _filters(layer: Layer) -> dict[str, Any]:
    return {"filters": len(layer.weight), "use_bias": "bias" in layer.constants}


def _units(layer: Layer) -> dict[str, Any]:
    return {"units": len(layer.weight), "use_bias": "bias" in layer.constants}


def _bias_alone(layer: Layer) -> dict[str, Any]:
    return {"use_bias": "bias" in layer.constants}


_SIZES: Final[Mapping[str, Callable[[Layer], dict[str, Any]]]] = {
    "Conv1D": _filters,
    "Conv2D": _filters,
    "Dense": _units,
    **dict.fromkeys(DEPTHWISE, _bias_alone),
}
"""What of a layer's configuration follows from its constants."""


def _stored_weights(layer: Any, like: Layer) -> list[Array]:
    return [_kernel(layer, like.weight), *([like.bias] if "bias" in like.constants else [])]


def _stored_statistics(layer: Any, like: Layer) -> list[Array]:
    values = like.constants
    scale, offset = [values["scale"]] * bool(layer.scale), [values["offset"]] * bool(layer.center)
    return [*scale, *offset, values["mean"], values["variance"]]


_STORED: Final[Mapping[Kind, Callable[[Any, Layer], list[Array]]]] = {
    Kind.CONV: _stored_weights,
    Kind.DENSE: _stored_weights,
    Kind.BATCH_NORM: _stored_statistics,
}


def _not_trained(what: str) -> NotConvertible:
    return NotConvertible(
        f"{what}: such a model is not trained here",
        "Build it of layers with one output, each used once, from one input to one output; or train it yourself first.",
    )
