"""What a conversion is made with: the versions of the libraries, and the digest of this code. Loads none of them."""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import platform
import re
from functools import cache
from pathlib import Path
from typing import Final

from edge_contracts.ids import Digest

DISTRIBUTION: Final = "edge-sdk"
EXTRAS: Final = frozenset({"convert", "ort", "litert", "tflm", "qnn"})
PACKAGES: Final = ("edge_contracts", "edge_profiles", "edge_converters")
_REQUIREMENT: Final = re.compile(r"""(?P<name>[\w.-]+).*;.*extra == ['"](?P<extra>[\w-]+)['"]""")


@cache
def library_versions() -> dict[str, str]:
    """Of Python, of edge-sdk, and of each library of the extras that convert and run models, as far as installed."""
    versions = {"python": platform.python_version(), DISTRIBUTION: importlib.metadata.version(DISTRIBUTION)}
    for requirement in importlib.metadata.requires(DISTRIBUTION) or ():
        match = _REQUIREMENT.match(requirement)
        if match and match["extra"] in EXTRAS and match["name"] not in versions:
            version = _version(match["name"])
            if version:
                versions[match["name"]] = version
    return dict(sorted(versions.items()))


@cache
def code_digest() -> Digest:
    """Of every source file of the packages that take part: a change of the code is a change of what it makes."""
    total = hashlib.sha256()
    for package in PACKAGES:
        (folder,) = (Path(place) for place in importlib.import_module(package).__path__)
        for file in sorted(folder.rglob("*.py")):
            name = f"{package}/{file.relative_to(folder)}"
            total.update(name.encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest())
    return Digest(f"sha256:{total.hexdigest()}")


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
