"""The softmax or sigmoid that a model ends with, taken off while it is trained: a loss is exact in front of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import keras

from edge_converters.backends.keras_graph import activation_of, call

HEADS: Final = frozenset({"softmax", "sigmoid"})


@dataclass(frozen=True)
class Head:
    """What was taken off: the function, or none; and the layer as it was."""

    function: str
    layer: Any


def take_off(model: Any) -> tuple[Any, Head]:
    """A copy of a functional model that answers what comes before its last softmax or sigmoid."""
    last = model.operations[-1]
    function = "softmax" if _is_softmax(last) else activation_of(last)
    if function not in HEADS:
        return _copy(model, last.name, _like), Head("", last)
    return _copy(model, last.name, _without), Head(function, last)


def put_on(model: Any, head: Head) -> Any:
    """A copy of `model` that ends with `head` again."""
    if _is_softmax(head.layer):
        return _copy(model, head.layer.name, lambda _: _like(head.layer))
    if not head.function:
        return _copy(model, head.layer.name, _like)
    return _copy(model, head.layer.name, lambda layer: _ending(layer, head.function))


def _copy(model: Any, name: str, last: Callable[[Any], Any]) -> Any:
    def made(layer: Any) -> Any:
        return last(layer) if layer.name == name else _like(layer)

    copy = keras.models.clone_model(model, clone_function=made, call_function=call)
    copy.set_weights(model.get_weights())
    return copy


def _like(layer: Any) -> Any:
    return type(layer).from_config(layer.get_config()) if isinstance(layer, keras.Layer) else layer


def _without(layer: Any) -> Any:
    if _is_softmax(layer):
        return keras.layers.Identity(name=layer.name)
    return _ending(layer, "linear")


def _ending(layer: Any, function: str) -> Any:
    return type(layer).from_config(layer.get_config() | {"activation": function})


def _is_softmax(layer: Any) -> bool:
    """Whether it is the layer or the operation of that name."""
    return type(layer).__name__ == "Softmax"
