"""A Keras model as a graph of layers that are called one after the other: looked at, taken apart, called otherwise.

Only models with one input, one output and layers that are used once; others are refused by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import keras

from edge_converters.errors import NotConvertible
from edge_converters.networks import Kind, Shape

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
INPUT: Final = ":input"


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
        self.steps.append(Step(layer, inputs, kind_of(layer, [self.shapes[each] for each in inputs])))
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


def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
    """The layer's result. One that took the place of another does not know that one's options."""
    return layer(args[0]) if isinstance(layer, keras.layers.Identity) else layer(*args, **kwargs)


def kind_of(layer: Any, shapes: list[Shape]) -> Kind:
    """What a layer with inputs of these shapes computes."""
    kind = KINDS.get(type(layer).__name__, Kind.OTHER)
    last = {-1, len(shapes[0]) - 1} if shapes else set()
    if getattr(layer, "data_format", "channels_last") != "channels_last":
        return Kind.OTHER
    if kind in {Kind.BATCH_NORM, Kind.CONCAT} and layer.axis not in last:
        return Kind.OTHER
    if kind in {Kind.ADD, Kind.MUL} and len(shapes) != 2:
        return Kind.OTHER
    return Kind.SOFTMAX if kind is Kind.ACTIVATION and activation_of(layer) == "softmax" else kind


def activation_of(layer: Any) -> str:
    """The name of the function that a layer ends with."""
    return getattr(getattr(layer, "activation", None), "__name__", "linear")


def _not_trained(what: str) -> NotConvertible:
    return NotConvertible(
        f"{what}: such a model is not trained here",
        "Build it of layers with one output, each used once, from one input to one output; or train it yourself first.",
    )
