"""Networks built by hand, and a `Run` in plain NumPy: an oracle that shares no code with any engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from edge_converters.networks import Array, Evidence, Fused, Kind, Layer, Network, Window


class Builder:
    """Adds one layer after the other; each method returns the name of the tensor it gives, channels along axis 1."""

    def __init__(self, shape: tuple[int, ...], seed: int = 0) -> None:
        self._rng = np.random.default_rng(seed)
        self._layers: list[Layer] = []
        self._shapes: dict[str, tuple[int, ...]] = {"x": (1, *shape)}

    def conv(
        self,
        source: str,
        out: int,
        kernel: tuple[int, ...] = (3, 3),
        *,
        groups: int = 1,
        strides: tuple[int, ...] | None = None,
        dilations: tuple[int, ...] | None = None,
        fused: Fused = Fused.RELU,
    ) -> str:
        into = self._shapes[source][1] // groups
        ones = (1,) * len(kernel)
        before = tuple((size - 1) // 2 for size in kernel)
        window = Window(strides or ones, dilations or ones, before, tuple(size // 2 for size in kernel))
        return self._add(
            Kind.CONV, "Conv", [source], self._weights((out, into, *kernel)), fused=fused, groups=groups, window=window
        )

    def dense(self, source: str, out: int, fused: Fused = Fused.NONE) -> str:
        return self._add(Kind.DENSE, "Gemm", [source], self._weights((out, self._shapes[source][-1])), fused=fused)

    def add(self, left: str, right: str, fused: Fused = Fused.NONE) -> str:
        return self._add(Kind.ADD, "Add", [left, right], fused=fused)

    def pool(self, source: str) -> str:
        return self._add(Kind.POOL, "GlobalAveragePool", [source])

    def flatten(self, source: str) -> str:
        return self._add(Kind.FLATTEN, "Flatten", [source])

    def softmax(self, source: str) -> str:
        return self._add(Kind.SOFTMAX, "Softmax", [source])

    def network(self, *outputs: str) -> Network:
        axes = dict.fromkeys(self._shapes, 1)
        return Network(tuple(self._layers), ("x",), outputs, dict(self._shapes), axes)

    def _weights(self, shape: tuple[int, ...]) -> dict[str, Array]:
        weight = self._rng.normal(size=shape) / np.sqrt(np.prod(shape[1:]))
        return {"weight": weight.astype(np.float32), "bias": self._rng.normal(size=shape[0]).astype(np.float32) * 0.1}

    def _add(
        self, kind: Kind, operator: str, inputs: Sequence[str], constants: dict[str, Array] | None = None, **rest: Any
    ) -> str:
        name = f"{kind}{len(self._layers)}"
        layer = Layer(name, kind, operator, tuple(inputs), (f"{name}:0",), constants or {}, **rest)
        self._layers.append(layer)
        shape = _compute(layer, [np.zeros(self._shapes[each], np.float32) for each in inputs]).shape
        self._shapes[layer.outputs[0]] = shape
        return layer.outputs[0]


def run(network: Network, names: Sequence[str], samples: Array) -> dict[str, Array]:
    """The named tensors' values for samples [n, ...]."""
    values = {network.inputs[0]: samples}
    for layer in network.layers:
        values[layer.outputs[0]] = _compute(layer, [values[name] for name in layer.inputs])
    return {name: values[name] for name in names}


def evidence(network: Network, count: int = 40, seed: int = 1) -> Evidence:
    """Correlated inputs, as real ones are."""
    rng = np.random.default_rng(seed)
    shape = network.shapes[network.inputs[0]][1:]
    size = int(np.prod(shape))
    mixed = rng.normal(size=(count, size)) @ (np.eye(size) + rng.normal(size=(size, size)) / np.sqrt(size))
    return Evidence(mixed.reshape(count, *shape).astype(np.float32), run)


def _compute(layer: Layer, values: list[Array]) -> Array:
    return FUSED[layer.fused](COMPUTE[layer.kind](layer, values)).astype(np.float32)


def _conv(layer: Layer, values: list[Array]) -> Array:
    """One place after the other, as the definition says."""
    window, (x,) = layer.window, values
    assert window is not None
    padded = np.pad(x, [(0, 0), (0, 0), *zip(window.before, window.after, strict=True)])
    kernel = layer.weight.shape[2:]
    sides = [
        (side - (size - 1) * dilation - 1) // stride + 1
        for side, size, dilation, stride in zip(padded.shape[2:], kernel, window.dilations, window.strides, strict=True)
    ]
    into, out = layer.weight.shape[1], len(layer.weight) // layer.groups
    result = np.zeros((len(x), len(layer.weight), *sides))
    for place in np.ndindex(*kernel):
        spans = tuple(
            slice(at * dilation, at * dilation + (side - 1) * stride + 1, stride)
            for at, dilation, side, stride in zip(place, window.dilations, sides, window.strides, strict=True)
        )
        seen = padded[(slice(None), slice(None), *spans)]
        grouped = seen.reshape(len(x), layer.groups, into, -1)
        weight = layer.weight[(slice(None), slice(None), *place)].reshape(layer.groups, out, into)
        result += (weight[None] @ grouped).reshape(result.shape)
    return result + layer.bias.reshape(-1, *[1] * len(kernel))


def _softmax(layer: Layer, values: list[Array]) -> Array:
    powers = np.exp(values[0] - values[0].max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


COMPUTE: dict[Kind, Callable[[Layer, list[Array]], Array]] = {
    Kind.CONV: _conv,
    Kind.DENSE: lambda layer, values: values[0] @ layer.weight.T + layer.bias,
    Kind.ADD: lambda layer, values: values[0] + values[1],
    Kind.POOL: lambda layer, values: values[0].mean(axis=tuple(range(2, values[0].ndim)), keepdims=True),
    Kind.FLATTEN: lambda layer, values: values[0].reshape(len(values[0]), -1),
    Kind.SOFTMAX: _softmax,
}
FUSED: dict[Fused, Callable[[Array], Array]] = {
    Fused.NONE: np.asarray,
    Fused.RELU: lambda x: np.maximum(x, 0),
    Fused.RELU6: lambda x: np.clip(x, 0, 6),
}


def small_net(seed: int = 0) -> Network:
    """A stem, a depthwise-separable block, a residual block with a strided shortcut, pool, a head of five classes."""
    build = Builder((3, 8, 8), seed)
    stem = build.conv("x", 8)
    wide = build.conv(build.conv(stem, 8, groups=8), 8, (1, 1))
    left = build.conv(build.conv(wide, 12, strides=(2, 2)), 12, fused=Fused.NONE)
    left_sized = build.conv(wide, 12, (1, 1), strides=(2, 2), fused=Fused.NONE)
    both = build.add(left, left_sized, Fused.RELU)
    return build.network(build.softmax(build.dense(build.flatten(build.pool(both)), 5)))
