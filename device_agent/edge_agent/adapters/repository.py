"""The server's signed metadata and assignment over HTTP: python-tuf verifies, httpx fetches."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import Final
from urllib.parse import urljoin

import httpx
from tuf.api import exceptions as tuf
from tuf.ngclient import FetcherInterface, Updater, UpdaterConfig

from edge_agent.adapters.device_http import TooLong, body, reachable
from edge_agent.adapters.durable import private_folder
from edge_agent.core.storage import StorageFailed
from edge_agent.ports import Unreachable
from edge_contracts.api import ASSIGNMENT_PATH, METADATA_PATH, TARGETS_PATH
from edge_contracts.assignments import MAX_ENVELOPE_BYTES
from edge_contracts.errors import Refused
from edge_contracts.ids import Digest
from edge_contracts.manifest import MAX_MANIFEST_BYTES, FileRef
from edge_contracts.reasons import Reason

FOLDER: Final = "metadata"
MAX_KEPT_TARGETS: Final = 4
"""Targets kept on disk so that they need not be fetched at each look."""
_CONFIG: Final = UpdaterConfig(prefix_targets_with_hash=True)


class TufRepository:
    """The agent's `Repository`. `root` is the owner's root metadata from enrolment: the anchor of every check."""

    def __init__(self, client: httpx.Client, folder: Path, root: bytes) -> None:
        self._client = client
        self._metadata = folder / "roles"
        self._targets = folder / "targets"
        self._root = root
        self._updater: Updater | None = None

    def refresh(self, now: datetime) -> None:
        """See `Repository`. The root chain is walked from the anchor, version by version."""
        self._updater = None
        with _verified("the metadata"):
            private_folder(self._metadata)
            private_folder(self._targets)
            updater = Updater(
                metadata_dir=str(self._metadata),
                metadata_base_url=_url(self._client, METADATA_PATH),
                target_dir=str(self._targets),
                target_base_url=_url(self._client, TARGETS_PATH),
                fetcher=_Fetcher(self._client),
                config=_CONFIG,
                bootstrap=self._root,
            )
            # python-tuf asks the system clock; a device's may be behind what signed metadata has proved.
            updater._trusted_set.reference_time = now
            updater.refresh()
        self._updater = updater

    def target(self, path: str) -> FileRef | None:
        """See `Repository`."""
        with _verified(path):
            info = self._fresh().get_targetinfo(path)
        if info is None:
            return None
        if "sha256" not in info.hashes:
            raise Refused(Reason.METADATA_INVALID, f"{path} is signed without a SHA-256 digest")
        return FileRef(digest=Digest(f"sha256:{info.hashes['sha256']}"), length=info.length)

    def read_target(self, path: str) -> bytes:
        """See `Repository`. Targets larger than a manifest may be are refused before they are fetched."""
        with _verified(path):
            info = self._fresh().get_targetinfo(path)
            if info is None:
                raise Refused(Reason.METADATA_INVALID, f"{path} is not signed by the owner's publishers")
            if info.length > MAX_MANIFEST_BYTES:
                raise Refused(Reason.METADATA_INVALID, f"{path} is {info.length} bytes, at most {MAX_MANIFEST_BYTES}")
            held = Path(self._fresh().find_cached_target(info) or self._fresh().download_target(info))
            data = held.read_bytes()
            # What is used is what is verified, whatever became of the file in between.
            info.verify_length_and_hashes(data)
            self._forget_all_but(held)
            return data

    def assignment(self) -> bytes | None:
        """See `Repository`."""
        with reachable(ASSIGNMENT_PATH), self._client.stream("GET", ASSIGNMENT_PATH) as answer:
            if answer.status_code == HTTPStatus.NO_CONTENT:
                return None
            if answer.status_code != HTTPStatus.OK:
                raise Unreachable(f"{ASSIGNMENT_PATH}: status {answer.status_code}")
            try:
                return b"".join(body(answer, MAX_ENVELOPE_BYTES))
            except TooLong as error:
                raise Refused(Reason.ASSIGNMENT_MALFORMED, str(error)) from error

    def _forget_all_but(self, held: Path) -> None:
        """Keep the target just read and the few before it: a device sees many manifests in its life."""
        others = sorted(
            (path for path in self._targets.iterdir() if path != held), key=lambda path: path.stat().st_mtime
        )
        for path in others[: -MAX_KEPT_TARGETS + 1]:
            path.unlink(missing_ok=True)

    def _fresh(self) -> Updater:
        if self._updater is None:
            raise Unreachable("the metadata has not been refreshed")
        return self._updater


class _Fetcher(FetcherInterface):
    """python-tuf's port to the network. It translates only errors of the call, so those of the body are here."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def _fetch(self, url: str) -> Iterator[bytes]:
        try:
            with self._client.stream("GET", url) as answer:
                if answer.status_code != HTTPStatus.OK:
                    raise tuf.DownloadHTTPError(f"{url}: status {answer.status_code}", answer.status_code)
                # python-tuf counts the bytes against the signed length; this is the bound on any of its files.
                yield from body(answer, _CONFIG.targets_max_length)
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, TooLong, OSError) as error:
            raise tuf.DownloadError(f"{url}: {str(error) or type(error).__name__}") from error


def _url(client: httpx.Client, path: str) -> str:
    return urljoin(str(client.base_url), path)


@contextmanager
def _verified(what: str) -> Iterator[None]:
    """Translate python-tuf's errors: network trouble may be retried, bad signatures may not."""
    try:
        yield
    except tuf.ExpiredMetadataError as error:
        raise Refused(Reason.METADATA_EXPIRED, str(error)) from error
    except (tuf.RepositoryError, tuf.DownloadLengthMismatchError) as error:
        raise Refused(Reason.METADATA_INVALID, f"{what}: {error}") from error
    except tuf.DownloadError as error:
        raise Unreachable(f"{what}: {error}") from error
    except OSError as error:
        raise StorageFailed(
            f"{what} could not be kept: {error.strerror or error}", "Free space on the disk."
        ) from error
