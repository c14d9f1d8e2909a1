"""Which module runs which engine on which accelerator, and the extra to install for it. The one loader of engines."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Final, cast

from edge_agent.adapters.engines.session import EngineMissing, EngineModule
from edge_contracts.manifest import Accelerator, Engine

Pair = tuple[Engine, Accelerator]


@dataclass(frozen=True)
class Source:
    """A module of this package and the extra of the distribution that brings its library."""

    module: str
    extra: str


TABLE: Final[dict[Pair, tuple[Source, ...]]] = {
    (Engine.ONNXRUNTIME, Accelerator.CPU): (Source("ort_cpu", "ort"),),
    (Engine.ONNXRUNTIME, Accelerator.CUDA): (Source("ort_cuda", "ort"),),
    (Engine.ONNXRUNTIME, Accelerator.TENSORRT): (Source("ort_tensorrt", "ort"),),
    (Engine.ONNXRUNTIME, Accelerator.QNN_HTP): (Source("ort_qnn", "qnn"),),
    (Engine.ONNXRUNTIME, Accelerator.OPENVINO_NPU): (Source("ort_openvino", "openvino"),),
    (Engine.LITERT, Accelerator.CPU): (Source("litert_cpu", "litert"), Source("tflite_runtime_cpu", "tflite-runtime")),
    (Engine.LITERT, Accelerator.GPU): (Source("litert_gpu", "litert"),),
    (Engine.TFLITE_MICRO, Accelerator.MCU): (Source("micro", "tflm"),),
}
"""The first module of a row whose library is installed runs the pair."""


def open_engine(pair: Pair) -> EngineModule:
    """The module that runs `pair`.

    Raises:
        EngineMissing: no such engine on a host, or its library is not installed.
    """
    failures: list[str] = []
    for source in TABLE.get(pair, ()):
        try:
            return cast("EngineModule", importlib.import_module(f"{__package__}.{source.module}"))
        except ImportError as error:
            failures.append(f"{error}; install it with pip install 'edge-sdk[agent,{source.extra}]'")
    name = "/".join(pair)
    raise EngineMissing(failures[0] if failures else f"{name} does not run in an agent")
