"""What a lint can find: a stable code, one sentence with the names of operators, tensors and parameters, and a hint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from edge_converters.errors import BadInput, ConverterError, NotConvertible


class Severity(StrEnum):
    """An error refuses the model; a warning tells what it will cost."""

    ERROR = "error"
    WARNING = "warning"


class Code(StrEnum):
    """Stable names of what is found, for scripts."""

    UNREADABLE = "unreadable"
    RUNS_CODE = "runs-code"
    OUTSIDE_FILES = "outside-files"
    EXTERNAL_DATA = "external-data"
    EMPTY = "empty"
    INVALID = "invalid"
    DUPLICATE_NAME = "duplicate-name"
    UNDEFINED_TENSOR = "undefined-tensor"
    CYCLE = "cycle"
    RECURSION = "recursion"
    WEIGHT_SHAPE = "weight-shape"
    SHAPE_MISMATCH = "shape-mismatch"
    NOT_FINITE = "not-finite"
    BAD_PARAMETER = "bad-parameter"
    BAD_QUANTISATION = "bad-quantisation"
    ALREADY_QUANTISED = "already-quantised"
    UNKNOWN_OPERATOR = "unknown-operator"
    CUSTOM_OPERATOR = "custom-operator"
    NO_KERNEL = "no-kernel"
    OPSET = "opset"
    CONTROL_FLOW = "control-flow"
    STATE = "state"
    RANDOM = "random"
    TRAINING_MODE = "training-mode"
    DYNAMIC_SHAPE = "dynamic-shape"
    INPUT = "input"
    OUTPUT = "output"
    NO_ROUTE = "no-route"
    NOT_ON_TARGET = "not-on-target"
    SLOW_ON_TARGET = "slow-on-target"
    DOUBLE_PRECISION = "double-precision"
    OVERFLOWS_HALF = "overflows-half"
    UNFOLDED = "unfolded"
    UNUSED = "unused"


EXPORT_AGAIN: Final = "Check that the file is whole; export it again."

HINTS: Final[dict[Code, str]] = {
    Code.UNREADABLE: EXPORT_AGAIN,
    Code.RUNS_CODE: "Write that part with the framework's own layers: no code from a model file is ever run.",
    Code.OUTSIDE_FILES: "Take it out: a model that reads or writes files when it is loaded or run is not trusted.",
    Code.EXTERNAL_DATA: "Put the weights' file beside the model, or save all in one file (onnx.save_model).",
    Code.EMPTY: "Export the model again: there is nothing to convert in it.",
    Code.INVALID: "Export the model again, and check it with onnx.checker.check_model.",
    Code.DUPLICATE_NAME: "Give every tensor a name of its own.",
    Code.UNDEFINED_TENSOR: "Export the model again: a part of it is missing.",
    Code.CYCLE: "Unroll the loop: a graph must be computable from its inputs to its outputs.",
    Code.RECURSION: "Unroll the recursion.",
    Code.WEIGHT_SHAPE: "Save the weights again: the stored values do not fill the stated shape.",
    Code.SHAPE_MISMATCH: "Correct the shapes of the tensors that meet there.",
    Code.NOT_FINITE: "Training diverged, or the export went wrong: take an earlier checkpoint.",
    Code.BAD_PARAMETER: "Repair that parameter in the model that was exported.",
    Code.BAD_QUANTISATION: "Give the float model: its ranges are chosen anew.",
    Code.ALREADY_QUANTISED: "Give the float model that it was made from: a quantised one has lost what recipes need.",
    Code.UNKNOWN_OPERATOR: "Correct the operator's name, or export the model with the opset that has it.",
    Code.CUSTOM_OPERATOR: "Write that part with standard operators: no target has kernels for others.",
    Code.NO_KERNEL: "Write that part with other operators.",
    Code.OPSET: "Export the model with opset 17.",
    Code.CONTROL_FLOW: "Unroll it, or export the model for one case: the targets plan memory and time ahead.",
    Code.STATE: "Make the state an input and an output, or take it out.",
    Code.RANDOM: "Export the model for inference: its answers must not differ from run to run.",
    Code.TRAINING_MODE: "Export the model for inference (model.eval(), training=False).",
    Code.DYNAMIC_SHAPE: "Make the size constant: keep all elements and mask them, or do that part behind the model.",
    Code.INPUT: "Export the model with one float32 input of fixed shape, batch first.",
    Code.OUTPUT: "Give the scores that it is made from, and leave the choice to whoever reads them.",
    Code.NO_ROUTE: "Replace these operators in the model, or choose a profile of the other format.",
    Code.NOT_ON_TARGET: "Replace these operators, or extend the target's firmware and operators.allow of the profile.",
    Code.SLOW_ON_TARGET: "Use a form that accelerators take, where you can change the model.",
    Code.DOUBLE_PRECISION: "Train or export the model in float32.",
    Code.OVERFLOWS_HALF: "Scale these weights, or leave fp16 out of the profile's schemes.",
    Code.UNFOLDED: "Nothing needs to be done if a convolution stands before it: it is folded.",
    Code.UNUSED: "Leave it out: it only makes the file larger.",
}
"""What to do now, by code."""

_DAMAGED: Final = frozenset({Code.UNREADABLE, Code.EXTERNAL_DATA, Code.WEIGHT_SHAPE, Code.INVALID, Code.EMPTY})


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, or will cost something, with a model; `profile` where it concerns that target alone."""

    code: Code
    severity: Severity
    sentence: str
    hint: str
    profile: str | None = None


def error(code: Code, sentence: str, profile: str | None = None, hint: str = "") -> Finding:
    """A finding that refuses the model."""
    return Finding(code, Severity.ERROR, sentence, hint or HINTS[code], profile)


def warning(code: Code, sentence: str, profile: str | None = None) -> Finding:
    """A finding that does not."""
    return Finding(code, Severity.WARNING, sentence, HINTS[code], profile)


def errors_of(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Those that refuse the model."""
    return tuple(each for each in findings if each.severity is Severity.ERROR)


def refusal(name: str, findings: Sequence[Finding]) -> ConverterError | None:
    """The first error in one sentence, and how many there are; None if there is none."""
    found = errors_of(findings)
    if not found:
        return None
    first, more = found[0], len(found) - 1
    rest = f" (and {more} more: edge-sdk lint tells them all)" if more else ""
    kind = BadInput if first.code in _DAMAGED else NotConvertible
    return kind(f"{name}: {first.sentence}{rest}", first.hint)
