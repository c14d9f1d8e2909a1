"""The manifest: what a bundle holds, what it needs, what was measured. It is what the publisher signs.

A bundle is a folder: `manifest.json`, `variants/<variant>/` with the model file, its golden data and its report.
The payload of a variant (what is encrypted into the artifact) is the stored zip of `payload.py`.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum
from typing import Annotated, Final, Literal, Self

from pydantic import Field, StringConstraints, ValidationError, model_validator

from edge_contracts.errors import Malformed
from edge_contracts.ids import Digest, ModelName, ProfileName, VariantName
from edge_contracts.wire import Utc, Wire

MANIFEST_SCHEMA: Final = 1
MANIFEST_FILE: Final = "manifest.json"
MAX_MANIFEST_BYTES: Final = 4 * 1024 * 1024
BINS: Final = 32
"""Bins of a feature's histogram: equal probability under the baseline."""
CONFIDENCE_BINS: Final = 64
"""Bins of the top-class probability, equal width over [0, 1]."""

Count = Annotated[int, Field(ge=0)]
Text = Annotated[str, StringConstraints(max_length=4096)]


class ProfileClass(StrEnum):
    """The four classes of hardware."""

    CPU = "cpu"
    GPU = "gpu"
    NPU = "npu"
    MCU = "mcu"


class Engine(StrEnum):
    """What runs a variant on the device."""

    ONNXRUNTIME = "onnxruntime"
    LITERT = "litert"
    TFLITE_MICRO = "tflite-micro"
    VELA = "vela"
    """Compiled for Ethos-U; runs on the board's firmware, never in an agent on a host."""


class Accelerator(StrEnum):
    """What the engine is asked to run the operators on."""

    CPU = "cpu"
    GPU = "gpu"
    """LiteRT: the GPU accelerator (WebGPU over Vulkan)."""
    CUDA = "cuda"
    """ONNX Runtime: the CUDA provider, an NVIDIA GPU."""
    TENSORRT = "tensorrt"
    """ONNX Runtime: the TensorRT provider, an NVIDIA GPU."""
    QNN_HTP = "qnn-htp"
    """ONNX Runtime: the QNN provider, Hexagon tensor processor (or its simulator on x86-64)."""
    OPENVINO_NPU = "openvino-npu"
    """ONNX Runtime: the OpenVINO provider, the NPU of an Intel processor."""
    EDGE_TPU = "edge-tpu"
    """LiteRT: Google's Coral Edge TPU, for which its own compiler prepares the file."""
    MCU = "mcu"
    ETHOS_U = "ethos-u"


class EngineNeeds(Wire):
    """How a device must run the variant.

    `fallback` names the accelerator to use when the first is missing; absent means refuse.
    `coverage_floor` is the least share of nodes that must run on `accelerator`, 0..1.
    """

    engine: Engine
    accelerator: Accelerator = Accelerator.CPU
    fallback: Accelerator | None = None
    coverage_floor: Annotated[float, Field(ge=0, le=1)] = 0.0
    threads: Annotated[int, Field(ge=1, le=64)] = 1
    arena_bytes: Count | None = None
    """TFLite Micro: bytes of the tensor arena the board grants."""


class DataType(StrEnum):
    """Element types, in the words of the Open Inference Protocol."""

    FP32 = "FP32"
    FP16 = "FP16"
    INT8 = "INT8"
    UINT8 = "UINT8"
    INT16 = "INT16"
    UINT16 = "UINT16"
    INT32 = "INT32"
    INT64 = "INT64"
    BOOL = "BOOL"


class Quantization(Wire):
    """real = scale * (stored - zero_point), per tensor."""

    scale: Annotated[float, Field(gt=0)]
    zero_point: int


class TensorSpec(Wire):
    """One input or output as the model file has it. `shape` has -1 for the batch dimension if it is free."""

    name: Annotated[str, StringConstraints(max_length=256)]
    datatype: DataType
    shape: Annotated[tuple[int, ...], Field(max_length=8)]
    quantization: Quantization | None = None


class FileRef(Wire):
    """Bytes known by digest and length."""

    digest: Digest
    length: Count


class Figure(Wire):
    """One number with where it comes from; measured and estimated are never mixed."""

    value: float
    unit: Annotated[str, StringConstraints(max_length=32)]
    kind: Literal["measured", "estimated"]
    source: Text
    """Measured on which machine, or estimated by which method."""
    n: Count | None = None


class Accuracy(Wire):
    """Accuracy on the decision split, which neither calibration nor ranking has seen."""

    metric: Annotated[str, StringConstraints(max_length=64)]
    source_value: float
    variant_value: float
    n: Count
    drop_upper_bound: float
    """One-sided 95 % bound of the paired difference source minus variant; of an error (RMSE), of its rise as a share of
    the source's."""


class Tolerance(Wire):
    """Golden outputs agree if |got - expected| <= absolute + relative * |expected| everywhere (real values)
    and the top class agrees for at least `top1_agreement` of the samples."""

    absolute: Annotated[float, Field(ge=0)]
    relative: Annotated[float, Field(ge=0)] = 0.0
    top1_agreement: Annotated[float, Field(ge=0, le=1)] = 1.0


class Limits(Wire):
    """The signed contract a device checks on its own hardware. Absent means not limited."""

    latency_p99_ms: Annotated[float, Field(gt=0)] | None = None
    memory_bytes: Count | None = None


class Answers(Wire):
    """How often a classifier gave each class, and how sure it was, on the evaluation data.

    A quantised variant's probabilities lie on a grid and beside its source's: against the source's answers a healthy
    variant would look like drift.
    """

    classes: tuple[Count, ...]
    confidence: tuple[Count, ...]


class Variant(Wire):
    """One optimised model file for one profile."""

    name: VariantName
    profile: ProfileName
    profile_class: ProfileClass
    format: Literal["tflite", "onnx"]
    scheme: Annotated[str, StringConstraints(max_length=64)]
    """fp32, fp16, dynamic, int8, qdq-u8s8, ... as the recipe names it."""
    needs: EngineNeeds
    model: FileRef
    golden: FileRef
    payload: FileRef
    """The stored zip of model and golden data; encrypted, it is the artifact."""
    inputs: Annotated[tuple[TensorSpec, ...], Field(min_length=1, max_length=64)]
    outputs: Annotated[tuple[TensorSpec, ...], Field(min_length=1, max_length=64)]
    tolerance: Tolerance
    limits: Limits = Limits()
    accuracy: Accuracy | None = None
    figures: dict[str, Figure] = {}
    recipe_digest: Digest
    answers: Answers | None = None
    """The variant's own; absent if it classifies nothing."""


class FeatureStatistic(StrEnum):
    """What a feature is computed from one input tensor of one request (real values); see `features.py`."""

    MEAN = "mean"
    STD = "std"
    MIN = "min"
    MAX = "max"
    ZERO_SHARE = "zero-share"
    ROUGHNESS = "roughness"
    ELEMENT = "element"


class FeatureBaseline(Wire):
    """The reference histogram of one feature.

    `edges` are the 31 inner edges, ascending; bin i holds edges[i-1] < value <= edges[i].
    `counts` are the reference's own counts in those bins (ties make them unequal).
    """

    name: Annotated[str, StringConstraints(max_length=128)]
    group: Annotated[str, StringConstraints(max_length=64)]
    tensor: Annotated[str, StringConstraints(max_length=256)]
    statistic: FeatureStatistic
    index: int | None = None
    edges: Annotated[tuple[float, ...], Field(min_length=BINS - 1, max_length=BINS - 1)]
    counts: Annotated[tuple[Count, ...], Field(min_length=BINS, max_length=BINS)]
    low: float
    high: float
    """Smallest and largest value seen in the reference; outside is counted as out of range."""

    @model_validator(mode="after")
    def _ascending(self) -> Self:
        if any(a > b for a, b in zip(self.edges, self.edges[1:], strict=False)):
            raise ValueError("edges must ascend")
        return self


class Baseline(Wire):
    """What the model's inputs and answers looked like on the evaluation data."""

    n: Count
    features: Annotated[tuple[FeatureBaseline, ...], Field(max_length=256)] = ()
    classes: tuple[Count, ...] = ()
    confidence: tuple[Count, ...] = ()


class Preprocessing(Wire):
    """How a request's real-valued input becomes the model's: (x - offset) * scale, before quantisation."""

    offset: float = 0.0
    scale: float = 1.0


class Lineage(Wire):
    """Where the bundle comes from."""

    source_digest: Digest
    source_name: Text
    tool_version: Text
    data: dict[str, Digest] = {}
    seed: int = 0


class Manifest(Wire):
    """The signed description of a bundle."""

    schema_version: Literal[1] = MANIFEST_SCHEMA
    model: ModelName
    version: Annotated[int, Field(ge=1, le=2**31)]
    created: Utc
    task: Literal["classification", "regression", "other"] = "classification"
    labels: Annotated[tuple[Text, ...], Field(max_length=100_000)] = ()
    preprocessing: Preprocessing = Preprocessing()
    variants: Annotated[tuple[Variant, ...], Field(min_length=1, max_length=256)]
    baseline: Baseline
    lineage: Lineage

    @model_validator(mode="after")
    def _unique(self) -> Self:
        names = [variant.name for variant in self.variants]
        if len(set(names)) != len(names):
            raise ValueError("two variants have the same name")
        return self

    def variant(self, name: str) -> Variant | None:
        """The variant of that name, if there is one."""
        return next((variant for variant in self.variants if variant.name == name), None)

    def for_profile(self, profile: str) -> tuple[Variant, ...]:
        """The variants made for `profile`, best first (the order of the manifest)."""
        return tuple(variant for variant in self.variants if variant.profile == profile)

    def baseline_of(self, names: Collection[str]) -> Baseline:
        """What to compare with where these variants run: the answers are the variant's own if it is one that tells."""
        own = [variant.answers for variant in self.variants if variant.name in names]
        if len(own) != 1 or own[0] is None:
            return self.baseline
        return self.baseline.model_copy(update={"classes": own[0].classes, "confidence": own[0].confidence})


def read_manifest(data: bytes) -> Manifest:
    """Parse manifest bytes from outside.

    Raises:
        Malformed: too large, not JSON, or not a manifest of a known schema.
    """
    if len(data) > MAX_MANIFEST_BYTES:
        raise Malformed(f"a manifest of {len(data)} bytes is over the limit of {MAX_MANIFEST_BYTES}")
    try:
        return Manifest.model_validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "manifest"
        raise Malformed(f"{place}: {first['msg']}") from error


def write_manifest(manifest: Manifest) -> bytes:
    """The bytes that are signed: JSON, one line break at the end, the same for the same manifest."""
    return manifest.model_dump_json(indent=1, exclude_none=True).encode() + b"\n"
