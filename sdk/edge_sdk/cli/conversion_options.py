"""The options of `edge-sdk convert` that say what it is given: data, what may be lost, what is to be learnt first."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

if TYPE_CHECKING:
    from edge_converters.datasets import Data
    from edge_converters.job import Proof
    from edge_converters.training import Training

DATA: Final = "Data"
GUARD: Final = "Guard: what may be lost"
SMALLER: Final = "A smaller model"

Source = Annotated[Path, typer.Argument(help="Keras file, SavedModel folder, .onnx or float .tflite file.")]
Profiles = Annotated[list[str], typer.Option("--profile", help="Hardware profile or its file; more than once.")]


@dataclass(frozen=True)
class DataOptions:
    """Where ranges are taken from and what variants are judged by."""

    calibration: Annotated[
        Path, typer.Option(help=".npz with x: samples that ranges are taken from.", rich_help_panel=DATA)
    ]
    evaluation: Annotated[
        Path, typer.Option(help=".npz with x and y; without y, agreement with the source counts.", rich_help_panel=DATA)
    ]
    test: Annotated[
        Path | None,
        typer.Option(help=".npz as --evaluation: for the report, nothing rests on it.", rich_help_panel=DATA),
    ] = None
    offset: Annotated[float, typer.Option(help="The model takes (x - offset) * scale.", rich_help_panel=DATA)] = 0.0
    scale: Annotated[float, typer.Option(help="See --offset.", rich_help_panel=DATA)] = 1.0

    def read(self) -> Data:
        """The data.

        Raises:
            BadInput: as `datasets.read_data`.
        """
        from edge_contracts.manifest import Preprocessing
        from edge_converters.datasets import read_data

        return read_data(
            self.calibration, self.evaluation, Preprocessing(offset=self.offset, scale=self.scale), self.test
        )


@dataclass(frozen=True)
class GuardOptions:
    """What is proven of a variant."""

    metric: Annotated[
        str | None,
        typer.Option(
            help="accuracy, top-3, f1, auc, auc-reconstruction, r2, rmse, rmse-reconstruction, map50, agreement, or "
            "your own: file.py:function. Else: what fits the model.",
            rich_help_panel=GUARD,
        ),
    ] = None
    costs: Annotated[
        Path | None,
        typer.Option(help="Costs of errors, .toml or .csv: a row for each true class.", rich_help_panel=GUARD),
    ] = None
    max_drop: Annotated[
        float, typer.Option(min=0, max=1, help="Accuracy that may be lost, as a share.", rich_help_panel=GUARD)
    ] = 0.01
    slack: Annotated[
        float, typer.Option(min=0, max=1, help="What the drop's 95 % bound may exceed it by.", rich_help_panel=GUARD)
    ] = 0.02
    slice_max_drop: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="What a class or slice_<name> of the evaluation may lose. Else: 3 x --max-drop.",
            rich_help_panel=GUARD,
        ),
    ] = None

    def proof(self) -> Proof:
        """The same as a value.

        Raises:
            BadInput: the costs are not usable.
        """
        from edge_converters.costs import read_costs
        from edge_converters.guard import Guard
        from edge_converters.job import Proof

        costs = None if self.costs is None else read_costs(self.costs)
        return Proof(Guard(self.max_drop, self.slack, self.slice_max_drop), self.metric, costs)


@dataclass(frozen=True)
class TrainingOptions:
    """What a source learns before it is converted."""

    training: Annotated[
        Path | None,
        typer.Option(
            "--training",
            help=".npz with x and y, for --train. Without y the source's own answers are learnt.",
            rich_help_panel=SMALLER,
        ),
    ] = None
    train: Annotated[
        list[str] | None,
        typer.Option(
            help="Train a Keras source before it is converted: distil=0.5 (a student half as wide), prune=0.8 or "
            "prune=2:4 (zeros are held), fine-tune, qat (rounded as int8 will be). More than once.",
            rich_help_panel=SMALLER,
        ),
    ] = None

    def read(self, data: Data) -> Training | None:
        """Steps and what they learn from; None where no training is asked for.

        Raises:
            BadInput: there is no such step, or the data is not usable.
        """
        if self.training is None:
            return None
        from edge_converters.datasets import read_training
        from edge_converters.training import Training, parse

        return Training(read_training(self.training, data), parse(self.train or []))
