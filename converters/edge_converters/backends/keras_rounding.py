"""A Keras model that computes as its int8 variant will, with gradients that go through the rounding.

Weights: symmetric, by output channel; activations: asymmetric, by tensor (Jacob et al., "Quantization and Training of
Neural Networks for Efficient Integer-Arithmetic-Only Inference", CVPR 2018; Krishnamoorthi, "Quantizing Deep
Convolutional Networks for Efficient Inference", arXiv 1806.08342). Straight-through gradients end where values are cut
off. Ranges are not learnt: they are those of the calibration data, taken anew whenever the model is judged, because the
conversion will take them in the same way.
"""

from __future__ import annotations

from typing import Any, Final

import keras
import numpy as np
import tensorflow as tf

from edge_converters.backends.keras_graph import Trace, shared
from edge_converters.backends.keras_learning import ANSWERED, Pupil
from edge_converters.backends.keras_network import DEPTHWISE
from edge_converters.networks import Array, Kind

READERS: Final = frozenset({Kind.CONV, Kind.DENSE, Kind.ADD, Kind.MUL, Kind.CONCAT, Kind.POOL})
"""What computes with stored numbers; activations and the like are joined to the layer before them."""
WEIGHTED: Final = frozenset({Kind.CONV, Kind.DENSE})
LEVELS: Final = 255


def rounded_weight(weight: Any, axes: tuple[int, ...]) -> Any:
    """Whole multiples, -127 to 127, of a step for each channel; `axes` are those within a channel. Zero stays zero."""
    step = tf.stop_gradient(tf.maximum(tf.reduce_max(tf.abs(weight), axis=axes, keepdims=True), 1e-12) / 127)
    return _rounded(weight / step) * step


def rounded_activation(values: Any, low: Any, high: Any) -> Any:
    """256 values between `low` and `high`, zero among them; what is outside is cut off and gives no gradient."""
    low, high = tf.minimum(low, 0.0), tf.maximum(high, 0.0)
    step = tf.maximum(high - low, 1e-12) / LEVELS
    zero = tf.round(-low / step)
    return (tf.clip_by_value(_rounded(values / step) + zero, 0.0, LEVELS) - zero) * step


def _rounded(values: Any) -> Any:
    return values + tf.stop_gradient(tf.round(values) - values)


class Stored(keras.layers.Layer):  # type: ignore[misc]  # Keras has no types
    """An activation as int8 stores it."""

    def build(self, shape: Any) -> None:
        self.low = self.add_weight(shape=(), initializer="zeros", trainable=False)
        self.high = self.add_weight(shape=(), initializer="zeros", trainable=False)

    def call(self, values: Any) -> Any:
        return rounded_activation(values, tf.convert_to_tensor(self.low), tf.convert_to_tensor(self.high))


class Simulation:
    """The int8 variant of a functional model whose batch normalisation is folded; it shares the model's variables."""

    def __init__(self, model: Any, calibration: Array) -> None:
        self._model, self._calibration = model, calibration
        plain = Trace()
        whole = shared(model, plain.call)
        self._stored = {name: Stored() for step in plain.steps if step.kind in READERS for name in step.inputs} | {
            plain.steps[-1].layer.name: Stored()
        }
        probe = keras.Model(whole.inputs, [plain.tensors[name] for name in self._stored])
        self._ends = tf.function(lambda x: tf.stack([_ends(each) for each in tf.nest.flatten(probe(x))]))
        self._rounded = self._with_stored(plain)
        weighted = [step.layer for step in plain.steps if step.kind in WEIGHTED]
        self._axes = {id(layer.kernel): _within_channel(layer) for layer in weighted}
        self._settle()

    @property
    def pupil(self) -> Pupil:
        """Trained without dropout: only what is rounded moves."""
        return Pupil(self._forward, self._model.trainable_variables, self._model.variables, self._settle)

    def _with_stored(self, plain: Trace) -> Any:
        kinds = {step.layer.name: step.kind for step in plain.steps}
        found = Trace()

        def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
            if kinds[layer.name] not in READERS:
                return found.call(layer, *args, **kwargs)
            return found.call(layer, *(keras.tree.map_structure(store, each) for each in args), **kwargs)

        def store(tensor: Any) -> Any:
            name = found.name(tensor)
            if name not in stored:
                stored[name] = self._stored[name](tensor)
                found.rename(stored[name], name)
            return stored[name]

        stored: dict[str, Any] = {}
        rounded = shared(self._model, call)
        return keras.Model(rounded.inputs, store(found.tensors[plain.steps[-1].layer.name]))

    def _settle(self) -> None:
        """Ranges as the weights are now, over the calibration data, without rounding."""
        parts = np.stack([self._ends(tf.constant(each)) for each in _pieces(self._calibration)])
        lows, highs = parts[:, :, 0].min(axis=0), parts[:, :, 1].max(axis=0)
        for layer, low, high in zip(self._stored.values(), lows, highs, strict=True):
            layer.low.assign(low)
            layer.high.assign(high)

    def _forward(self, x: Any, training: bool) -> Any:
        trainable = [self._weight(variable) for variable in self._rounded.trainable_variables]
        fixed = [variable.value for variable in self._rounded.non_trainable_variables]
        given, _ = self._rounded.stateless_call(trainable, fixed, x, training=False)
        return given

    def _weight(self, variable: Any) -> Any:
        axes = self._axes.get(id(variable))
        return variable.value if axes is None else rounded_weight(variable.value, axes)


def _within_channel(layer: Any) -> tuple[int, ...]:
    """The axes of a kernel that lie within an output channel."""
    return tuple(range(len(layer.kernel.shape) - (2 if type(layer).__name__ in DEPTHWISE else 1)))


def _ends(values: Any) -> Any:
    return tf.stack([tf.reduce_min(values), tf.reduce_max(values)])


def _pieces(x: Array) -> list[Array]:
    return [x[start : start + ANSWERED] for start in range(0, len(x), ANSWERED)]
