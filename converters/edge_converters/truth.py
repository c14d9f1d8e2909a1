"""What answers are judged against: labels, inputs, the source's answers. Refuses what does not fit the model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from edge_converters.costs import Costs
from edge_converters.errors import BadInput
from edge_converters.metrics import Outputs

Array = npt.NDArray[Any]

PROBABILITY_ROUNDING: Final = 1e-2
"""A float softmax sums to 1 within this."""
_LEAVE_OUT: Final = "Leave y and --labels out: then the variant is judged by how near its answers are to the source's."


@dataclass(frozen=True)
class Truth:
    """Of all evaluation samples. `inputs` are as the model takes them.

    `classifies`: the answers are classes; `autoencodes`: they have the shape of the input.
    """

    reference: Outputs
    labels: Array | None
    """Whole-number classes [n], or real values in the shape of the answer."""
    inputs: Array | None
    costs: Costs | None
    classifies: bool
    autoencodes: bool

    @property
    def first(self) -> Array:
        """The source's first output."""
        return next(iter(self.reference.values()))

    @property
    def width(self) -> int:
        """Classes that the model tells apart."""
        return max(int(self.first.shape[1]), 2)

    @property
    def numbers(self) -> Array | None:
        """The labels, if they are whole numbers."""
        return self.labels if self.labels is not None and self.labels.dtype.kind == "i" else None

    def classes(self) -> Array:
        """The true classes, [n].

        Raises:
            BadInput: there are none, or not such as the model tells apart.
        """
        self._refuse_no_classes("y holds classes")
        true = self.numbers
        if true is None:
            raise BadInput("there are no classes in y to judge by", "Save them as y, one whole number for each sample.")
        if not (true.min() >= 0 and true.max() < self.width):
            raise BadInput(
                f"y holds classes {true.min()} to {true.max()}, the model tells {self.width} apart",
                f"Number the classes from 0 to {self.width - 1}, in the order of the model's answers.",
            )
        return true

    def check_names(self, named: int) -> None:
        """That as many class names fit.

        Raises:
            BadInput: the model gives no classes, or another number of them.
        """
        self._refuse_no_classes("there are class names")
        if named != self.width:
            raise BadInput(
                f"there are {named} class names, the model tells {self.width} apart", "Give one name for each class."
            )

    def values(self, metric: str) -> Array:
        """The labels as real values, [n, ...] with as many elements as the answer.

        Raises:
            BadInput: there are none, or of another shape.
        """
        if self.labels is None:
            raise BadInput(f"{metric} needs true values", "Save them as y, in the shape of the model's answers.")
        if len(self.reference) != 1 or self.first[0].size != self.labels[0].size:
            raise BadInput(
                f"y holds values of shape {self.labels.shape[1:]} for each sample, {self._answers()}",
                "Save them in the shape of the model's answers; classes are saved as whole numbers.",
            )
        return self.labels

    def objects(self) -> tuple[Array, str, str]:
        """The true objects, [n, m, 5] as class, left, top, right, bottom, and the outputs that are boxes and scores.

        Raises:
            BadInput: there are none, or the model is no detector with [anchors, 4] and [anchors, classes].
        """
        shapes = {name: values.shape[1:] for name, values in self.reference.items()}
        boxes = [name for name, shape in shapes.items() if len(shape) == 2 and shape[1] == 4]
        told = [name for name, shape in shapes.items() if len(shape) == 2 and shape[1] != 4]
        if len(shapes) != 2 or len(boxes) != 1 or len(told) != 1 or shapes[boxes[0]][0] != shapes[told[0]][0]:
            raise BadInput(
                f"map50 needs boxes [anchors, 4] and scores [anchors, classes]; {self._answers()}",
                "Write a --metric file.py:function of your own that reads these answers.",
            )
        if self.labels is None or self.labels.dtype.kind != "f" or self.labels.shape[2:] != (5,):
            raise BadInput(
                "map50 needs the true objects in y",
                "Save floats [samples, objects, 5]: class, left, top, right, bottom in the unit of the model's boxes; "
                "class -1 fills up.",
            )
        if self.labels[..., 0].max() >= shapes[told[0]][1]:
            raise BadInput(
                f"y holds class {self.labels[..., 0].max():g}, the model tells {shapes[told[0]][1]} apart",
                "Number the classes as the columns of the model's scores.",
            )
        return self.labels, boxes[0], told[0]

    def own_inputs(self, metric: str) -> Array:
        """The inputs, if the model answers with them.

        Raises:
            BadInput: it does not.
        """
        if not self.autoencodes or self.inputs is None:
            raise BadInput(
                f"{metric} is for a model that answers with its own input; {self._answers()}",
                "Ask for another --metric.",
            )
        return self.inputs

    def columns(self, outputs: Outputs) -> Array:
        """A score for each class, [n, classes]: probabilities if the source gives such, else the softmax of logits."""
        rows = np.asarray(next(iter(outputs.values())), np.float64)
        if rows.shape[1] == 1:
            return np.concatenate([-rows, rows], axis=1)
        if are_probabilities(self.first):
            return rows
        powers = np.exp(rows - rows.max(axis=1, keepdims=True))
        softmax: Array = powers / powers.sum(axis=1, keepdims=True)
        return softmax

    def _refuse_no_classes(self, what: str) -> None:
        if not self.classifies:
            hint = " An autoencoder of anomalies has --metric auc-reconstruction." if self.autoencodes else ""
            answers = self._answers().replace("the model", "it")
            raise BadInput(f"{what}, but the model gives none: {answers}", _LEAVE_OUT + hint)

    def _answers(self) -> str:
        shapes = ", ".join(f"{name} {values.shape[1:]}" for name, values in self.reference.items())
        return f"the model answers with {shapes}"


def are_probabilities(rows: Array) -> bool:
    """Whether these are a float model's probabilities of classes, [n, classes]."""
    sums = rows.sum(axis=1) if rows.shape[1] > 1 else np.ones(len(rows))
    return bool(rows.min() >= 0 and rows.max() <= 1 and np.abs(sums - 1).max() < PROBABILITY_ROUNDING)
