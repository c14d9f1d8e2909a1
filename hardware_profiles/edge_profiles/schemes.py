"""The numeric schemes a profile may ask for, by engine, in the words the manifest uses."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, Literal

from edge_contracts.manifest import Accelerator, Engine, ProfileClass

Format = Literal["tflite", "onnx"]


class Scheme(StrEnum):
    """How numbers are kept in a variant."""

    FP32 = "fp32"
    """Weights and activations in single precision."""
    FP16 = "fp16"
    """Weights in half precision; inputs and outputs stay float32."""
    DYNAMIC = "dynamic"
    """int8 weights, float activations."""
    INT8 = "int8"
    """TFLite: per-channel int8 weights, int8 activations, int8 inputs and outputs."""
    INT16X8 = "int16x8"
    """TFLite: per-channel int8 weights, symmetric int16 activations, int16 inputs and outputs."""
    QDQ_U8S8 = "qdq-u8s8"
    """ONNX QDQ: uint8 activations, per-channel int8 weights."""
    QDQ_S8S8 = "qdq-s8s8"
    """ONNX QDQ: int8 activations, per-channel int8 weights."""
    QDQ_U16S8 = "qdq-u16s8"
    """ONNX QDQ: uint16 activations, per-channel int8 weights."""


FORMATS: Final[dict[Engine, Format]] = {
    Engine.ONNXRUNTIME: "onnx",
    Engine.LITERT: "tflite",
    Engine.TFLITE_MICRO: "tflite",
    Engine.VELA: "tflite",
}
"""The model format each engine reads."""

SCHEMES: Final[dict[tuple[Engine, Accelerator], tuple[Scheme, ...]]] = {
    (Engine.ONNXRUNTIME, Accelerator.CPU): (Scheme.FP32, Scheme.FP16, Scheme.QDQ_U8S8, Scheme.QDQ_S8S8),
    (Engine.ONNXRUNTIME, Accelerator.CUDA): (Scheme.FP32, Scheme.FP16),
    (Engine.ONNXRUNTIME, Accelerator.TENSORRT): (Scheme.FP32, Scheme.FP16),
    (Engine.ONNXRUNTIME, Accelerator.QNN_HTP): (Scheme.QDQ_U8S8, Scheme.QDQ_U16S8),
    (Engine.ONNXRUNTIME, Accelerator.OPENVINO_NPU): (Scheme.FP32, Scheme.FP16, Scheme.QDQ_U8S8),
    (Engine.LITERT, Accelerator.CPU): (Scheme.FP32, Scheme.FP16, Scheme.DYNAMIC, Scheme.INT8, Scheme.INT16X8),
    (Engine.LITERT, Accelerator.GPU): (Scheme.FP32, Scheme.FP16, Scheme.INT8),
    (Engine.LITERT, Accelerator.EDGE_TPU): (Scheme.INT8,),
    (Engine.TFLITE_MICRO, Accelerator.MCU): (Scheme.FP32, Scheme.INT8, Scheme.INT16X8),
    (Engine.VELA, Accelerator.ETHOS_U): (Scheme.INT8, Scheme.INT16X8),
}
"""The pairs of engine and accelerator there are, each with what it runs."""

CLASSES: Final[dict[Accelerator, ProfileClass]] = {
    Accelerator.CPU: ProfileClass.CPU,
    Accelerator.GPU: ProfileClass.GPU,
    Accelerator.CUDA: ProfileClass.GPU,
    Accelerator.TENSORRT: ProfileClass.GPU,
    Accelerator.QNN_HTP: ProfileClass.NPU,
    Accelerator.OPENVINO_NPU: ProfileClass.NPU,
    Accelerator.EDGE_TPU: ProfileClass.NPU,
    Accelerator.ETHOS_U: ProfileClass.NPU,
    Accelerator.MCU: ProfileClass.MCU,
}
"""The class of hardware that each accelerator belongs to."""
