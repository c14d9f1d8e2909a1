"""Which variant of a release a device gets: the first of its profile, in the manifest's order, that it can run."""

from __future__ import annotations

from collections.abc import Collection

from edge_contracts.ids import ProfileName
from edge_contracts.manifest import EngineNeeds, Manifest, Variant


def choose_variant(manifest: Manifest, profile: ProfileName, engines: Collection[str]) -> Variant | None:
    """The variant, or None if there is none.

    `engines` are the pairs the device reported, as `onnxruntime/cpu`; a device that has reported none is trusted to
    have what its profile says.
    """
    candidates = manifest.for_profile(profile)
    return next((variant for variant in candidates if not engines or _runs(variant.needs, engines)), None)


def _runs(needs: EngineNeeds, engines: Collection[str]) -> bool:
    wanted = (needs.accelerator, needs.fallback)
    return any(f"{needs.engine}/{accelerator}" in engines for accelerator in wanted if accelerator is not None)
