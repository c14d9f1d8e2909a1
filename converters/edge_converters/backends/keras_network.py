"""A Keras model with one input and one output as a network that passes edit, and an edited network as a Keras model.

Layers have their names in both. What the vocabulary has no word for is carried along as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import keras
import numpy as np

from edge_converters.backends.keras_graph import INPUT, Step, Trace, activation_of, call, shared, trace
from edge_converters.channel_axes import settle
from edge_converters.networks import Array, Fused, Kind, Layer, Network, Run

FUSED: Final = {"linear": Fused.NONE, "relu": Fused.RELU, "relu6": Fused.RELU6}
DEPTHWISE: Final = frozenset({"DepthwiseConv1D", "DepthwiseConv2D"})
BARE: Final = ":bare"
"""Ends the name of what a layer gives in front of an activation that is not fused."""


def read(model: Any) -> Network:
    """The network of a functional model. Batch is 1, channels are last."""
    traced = trace(model)
    layers = tuple(each for step in traced.steps for each in _read(step))
    shapes = traced.shapes | {
        name: traced.shapes[name.removesuffix(BARE)] for layer in layers for name in layer.outputs
    }
    layers, axes = settle(layers, shapes, conv_axis=-1)
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
    function = activation_of(layer)
    if function in FUSED:
        return [Layer(name, step.kind, word, step.inputs, (name,), constants, FUSED[function], groups)]
    bent = Kind.SOFTMAX if function == "softmax" else Kind.ACTIVATION
    return [
        Layer(name, step.kind, word, step.inputs, (name + BARE,), constants, groups=groups),
        Layer(f"{name}:{function}", bent, function, (name + BARE,), (name,)),
    ]


def _word(layer: Any) -> str:
    """The operator: Keras's name for it, but for a plain rectifier, which is one whatever layer it comes in."""
    plain = isinstance(layer, keras.layers.ReLU) and layer.max_value is None and not layer.negative_slope
    rectifies = isinstance(layer, keras.layers.Activation) and activation_of(layer) == "relu"
    return "Relu" if rectifies or (plain and not layer.threshold) else type(layer).__name__


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
