"""What a release must be made of before it is published: checks on values."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping

from edge_contracts.errors import Refused
from edge_contracts.ids import VariantName
from edge_contracts.manifest import FileRef, Manifest, Variant
from edge_contracts.operations import NewArtifact
from edge_contracts.segments import decrypt
from edge_contracts.targets import artifact_target, manifest_target
from edge_fleet.errors import Rejected


def pair_artifacts(manifest: Manifest, artifacts: Iterable[NewArtifact]) -> dict[VariantName, NewArtifact]:
    """The artifact of each variant, in the manifest's order.

    Raises:
        Rejected: a variant has none or two, or an artifact has no variant.
    """
    sent = list(artifacts)
    by_name = {artifact.variant: artifact for artifact in sent}
    names = [variant.name for variant in manifest.variants]
    if len(by_name) != len(sent) or by_name.keys() != set(names):
        wanted, got = ", ".join(sorted(names)), ", ".join(sorted(artifact.variant for artifact in sent))
        message = f"The manifest has the variants {wanted}; artifacts were sent for {got}"
        raise Rejected("artifacts-incomplete", message, "Send exactly one artifact for each variant.")
    return {name: by_name[name] for name in names}


def added_targets(
    manifest: Manifest, manifest_file: FileRef, artifacts: Mapping[VariantName, NewArtifact]
) -> dict[str, FileRef]:
    """What the publisher must have signed besides what was there: the manifest and every artifact."""
    files = {
        artifact_target(manifest.model, manifest.version, name): FileRef(digest=artifact.digest, length=artifact.length)
        for name, artifact in artifacts.items()
    }
    return {manifest_target(manifest.model, manifest.version): manifest_file, **files}


def check_opens(variant: Variant, ciphertext: memoryview, key: bytes) -> None:
    """The key opens the artifact, and inside is the payload that the manifest names: what each device will check.

    Raises:
        Rejected: it does not, or is not.
    """
    digest, length = hashlib.sha256(), 0
    for piece in _decrypted(variant, ciphertext, key):
        digest.update(piece)
        length += len(piece)
    if (length, digest.hexdigest()) != (variant.payload.length, variant.payload.digest.hex):
        message = f"The artifact of {variant.name} holds another payload than the manifest names"
        raise Rejected("payload-digest", message, "Build the bundle again, then publish it.")


def _decrypted(variant: Variant, ciphertext: memoryview, key: bytes) -> Iterator[bytes]:
    try:
        yield from decrypt(ciphertext, key)
    except Refused as error:
        message = f"The key sent for {variant.name} does not open its artifact: {error.detail}"
        raise Rejected("artifact-key", message, "Send the key that the artifact was encrypted with.") from error
