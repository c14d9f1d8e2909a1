"""Finds a Vulkan driver for the GPU engine: the system's own, else the software driver that browsers bring along."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from typing import Final

from edge_agent.adapters.engines.session import EngineMissing

CHOICE: Final = "VK_ICD_FILENAMES"
"""The Vulkan loader's own variable: driver descriptions to use instead of the system's, set by whoever knows better."""
SYSTEM_FOLDERS: Final = (
    Path("/etc/vulkan/icd.d"),
    Path("/usr/share/vulkan/icd.d"),
    Path("/usr/local/share/vulkan/icd.d"),
)
SOFTWARE_DRIVERS: Final = (
    Path("/usr/lib/chromium/vk_swiftshader_icd.json"),
    Path("/usr/lib/chromium-browser/vk_swiftshader_icd.json"),
    Path("/opt/google/chrome/vk_swiftshader_icd.json"),
)
_LOADER: Final = "libvulkan.so.1"


def choose_driver() -> str:
    """Make a Vulkan driver known to this process before the engine looks for one; says which kind.

    Software stands beside the system's drivers, not before them: the engine itself prefers a GPU.

    Raises:
        EngineMissing: there is neither a driver nor a loader.
    """
    if CHOICE not in os.environ:
        drivers = [path for folder in SYSTEM_FOLDERS for path in sorted(folder.glob("*.json"))]
        drivers += [path for path in SOFTWARE_DRIVERS if path.exists()][:1]
        if not drivers:
            raise EngineMissing(
                "there is no Vulkan driver", "Install the GPU's driver, or Debian's `chromium` for a software one."
            )
        os.environ[CHOICE] = ":".join(map(str, drivers))
    chosen = [Path(name) for name in os.environ[CHOICE].split(":") if name]
    _load_loader(chosen)
    software = all("swiftshader" in path.name for path in chosen)
    return "software Vulkan (SwiftShader)" if software else "Vulkan"


def _load_loader(drivers: list[Path]) -> None:
    """Load the Vulkan loader so that the engine's own search by name finds it; a browser has one beside its driver."""
    for candidate in (_LOADER, *(str(path.with_name(_LOADER)) for path in drivers)):
        try:
            ctypes.CDLL(candidate)
        except OSError:
            continue
        return
    raise EngineMissing(
        f"{_LOADER} is not installed", "Install Debian's `libvulkan1`, or `chromium` which has its own."
    )
