"""Bundles on disk from the small models in `tests/support/models`, as `edge-sdk convert` writes them."""

from __future__ import annotations

from pathlib import Path

from edge_contracts.manifest import MANIFEST_FILE, write_manifest
from edge_converters.bundles import golden_file, model_file, write_bundle
from tests.support.releases import manifest, variant

PROFILES = {"x86-64-vnni": "cpu-ort", "rpi4-litert": "cpu-litert", "cortex-m4-stm32l4r5": "mcu"}
"""A profile for each engine, and the kind of model it gets."""
BROKEN = {"x86-64-vnni": "broken-ort", "rpi4-litert": "broken"}
"""The same shapes with weights turned over."""


def good_bundle(folder: Path, version: int) -> Path:
    """A bundle whose variants all work."""
    return _write(folder, version, {profile: (kind, None) for profile, kind in PROFILES.items()})


def broken_bundle(folder: Path, version: int) -> Path:
    """A bundle whose weights are turned over and whose golden outputs are those of the good model."""
    return _write(folder, version, {profile: (kind, PROFILES[profile]) for profile, kind in BROKEN.items()})


def _write(folder: Path, version: int, kinds: dict[str, tuple[str, str | None]]) -> Path:
    path = folder / f"bundle-{version}"
    made = [variant(kind, profile=profile, answers_of=answers) for profile, (kind, answers) in kinds.items()]
    files = {MANIFEST_FILE: write_manifest(manifest(*(one for one, _ in made), version=version))}
    for one, payload in made:
        files |= {model_file(one): payload.model, golden_file(one): payload.golden}
    write_bundle(path, files)
    return path
