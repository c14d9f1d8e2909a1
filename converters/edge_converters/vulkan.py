"""Finds a Vulkan driver for LiteRT's GPU accelerator: the machine's own, else the software one of Chromium."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

SOFTWARE: Final = Path("/usr/lib/chromium/vk_swiftshader_icd.json")
"""Debian's `chromium` package: SwiftShader, and beside it a Vulkan loader."""
HARDWARE: Final = (Path("/usr/share/vulkan/icd.d"), Path("/etc/vulkan/icd.d"))
RENDER_NODES: Final = Path("/dev/dri")


def environment() -> dict[str, str]:
    """The variables to start a GPU process with; empty where the machine has its own driver and device, or none."""
    if "VK_ICD_FILENAMES" in os.environ or _has_hardware() or not SOFTWARE.exists():
        return {}
    return {"VK_ICD_FILENAMES": str(SOFTWARE)}


def _has_hardware() -> bool:
    return any(RENDER_NODES.glob("renderD*")) and any(any(folder.glob("*.json")) for folder in HARDWARE)
