"""Which ONNX operators there are, and which of them ONNX Runtime has a kernel for on the CPU, by its own table."""

from __future__ import annotations

from functools import cache
from typing import Any

import onnx
from onnxruntime.capi import onnxruntime_pybind11_state as native


def is_known(operator: str, domain: str, opset: int) -> bool:
    """Whether the standard, or ONNX Runtime for its own domains, has such an operator at this opset."""
    own = domain not in {"", "ai.onnx"} and (domain, operator) in _kernels()
    return own or bool(onnx.defs.has(operator, opset, domain))


def has_kernel(operator: str, domain: str) -> bool:
    """Whether it can run: by a kernel, or as the function of other operators that the standard gives."""
    if (domain, operator) in _kernels() or operator == "Constant":
        return True
    if not onnx.defs.has(operator, domain):
        return False
    schema: Any = onnx.defs.get_schema(operator, domain)
    return bool(schema.has_function or schema.has_context_dependent_function)


@cache
def _kernels() -> frozenset[tuple[str, str]]:
    table = native.get_all_opkernel_def()
    return frozenset((each.domain, each.op_name) for each in table if each.provider == "CPUExecutionProvider")
