"""Programs that the cross compiler linked, taken apart again."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from edge_converters.mcu.toolchain import PREFIX


def flashed(program: Path) -> tuple[bytes, dict[str, int]]:
    """What is flashed, and where in it each symbol lies."""
    image = program.with_suffix(".bin")
    _tool("objcopy", "-O", "binary", str(program), str(image))
    start = _start(program)
    return image.read_bytes(), {name: address - start for name, address in addresses(program).items()}


def addresses(program: Path) -> dict[str, int]:
    """Where each symbol lies in the core's memory."""
    found = re.findall(r"^(\w+) \w (\w+)$", _tool("nm", str(program)), re.MULTILINE)
    return {name: int(address, 16) for address, name in found}


def _start(program: Path) -> int:
    sections = re.findall(r" \.\w+\s+PROGBITS\s+(\w+)", _tool("readelf", "-SW", str(program)))
    return min(int(address, 16) for address in sections if int(address, 16))


def _tool(name: str, *arguments: str) -> str:
    return subprocess.run([f"{PREFIX}{name}", *arguments], check=True, capture_output=True, text=True).stdout
