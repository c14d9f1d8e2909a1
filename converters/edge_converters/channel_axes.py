"""Along which axis each tensor's channels lie: known at convolutions and dense layers, carried by what is between."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from edge_converters.networks import Kind, Layer, Shape

KEEPING = frozenset({
    Kind.BATCH_NORM, Kind.ADD, Kind.MUL, Kind.ACTIVATION, Kind.CLAMP, Kind.POOL, Kind.RESIZE, Kind.PAD, Kind.CONCAT,
})  # fmt: skip
"""Their tensors have their channels all along the same axis."""


def find_channel_axes(layers: Sequence[Layer], shapes: Mapping[str, Shape], conv_axis: int = 1) -> dict[str, int]:
    """Axes of the tensors that have channels. `conv_axis` is where the format's convolutions have them."""
    axes: dict[str, int] = {}
    for layer in layers:
        for tensor in (*layer.inputs[:1], *layer.outputs):
            axis = _meant(layer, tensor, shapes, conv_axis)
            if axis is not None:
                axes.setdefault(tensor, axis)
    before = -1
    while len(axes) != before:
        before = len(axes)
        for layer in layers:
            for tensor, axis in _carried(layer, axes, shapes):
                axes.setdefault(tensor, axis)
    return axes


def settle(
    layers: Sequence[Layer], shapes: Mapping[str, Shape], conv_axis: int = 1
) -> tuple[tuple[Layer, ...], dict[str, int]]:
    """The layers, and the axes as `find_channel_axes` gives them.

    A layer that takes other axes for channels than those around it do is `Kind.OTHER`: a product along the width of
    pictures, or one along time whose result is added to features.
    """
    known = tuple(layers)
    while True:
        axes = find_channel_axes(known, shapes, conv_axis)
        strange = {layer.name for layer in known if not _agrees(layer, axes, shapes, conv_axis)}
        if not strange:
            return known, axes
        known = tuple(replace(layer, kind=Kind.OTHER) if layer.name in strange else layer for layer in known)


def _agrees(layer: Layer, axes: Mapping[str, int], shapes: Mapping[str, Shape], conv_axis: int) -> bool:
    """Whether its tensors have their channels where it takes them from and puts them."""
    meant = [(tensor, _meant(layer, tensor, shapes, conv_axis)) for tensor in (*layer.inputs[:1], *layer.outputs)]
    told = [(tensor, axis) for tensor, axis in meant if axis is not None]
    return all(axes[tensor] == axis for tensor, axis in (*told, *_carried(layer, axes, shapes)))


def _meant(layer: Layer, tensor: str, shapes: Mapping[str, Shape], conv_axis: int) -> int | None:
    """The axis of a tensor's channels if the layer knows it by itself."""
    if layer.kind in {Kind.CONV, Kind.BATCH_NORM}:
        return conv_axis % len(shapes[tensor])
    if layer.kind is Kind.DENSE or (layer.kind is Kind.FLATTEN and tensor in layer.outputs):
        return len(shapes[tensor]) - 1
    return None


def _carried(layer: Layer, axes: Mapping[str, int], shapes: Mapping[str, Shape]) -> Iterator[tuple[str, int]]:
    """Tensors of a layer, with the axis that another of its tensors tells."""
    tensors = [name for name in (*layer.inputs, *layer.outputs) if name in shapes]
    if layer.kind in KEEPING:
        for known in [name for name in tensors if name in axes]:
            yield from ((other, axis) for other in tensors if (axis := _kept(known, other, axes, shapes)) is not None)
    elif layer.kind is Kind.TRANSPOSE and layer.order:
        (entry,), (end,) = layer.inputs, layer.outputs
        if entry in axes:
            yield end, layer.order.index(axes[entry])
        if end in axes:
            yield entry, layer.order[axes[end]]


def _kept(known: str, other: str, axes: Mapping[str, int], shapes: Mapping[str, Shape]) -> int | None:
    """The same axis; where a pool took the plane away, what is left of it: axis 1, or the last."""
    axis, rank = axes[known], len(shapes[other])
    if rank == len(shapes[known]):
        return axis
    return rank - 1 if {rank, len(shapes[known])} & {2} else None
