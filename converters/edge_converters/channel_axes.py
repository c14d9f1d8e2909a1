"""Along which axis each tensor's channels lie: known at convolutions and dense layers, carried by what is between."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

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
            if layer.kind in {Kind.CONV, Kind.BATCH_NORM}:
                axes[tensor] = conv_axis % len(shapes[tensor])
            elif layer.kind in {Kind.DENSE, Kind.FLATTEN} and (tensor in layer.outputs or layer.kind is Kind.DENSE):
                axes[tensor] = len(shapes[tensor]) - 1
    before = -1
    while len(axes) != before:
        before = len(axes)
        for layer in layers:
            for tensor, axis in _carried(layer, axes, shapes):
                axes.setdefault(tensor, axis)
    return axes


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
