"""Processor cores, by what a profile calls its architecture: how code is made for them, and which kernels suit them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from edge_converters.mcu.scratch import Kernels


@dataclass(frozen=True)
class Core:
    """`flags` are GCC's; `kernels` what TFLite Micro is commonly built with for the core."""

    flags: tuple[str, ...]
    kernels: Kernels


def _arm(cpu: str, kernels: Kernels) -> Core:
    return Core((f"-mcpu={cpu}", "-mthumb", "-mfloat-abi=hard"), kernels)


CORES: Final[dict[str, Core]] = {
    "cortex-m4": _arm("cortex-m4", Kernels.CMSIS_NN_DSP),
    "cortex-m7": _arm("cortex-m7", Kernels.CMSIS_NN_DSP),
    "cortex-m33": _arm("cortex-m33", Kernels.CMSIS_NN_DSP),
    "cortex-m55": _arm("cortex-m55", Kernels.CMSIS_NN_MVE),
}
"""Cores that Debian's gcc-arm-none-eabi makes code for. Others, as Espressif's Xtensa, have compilers of their own."""
