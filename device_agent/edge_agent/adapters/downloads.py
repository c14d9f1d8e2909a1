"""Ciphertext by ranged GET (RFC 9110, section 14), resumed from what is on disk, never longer than signed."""

from __future__ import annotations

import re
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

import httpx

from edge_agent.adapters.device_http import TooLong, body
from edge_agent.adapters.releases import ReleaseFolder
from edge_agent.core.budgets import Attempt
from edge_contracts.api import ARTIFACTS_PATH
from edge_contracts.errors import Refused
from edge_contracts.manifest import FileRef
from edge_contracts.reasons import Reason

_CONTENT_RANGE: Final = re.compile(r"bytes (\d+)-\d+/(\d+)")


class HttpDownloads:
    """The updater's `Downloads` from the server's device door."""

    def __init__(self, client: httpx.Client, releases: ReleaseFolder) -> None:
        self._client = client
        self._releases = releases

    def attempt(self, artifact: FileRef, stop: Callable[[], bool], progress: Callable[[int], None]) -> Attempt:
        """See `Downloads`."""
        offset = self._releases.fetched(artifact.digest)
        if offset > artifact.length:
            self._releases.discard(artifact.digest)
            offset = 0
        if offset == artifact.length:
            return Attempt(0, complete=True)
        headers = {"accept-encoding": "identity"} | ({"range": f"bytes={offset}-"} if offset else {})
        received = 0
        try:
            with self._client.stream("GET", ARTIFACTS_PATH + artifact.digest.hex, headers=headers) as answer:
                if answer.status_code not in {HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT}:
                    return self._turned_away(artifact, answer)
                start = _start(answer, artifact, offset)
                with self._releases.receiving(artifact.digest) as file:
                    file.truncate(start)
                    for chunk in body(answer, artifact.length - start):
                        file.write(chunk)
                        received += len(chunk)
                        progress(start + received)
                        if stop():
                            return Attempt(received, complete=False)
        except TooLong as error:
            raise Refused(Reason.ARTIFACT_LENGTH, f"{error}, {artifact.length} signed") from error
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            return Attempt(received, complete=False, problem=f"{str(error) or type(error).__name__}")
        whole = self._releases.fetched(artifact.digest) == artifact.length
        return Attempt(received, complete=whole, problem="" if whole else "the body ended early")

    def _turned_away(self, artifact: FileRef, answer: httpx.Response) -> Attempt:
        if answer.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            self._releases.discard(artifact.digest)
        return Attempt(0, complete=False, problem=f"status {answer.status_code}")


def _start(answer: httpx.Response, artifact: FileRef, offset: int) -> int:
    """Where in the artifact the body begins: a server may ignore the range and send the whole.

    Raises:
        Refused: artifact-length, when the server's file is not of the signed length.
    """
    if answer.status_code == HTTPStatus.OK:
        start, total = 0, answer.headers.get("content-length", "")
    else:
        named = _CONTENT_RANGE.fullmatch(answer.headers.get("content-range", ""))
        start, total = (int(named[1]), named[2]) if named else (-1, "")
    if total.isdigit() and int(total) != artifact.length:
        raise Refused(Reason.ARTIFACT_LENGTH, f"the server has {total} bytes, {artifact.length} signed")
    if start not in {0, offset}:
        raise httpx.RemoteProtocolError(f"asked for bytes from {offset}, was sent {start}")
    return start
