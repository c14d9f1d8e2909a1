"""A finished TFLite file made smaller without a change to what any runtime computes.

Out go the names of inner tensors, notes that no runtime reads, ranges of calibration, and what nothing refers to; equal
buffers and equal vectors are written once. The names of inputs, outputs and signatures stay.
"""

from __future__ import annotations

from typing import Any

from edge_converters.backends import tflite_files


def compact(content: bytes) -> bytes:
    """The same model in fewer bytes; always the same ones, however often it is done."""
    model = tflite_files.unpack(content)
    model.description = None
    model.metadata = [note for note in model.metadata or [] if note.name == tflite_files.RUNTIME_NOTE]
    for graph in model.subgraphs:
        ends = {int(place) for place in (*graph.inputs, *graph.outputs)}
        for place, tensor in enumerate(graph.tensors):
            _strip(tensor, named=place in ends)
    tflite_files.drop_unused(model)
    return tflite_files.pack(model)


def _strip(tensor: Any, named: bool) -> None:
    if not named:
        tensor.name = ""
    if tensor.shapeSignature is not None and (tensor.shapeSignature == tensor.shape).all():
        tensor.shapeSignature = None
    parameters = tensor.quantization
    if parameters is None:
        return
    parameters.min = parameters.max = None
    if parameters.scale is None and parameters.details is None:
        tensor.quantization = None
