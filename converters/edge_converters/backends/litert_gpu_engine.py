"""LiteRT's GPU accelerator (WebGPU over Vulkan), on whatever adapter the machine has, hardware or software."""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.compiled_model import CompiledModel
from ai_edge_litert.hardware_accelerator import HardwareAccelerator
from ai_edge_litert.interpreter import Interpreter

from edge_converters.backends.arrays import Array, Infer, run_all, time_block
from edge_converters.backends.printed import with_words
from edge_converters.errors import CheckFailed


def run(model: str, inputs: str, outputs: str, threads: int) -> dict[str, Any]:
    """Answer the samples of `inputs`; `fully_accelerated` says whether every operator ran on the GPU.

    Where there is no Vulkan adapter nothing is answered, and `adapter` is None.
    """
    del threads
    try:
        compiled = _compiled(model)
    except NoAdapter:
        return {"adapter": None}
    answer = run_all(_infer(model), inputs, outputs)
    return {**answer, "fully_accelerated": bool(compiled.is_fully_accelerated()), "adapter": _adapter()}


def measure(model: str, inputs: str, threads: int, seconds: float) -> dict[str, Any]:
    """One block of latencies, reading the outputs included: `run` returns before the GPU is done."""
    del threads
    return time_block(_infer(model), inputs, seconds)


class NoAdapter(Exception):
    """This machine has no Vulkan adapter, neither hardware nor software."""


@cache
def _compiled(model: str) -> Any:
    _load_vulkan_loader()
    compiled, words = with_words(lambda: CompiledModel.from_file(model, hardware_accel=HardwareAccelerator.GPU))
    if not isinstance(compiled, RuntimeError):
        return compiled
    if "No adapters found" in words:
        raise NoAdapter from compiled
    reason = " ".join(line for line in words.splitlines() if "ERROR" in line)[-300:]
    raise CheckFailed(
        f"LiteRT's GPU accelerator refuses the model: {reason or compiled}", "Use operators that it has kernels for."
    ) from compiled


@cache
def _infer(model: str) -> Infer:
    compiled = _compiled(model)
    put, got = compiled.create_input_buffers(0), compiled.create_output_buffers(0)
    names = next(iter(compiled.get_signature_list().values()))["outputs"]
    interpreter = Interpreter(model_path=model)
    runner = interpreter.get_signature_runner()
    by_name = runner.get_output_details()
    order = [names.index(name) for name in _file_order(interpreter, by_name)]
    details = [by_name[name] for name in names]

    def infer(sample: Array) -> list[Array]:
        put[0].write(sample)
        compiled.run_by_index(0, put, got)
        read = [
            buffer.read(int(np.prod(detail["shape"])), detail["dtype"]).reshape(detail["shape"])
            for buffer, detail in zip(got, details, strict=True)
        ]
        return [read[index] for index in order]

    return infer


def _file_order(interpreter: Any, by_name: dict[str, Any]) -> list[str]:
    names = {detail["index"]: name for name, detail in by_name.items()}
    return [names[detail["index"]] for detail in interpreter.get_output_details()]


def _load_vulkan_loader() -> None:
    """The library opens `libvulkan.so.1` by name; Chromium's lies beside its driver, where the linker does not look."""
    driver = os.environ.get("VK_ICD_FILENAMES", "")
    with suppress(OSError):
        ctypes.CDLL("libvulkan.so.1", ctypes.RTLD_GLOBAL)
        return
    with suppress(OSError):
        ctypes.CDLL(str(Path(driver).parent / "libvulkan.so.1"), ctypes.RTLD_GLOBAL)


def _adapter() -> str:
    driver = os.environ.get("VK_ICD_FILENAMES", "")
    return "SwiftShader (software Vulkan)" if "swiftshader" in driver else "the machine's Vulkan adapter"
