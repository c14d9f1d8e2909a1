"""The demo's conversion: the trained model becomes one bundle with a variant for each profile."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from edge_contracts.ids import ModelName
from edge_converters import Guard, Identity, Proof, convert, read_data
from edge_converters.progress import OnStep
from edge_converters.reports import Conversion
from edge_profiles.boards import load
from edge_sdk.demo.training import Trained

MODEL: Final = ModelName("digits")
LABELS: Final = tuple(str(digit) for digit in range(10))
GUARD: Final = Guard(max_drop=0.02, slack=0.02)


def converted(trained: Trained, profiles: Sequence[str], out: Path, on_step: OnStep) -> Conversion:
    """The outcome; its bundle is in `out` if every variant passed the guard.

    Raises:
        ConverterError: the model does not convert.
    """
    data = read_data(trained.data("calibration"), trained.data("evaluation"))
    boards = [load(name) for name in profiles]
    identity = Identity(MODEL, version=1, labels=LABELS)
    return convert(trained.model, boards, data, output=out, identity=identity, proof=Proof(GUARD), on_step=on_step)
