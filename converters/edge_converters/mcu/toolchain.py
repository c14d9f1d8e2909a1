"""Arm's cross compiler, as a process: links C sources for a core and says how much flash they take."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge_converters.errors import CheckFailed
from edge_converters.mcu.cores import Core

PREFIX: Final = "arm-none-eabi-"
PACKAGE: Final = "gcc-arm-none-eabi"
"""Debian's package that brings the compiler; C's library is not needed."""

STRICT: Final = ("-Os", "-ffreestanding", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror")
_BARE: Final = ("-nostartfiles", "-nodefaultlibs", "-Wl,--entry=main", "-Wl,--build-id=none")
"""Nothing but the sources is linked: no start-up code, no library."""
_SECONDS: Final = 300


@dataclass(frozen=True)
class Linked:
    """In bytes: `flash` is code, constants and initial values, `ram` what is set up of it; `compiler` said so."""

    flash: int
    ram: int
    compiler: str


def present() -> bool:
    """Whether the compiler is installed."""
    return shutil.which(f"{PREFIX}gcc") is not None


def link(sources: Mapping[str, bytes], core: Core, folder: Path | None = None) -> Linked:
    """Compile and link every `.c` of `sources` for `core`; one of them has `main`. Every warning is an error.

    The program is left as `program.elf` in `folder`, if one is given.

    Raises:
        CheckFailed: the compiler refuses the sources, with its first words.
    """
    with tempfile.TemporaryDirectory(prefix="edge-link-") as temporary:
        place = folder or Path(temporary)
        for name, content in sources.items():
            (place / name).write_bytes(content)
        units = sorted(name for name in sources if name.endswith(".c"))
        _run(place, "gcc", "-std=c11", *core.flags, *STRICT, *_BARE, *units, "-o", "program.elf")
        text, data, bss = (int(number) for number in _run(place, "size", "program.elf").splitlines()[1].split()[:3])
    version = _run(Path.cwd(), "gcc", "-dumpfullversion").strip()
    return Linked(text + data, data + bss, f"{PREFIX}gcc {version} {' '.join((STRICT[0], *core.flags))}")


def check_header(header: str, folder: Path, core: Core) -> None:
    """That a C++ header in `folder` is well formed.

    Raises:
        CheckFailed: it is not, with the compiler's first words.
    """
    _run(folder, "g++", "-std=c++17", *core.flags, *STRICT, "-fsyntax-only", "-x", "c++", header)


def _run(folder: Path, tool: str, *arguments: str) -> str:
    command = [f"{PREFIX}{tool}", *arguments]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise CheckFailed(
            f"{command[0]} took more than {_SECONDS} seconds", "Try again on a machine at rest."
        ) from error
    if done.returncode:
        raise CheckFailed(
            f"{PREFIX}{tool} refuses the model's C library: {_first(done.stderr.splitlines())}", "Report this model."
        )
    return done.stdout


def _first(lines: Sequence[str]) -> str:
    return next((line.strip() for line in lines if "error" in line), lines[0].strip() if lines else "without a word")
