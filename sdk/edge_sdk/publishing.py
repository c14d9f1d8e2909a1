"""Publishing a bundle: encrypt, upload, sign, announce. Can be interrupted and repeated; the result is one release.

The publisher never signs what the server says: the current targets metadata is verified against the owner's own root
first, and against the newest one this folder of keys has seen.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import urlsplit

from securesystemslib.signer import Signer
from tuf.api.exceptions import DownloadError, DownloadHTTPError, RepositoryError
from tuf.api.metadata import Metadata, Root, Targets
from tuf.ngclient import Updater
from tuf.ngclient.fetcher import FetcherInterface

from edge_contracts.ids import Digest, VariantName
from edge_contracts.manifest import FileRef
from edge_contracts.operations import NewArtifact, NewRelease, ReleaseView
from edge_contracts.segments import encrypt, new_key
from edge_contracts.targets import manifest_target
from edge_converters.bundles import Bundle
from edge_sdk.client import FleetClient
from edge_sdk.errors import BadInput, Rejected, Untrusted
from edge_sdk.files import make_private_folder, write_private
from edge_sdk.keys import KeyFolder, Role, Unlock
from edge_sdk.trust import listed, next_targets, read_targets, release_targets, sign

_RACES: Final = 3
"""Times to start over when another publisher signs at the same moment."""


class Progress(Protocol):
    """Told how far publishing is."""

    def step(self, sentence: str) -> None:
        """A new step begins."""

    def uploading(self, name: str, total: int) -> Callable[[int], None]:
        """An upload of `total` bytes begins; call the answer with each number of bytes sent."""


@dataclass(frozen=True)
class Published:
    """A release on the server. `repeated` says that it had been published before, byte for byte."""

    release: ReleaseView
    repeated: bool


@dataclass(frozen=True)
class _Sealed:
    key: bytes
    ciphertext: bytes

    @property
    def file(self) -> FileRef:
        return FileRef(digest=Digest.of(self.ciphertext), length=len(self.ciphertext))


def publish(bundle: Bundle, keys: KeyFolder, client: FleetClient, unlock: Unlock, progress: Progress) -> Published:
    """Make the bundle a release; doing it again with the same bundle changes nothing.

    Raises:
        BadInput: the version is published with other content; keys that do not open.
        Untrusted: the server's metadata does not verify against the owner's keys; nothing was signed.
        Rejected, Unreachable: from the server.
    """
    manifest = bundle.manifest
    progress.step(f"{manifest.model} version {manifest.version}: looking whether it is published")
    existing = client.release(manifest.model, manifest.version)
    known = current_targets(keys, client)
    if existing is not None:
        return Published(_same(existing, bundle, known), repeated=True)
    signer = keys.signer(Role.TARGETS, unlock)  # before anything is uploaded: the passphrase may be wrong
    work = make_private_folder(keys.folder("publishing") / Digest.of(bundle.manifest_bytes).hex)
    progress.step(f"encrypting {len(bundle.payloads)} variants")
    sealed = {name: _seal(payload, work, name) for name, payload in bundle.payloads.items()}
    for name, artifact in sealed.items():
        sent = progress.uploading(name, artifact.file.length)
        client.put_artifact(artifact.file.digest, artifact.ciphertext, sent)
    progress.step("signing and announcing the release")
    release = _announce(bundle, sealed, keys, client, signer)
    shutil.rmtree(work, ignore_errors=True)
    return Published(release, repeated=False)


def current_targets(keys: KeyFolder, client: FleetClient) -> Metadata[Targets]:
    """The publisher's targets metadata as the server serves it, verified by the whole chain from the owner's root.

    Raises:
        Untrusted: a signature, version or expiry does not hold, or it is older than one this folder has seen.
    """
    keys.root()
    folder = keys.folder("trusted")
    try:
        updater = Updater(
            str(folder),
            f"{client.connection.server}/v1/metadata/",
            fetcher=_ThroughClient(client),
            bootstrap=keys.root_bytes(),
        )
        updater.refresh()
    except DownloadError as error:
        raise BadInput(
            f"{client.connection.server} serves no complete signed metadata: {error}",
            f"Run `edge-sdk keys trust --keys {keys.path}` for this server first.",
        ) from error
    except (RepositoryError, ValueError) as error:
        raise Untrusted(
            f"the server's signed metadata does not verify against the keys in {keys.path}: {error}",
            "Nothing was signed. Check that this is the server these keys trust; else treat it as an attack.",
        ) from error
    # the updater has verified root (from the owner's on) and targets: these are the files it keeps
    root: Metadata[Root] = Metadata.from_file(str(folder / "root.json"))
    return read_targets((folder / "targets.json").read_bytes(), root)


class _ThroughClient(FetcherInterface):
    """Fetches metadata for the updater with the operator's token."""

    def __init__(self, client: FleetClient) -> None:
        self._client = client

    def _fetch(self, url: str) -> Iterator[bytes]:
        data = self._client.metadata(urlsplit(url).path.rpartition("/")[2])
        if data is None:
            raise DownloadHTTPError(f"{url} is not there", 404)
        return iter([data])


def _same(existing: ReleaseView, bundle: Bundle, targets: Metadata[Targets]) -> ReleaseView:
    path = manifest_target(existing.model, existing.version)
    if listed(targets, path) != Digest.of(bundle.manifest_bytes):
        raise BadInput(
            f"{existing.model} version {existing.version} is published with other content",
            "A release never changes: convert with a higher --version.",
        )
    return existing


def _seal(payload: bytes, work: Path, name: VariantName) -> _Sealed:
    """The ciphertext of a payload, the same again when an interrupted publishing is repeated."""
    key_file, artifact_file = work / f"{name}.key", work / f"{name}.artifact"
    if key_file.exists() and artifact_file.exists():
        return _Sealed(key_file.read_bytes(), artifact_file.read_bytes())
    key = new_key()
    sealed = _Sealed(key, encrypt(payload, key))
    write_private(artifact_file, sealed.ciphertext)
    write_private(key_file, key)
    return sealed


def _announce(
    bundle: Bundle, sealed: Mapping[VariantName, _Sealed], keys: KeyFolder, client: FleetClient, signer: Signer
) -> ReleaseView:
    artifacts = tuple(
        NewArtifact(variant=name, digest=one.file.digest, length=one.file.length, key=one.key)
        for name, one in sealed.items()
    )
    added = release_targets(bundle.manifest, bundle.manifest_bytes, {name: one.file for name, one in sealed.items()})
    for attempt in range(_RACES):
        targets = sign(next_targets(current_targets(keys, client), added, datetime.now(UTC)), signer)
        wish = NewRelease(manifest=bundle.manifest_bytes, targets=targets.decode(), artifacts=artifacts)
        try:
            release = client.add_release(wish)
        except Rejected as error:
            if error.code != "targets-version" or attempt == _RACES - 1:
                raise
        else:
            keys.keep_targets(targets)
            return release
    raise AssertionError("the loop returns or raises")
