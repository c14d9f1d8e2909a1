"""The demo's releases: where bundles lie, how they are published, and how bad ones are made from the good one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge_converters.bundles import read_bundle
from edge_sdk.demo.fleet import Server, no_passphrase
from edge_sdk.demo.narration import Narrator
from edge_sdk.demo.training import run_program
from edge_sdk.publishing import publish

_WEIGHTS: Final = "edge_sdk.demo.weights"
_WEIGHTS_SECONDS: Final = 120.0


@dataclass(frozen=True)
class Place:
    """Where the demo works: its own folder, the cache of trained models, the agents' interpreter."""

    folder: Path
    cache: Path
    agent_python: Path


def publish_bundle(narrator: Narrator, server: Server, bundle: Path) -> int:
    """The version of the release; says what was published."""
    content = read_bundle(bundle)
    release = publish(content, server.keys, server.client, no_passphrase, _Quiet()).release
    size = sum(len(payload) for payload in content.payloads.values())
    narrator.tell(f"published {release.model} {release.version}: {len(content.payloads)} artifacts, {size:,} bytes")
    return release.version


def spoilt_bundle(place: Place, bundle: Path, version: int, fault: str) -> Path:
    """A bundle whose weights are spoilt; `fault` is one of those of `weights.py`."""
    out = place.folder / f"bundle-{version}"
    run_program(_WEIGHTS, [str(bundle), str(out), str(version), fault], _WEIGHTS_SECONDS)
    return out


class _Quiet:
    """Publishing without bars: the bundles are small."""

    def step(self, sentence: str) -> None:
        """Nothing is said."""

    def uploading(self, name: str, total: int) -> Callable[[int], None]:
        """Nothing is shown."""
        return lambda _sent: None
