"""A finished TFLite file made smaller without a change to what any runtime computes.

Out go the names of inner tensors, notes that no runtime reads, ranges of calibration, and what nothing refers to; equal
buffers and equal vectors are written once. The names of inputs, outputs and signatures stay.
"""

from __future__ import annotations

from typing import Any, Final

from edge_converters.backends import tflite_files

CHANGES_OF_TYPE: Final = frozenset({"QUANTIZE", "DEQUANTIZE"})
"""Operators that a scheme puts between the float file's own."""


def compact(content: tflite_files.Content) -> bytes:
    """The same model in fewer bytes; always the same ones, however often it is done."""
    return tflite_files.pack(compacted(content))


def compacted(content: tflite_files.Content) -> Any:
    """The same, not yet packed."""
    model = tflite_files.unpack(content)
    model.description = None
    model.metadata = [note for note in model.metadata or [] if note.name == tflite_files.RUNTIME_NOTE]
    for graph in model.subgraphs:
        ends = {int(place) for place in (*graph.inputs, *graph.outputs)}
        for place, tensor in enumerate(graph.tensors):
            _strip(tensor, named=place in ends)
    tflite_files.drop_unused(model)
    return model


def with_names_of(base: bytes, variant: bytes) -> bytes:
    """The variant with the names that its float file has for what the same operators give out: to look inside by.

    Raises:
        ValueError: the variant's operators are not the float file's.
    """
    source, model = tflite_files.unpack(base), tflite_files.unpack(variant)
    for ours, theirs in pairs(source, model):
        for place, other in zip(ours.outputs, theirs.outputs, strict=True):
            model.subgraphs[0].tensors[int(other)].name = source.subgraphs[0].tensors[int(place)].name
    return tflite_files.pack(model)


def pairs(base: Any, variant: Any) -> list[tuple[Any, Any]]:
    """Each operator of a float model beside the variant's: they stand in the same order.

    Raises:
        ValueError: they do not.
    """
    found = [
        [(tflite_files.word(model, each), each) for each in model.subgraphs[0].operators] for model in (base, variant)
    ]
    ours, theirs = ([each for each in part if each[0] not in CHANGES_OF_TYPE] for part in found)
    if [name for name, _ in ours] != [name for name, _ in theirs]:
        raise ValueError("the variant was not made from this float file: its operators are others")
    return [(one, other) for (_, one), (_, other) in zip(ours, theirs, strict=True)]


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
