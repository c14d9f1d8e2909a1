"""Operators that a lint has something to say about, by form and what is said. Only a table; names are the formats'."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from edge_converters.lint.facts import Form
from edge_converters.lint.findings import Code, Severity


@dataclass(frozen=True)
class Remark:
    """What is said of some operators: `<operator> '<name>' <why>`."""

    code: Code
    severity: Severity
    why: str
    operators: Mapping[Form, frozenset[str]]


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


REMARKS: Final[tuple[Remark, ...]] = (
    Remark(
        Code.RUNS_CODE,
        Severity.ERROR,
        "carries code of its own",
        {
            "keras": _names("Lambda __lambda__"),
            "saved-model": _names("PyFunc PyFuncStateless EagerPyFunc XlaCallModule RemoteCall"),
        },
    ),
    Remark(
        Code.OUTSIDE_FILES,
        Severity.ERROR,
        "reads or writes files",
        {
            "saved-model": _names(
                "ReadFile WriteFile MatchingFiles FixedLengthRecordReaderV2 TextLineReaderV2 TFRecordReaderV2 "
                "WholeFileReaderV2 TextLineDataset TFRecordDataset PrintV2 Save SaveSlices ImportEvent "
                "CreateSummaryFileWriter DebugIdentityV2 DebugIdentityV3 LookupTableExportV2"
            ),
        },
    ),
    Remark(
        Code.CONTROL_FLOW,
        Severity.ERROR,
        "repeats or chooses while the model runs",
        {
            "onnx": _names("If Loop Scan SequenceMap"),
            "saved-model": _names(
                "If StatelessIf While StatelessWhile Case StatelessCase For Switch RefSwitch Merge RefMerge Enter "
                "RefEnter Exit NextIteration LoopCond"
            ),
            "tflite": _names("IF WHILE CALL CALL_ONCE STABLEHLO_WHILE STABLEHLO_CASE"),
        },
    ),
    Remark(
        Code.STATE,
        Severity.ERROR,
        "keeps a state between inferences",
        {
            "saved-model": _names(
                "AssignVariableOp AssignAddVariableOp AssignSubVariableOp Assign AssignAdd QueueEnqueueV2 "
                "LookupTableInsertV2 TensorListPushBack"
            ),
            "tflite": _names("ASSIGN_VARIABLE HASHTABLE HASHTABLE_IMPORT VAR_HANDLE"),
        },
    ),
    Remark(
        Code.RANDOM,
        Severity.ERROR,
        "draws random numbers",
        {
            "onnx": _names("RandomNormal RandomNormalLike RandomUniform RandomUniformLike Multinomial Bernoulli"),
            "saved-model": _names(
                "RandomUniform RandomStandardNormal RandomUniformInt TruncatedNormal Multinomial RandomShuffle "
                "StatefulUniform StatefulStandardNormalV2 StatelessRandomUniformV2 StatelessRandomNormalV2"
            ),
            "tflite": _names("RANDOM_UNIFORM RANDOM_STANDARD_NORMAL MULTINOMIAL"),
        },
    ),
    Remark(
        Code.DYNAMIC_SHAPE,
        Severity.WARNING,
        "gives a tensor whose size depends on the data",
        {
            "onnx": _names("NonZero Unique Compress NonMaxSuppression StringSplit"),
            "saved-model": _names(
                "Where Unique UniqueV2 BooleanMask NonMaxSuppressionV3 NonMaxSuppressionV4 NonMaxSuppressionV5"
            ),
            "tflite": _names("WHERE UNIQUE NON_MAX_SUPPRESSION_V4 NON_MAX_SUPPRESSION_V5"),
        },
    ),
)
"""Those of a node that depends on no input are computed ahead, and said nothing of (but for code and files)."""

DOMAINS: Final = frozenset({"", "ai.onnx", "ai.onnx.ml", "com.microsoft"})
"""Of ONNX operators that ONNX Runtime brings kernels for."""

COMPUTING: Final = _names(
    "Conv ConvTranspose Gemm MatMul BatchNormalization InstanceNormalization LayerNormalization LSTM GRU RNN PRelu "
    "Mul Div Add Sub"
)
"""ONNX operators that compute with their constants: infinity there spoils every answer."""

HARD_FOR_ACCELERATORS: Final[Mapping[str, frozenset[str]]] = {
    "Resize": _names("cubic tf_crop_and_resize align_corners"),
    "Upsample": _names("cubic"),
}
"""ONNX operators, and words of their modes that NPUs leave to the CPU (Qualcomm's list of operators of the QNN
provider; OpenVINO's NPU plugin)."""
