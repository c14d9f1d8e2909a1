"""Recipes: the ordered, parameterised passes that make a variant. Data with a digest; nothing here computes."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Final

from edge_contracts.ids import Digest
from edge_profiles.profile import Profile
from edge_profiles.schemes import Scheme

CANONICALISE: Final = ("static-batch-1", "fold-constants", "fold-batch-normalisation")

PASSES: Final[dict[Scheme, tuple[str, ...]]] = {
    Scheme.FP32: (),
    Scheme.FP16: ("weights-fp16",),
    Scheme.DYNAMIC: ("weights-int8",),
    Scheme.INT8: ("calibrate-min-max", "weights-int8-per-channel", "activations-int8", "io-int8"),
    Scheme.INT16X8: ("calibrate-min-max", "weights-int8-per-channel", "activations-int16", "io-int16"),
    Scheme.QDQ_U8S8: ("calibrate-min-max", "weights-int8-per-channel", "activations-uint8"),
    Scheme.QDQ_S8S8: ("calibrate-min-max", "weights-int8-per-channel", "activations-int8"),
    Scheme.QDQ_U16S8: (
        "equalise-channels",
        "calibrate-min-max",
        "weights-int8-per-channel",
        "activations-uint16",
        "round-scales-for-hexagon",
    ),
}

NEEDS_RANGES: Final = frozenset(scheme for scheme, passes in PASSES.items() if "calibrate-min-max" in passes)


@dataclass(frozen=True)
class Recipe:
    """What is done to a source for one profile and scheme."""

    format: str
    scheme: str
    engine: str
    accelerator: str
    passes: tuple[str, ...]

    @property
    def digest(self) -> Digest:
        """The same for the same passes and parameters."""
        return Digest.of(json.dumps(asdict(self), sort_keys=True).encode())


def recipe_for(profile: Profile, scheme: Scheme) -> Recipe:
    """The default recipe of a scheme on a profile."""
    return Recipe(
        format=profile.format,
        scheme=scheme,
        engine=profile.engine,
        accelerator=profile.accelerator,
        passes=(*CANONICALISE, *PASSES[scheme], *(("compile-vela",) if profile.vela else ())),
    )
