"""Names of the files that the publisher signs in the TUF repository."""

from __future__ import annotations

from typing import Final

from edge_contracts.ids import ModelName, VariantName

DIRECTOR_TARGET: Final = "director/key.json"
"""The director's public key (securesystemslib key dictionary with its `keyid`)."""


def manifest_target(model: ModelName, version: int) -> str:
    """The target path of a release's manifest."""
    return f"{model}/{version}/manifest.json"


def artifact_target(model: ModelName, version: int, variant: VariantName) -> str:
    """The target path of a variant's artifact (ciphertext)."""
    return f"{model}/{version}/{variant}.artifact"
