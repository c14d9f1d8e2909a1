"""The test split: figures for the report, taken of what was chosen. Nothing is chosen or decided by them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge_converters.datasets import Data, RealArray
from edge_converters.decisions import judge_split
from edge_converters.files import RUN_ON_CPU, ModelFile, run, stored_inputs
from edge_converters.floats import RUN_SOURCE
from edge_converters.guard import Guard, Judgement
from edge_converters.measures import Asked, metric_for
from edge_converters.metrics import Metric, Outputs, in_order
from edge_converters.sources import Source
from edge_converters.workers import Worker


@dataclass(frozen=True)
class HeldBack:
    """The test samples as the model takes them, with the source's answers."""

    inputs: RealArray
    reference: Outputs
    metric: Metric

    def judge(self, file: ModelFile, threads: int, guard: Guard, worker: Worker) -> Judgement:
        """What `file` loses of the source; its verdict is for the reader alone."""
        stored = stored_inputs(file, self.inputs, "test")
        real, _ = run(file, RUN_ON_CPU[file.format], stored, worker, threads=threads)
        answers = in_order(list(self.reference), real)
        return judge_split(self.metric, self.reference, answers, np.arange(len(self.inputs)), guard)


def hold_back(source: Source, data: Data, asked: Asked, folder: Path, worker: Worker) -> HeldBack | None:
    """Run the source on the test samples; None if there are none.

    Raises:
        BadInput: as `metric_for`.
    """
    if data.test is None:
        return None
    inputs = data.model_input(data.test.x)
    entry, answers = folder / "test.npy", folder / "test.npz"
    np.save(entry, inputs)
    said = worker.call(
        RUN_SOURCE[source.kind],
        source=str(source.path),
        kind=source.kind,
        inputs={"test": str(entry)},
        answers=str(answers),
    )
    with np.load(answers) as arrays:
        reference = {name: arrays[f"test/{name}"] for name in said["outputs"]}
    return HeldBack(inputs, reference, metric_for(asked, reference, data.test, inputs))
