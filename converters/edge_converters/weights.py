"""Whether a file's numbers are truly stored as its scheme says: a converter may choose other ones without a word."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from edge_converters.errors import CheckFailed
from edge_converters.files import ModelFile
from edge_converters.making import WeightedLayer
from edge_profiles.schemes import Scheme


@dataclass(frozen=True)
class Storage:
    """How a scheme stores weights, and the activations that go with them: None for floats.

    Weights with fewer elements than `float_below` may stay float32.
    """

    kinds: frozenset[str]
    activations: str | None = None
    float_below: int = 0


_INTEGERS: Final = frozenset({"INT8", "UINT8"})
STORAGE: Final[dict[Scheme, Storage]] = {
    Scheme.FP32: Storage(frozenset({"FP32"})),
    Scheme.FP16: Storage(frozenset({"FP16"})),
    # TensorFlow's converter keeps smaller ones: kMinNumElementsForWeightsQuantization, quantize_weights.cc
    Scheme.DYNAMIC: Storage(_INTEGERS, float_below=1024),
    Scheme.INT8: Storage(_INTEGERS, "INT8"),
    Scheme.INT16X8: Storage(_INTEGERS, "INT16"),
    Scheme.QDQ_U8S8: Storage(_INTEGERS, "UINT8"),
    Scheme.QDQ_S8S8: Storage(_INTEGERS, "INT8"),
    Scheme.QDQ_U16S8: Storage(_INTEGERS, "UINT16"),
}


def check_weights(file: ModelFile, scheme: Scheme, kept: Sequence[WeightedLayer] = ()) -> None:
    """Nothing if the file has no weights or stores them as asked; those of `kept` layers as floats, and only those.

    Raises:
        CheckFailed: none are stored so, or some that should be are not.
    """
    asked = STORAGE[scheme]
    words = " or ".join(sorted(asked.kinds))
    if file.weights and not asked.kinds & set(file.weights):
        raise CheckFailed(
            f"{scheme} asks for weights in {words}, the file holds only {', '.join(file.weights)}",
            "The model is too small for this scheme, or has no operator that it applies to: leave the scheme out.",
        )
    floats = Counter(layer.weights for layer in kept)
    missing = floats - Counter(file.weights.get("FP32", ()))
    if missing:
        raise CheckFailed(
            f"{len(kept)} layers were to stay in float, the file has none with {max(missing)} elements of FP32",
            "Keep other layers in float.",
        )
    left = [
        f"{size} elements of {kind}"
        for kind, sizes in file.weights.items()
        for size in (Counter(sizes) - floats if kind == "FP32" else sizes)
        if kind not in asked.kinds and size >= asked.float_below
    ]
    if left:
        raise CheckFailed(
            f"{scheme} asks for weights in {words}, the file also holds one with {left[0]}",
            "The converter left it as it was: choose another scheme for this model.",
        )


def check_zeros(file: ModelFile, zeros: int) -> None:
    """Nothing if the file's weights hold at least so many zeros.

    Raises:
        CheckFailed: some of the zeros that pruning made became other values.
    """
    if file.zeros < zeros:
        raise CheckFailed(
            f"pruning made {zeros} weights zero, of those in the file {file.zeros} are", "Report this model."
        )


def check_activations(file: ModelFile, scheme: Scheme) -> None:
    """Nothing if operators with weights read what the scheme asks for, or floats where layers are kept in float.

    Raises:
        CheckFailed: some read stored values of another type.
    """
    asked = STORAGE[scheme].activations
    others = [kind for kind in file.activations if kind != asked]
    if others:
        raise CheckFailed(
            f"{scheme} asks for activations in {asked or 'floats'}, the file has operators that read "
            f"{', '.join(others)}",
            "The converter chose otherwise: choose another scheme for this model.",
        )
