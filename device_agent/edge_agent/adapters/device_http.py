"""The device's HTTP: one client with its certificate, bodies with an end, foreign errors turned into `Unreachable`."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import httpx

from edge_agent.adapters.identity import Identity
from edge_agent.ports import Unreachable

TIMEOUT: Final = httpx.Timeout(30.0, connect=10.0)
SLOW_BYTES_PER_SECOND: Final = 256
"""Below this, averaged over `SLOW_AFTER_SECONDS`, a server keeps the device busy rather than serves it."""
SLOW_AFTER_SECONDS: Final = 60.0


RETRY_SECONDS: Final = (0.2, 0.6)
"""Pauses before a request is made again that met a broken connection. A look for an assignment takes some eight
requests: without this, three in ten lost would let hardly one look in twenty come to its end."""
_RANDOM: Final = secrets.SystemRandom()


class TooLong(Exception):
    """A body goes on after the largest length it may have. Reaction: drop the connection, refuse the answer."""


class TooSlow(httpx.TransportError):
    """A body trickles. Reaction: as for a broken connection."""


def device_client(identity: Identity, on_request: Callable[[httpx.Request], None] | None = None) -> httpx.Client:
    """A client for the server's device door; close it when done. Proxies of the environment are not used: the server
    must see the device's certificate. `on_request` is called before each try and may raise httpx.TransportError."""
    return httpx.Client(
        base_url=identity.server,
        timeout=TIMEOUT,
        trust_env=False,
        transport=_Patient(httpx.HTTPTransport(verify=identity.tls, trust_env=False), on_request),
    )


class _Patient(httpx.BaseTransport):
    """Makes a GET again that found no connection, or lost it before the answer began. Silence is waited for once."""

    def __init__(self, network: httpx.BaseTransport, on_request: Callable[[httpx.Request], None] | None) -> None:
        self._network = network
        self._on_request = on_request

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        for pause in RETRY_SECONDS if request.method == "GET" else ():
            try:
                return self._once(request)
            except (httpx.NetworkError, httpx.RemoteProtocolError):
                time.sleep(pause * _RANDOM.uniform(0.5, 1.5))
        return self._once(request)

    def _once(self, request: httpx.Request) -> httpx.Response:
        if self._on_request is not None:
            self._on_request(request)
        return self._network.handle_request(request)

    def close(self) -> None:
        self._network.close()


@contextmanager
def reachable(what: str) -> Iterator[None]:
    """Translate the network's errors inside the block, iteration of bodies included."""
    try:
        yield
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError) as error:
        raise Unreachable(f"{what}: {str(error) or type(error).__name__}") from error


def body(answer: httpx.Response, limit: int) -> Iterator[bytes]:
    """The body as it was sent, in the pieces it came in: what has come is not lost with the connection.

    Raises:
        TooLong: it goes on after `limit` bytes. TooSlow: it trickles. httpx.HTTPError.
    """
    received, begun = 0, time.monotonic()
    for chunk in answer.iter_raw():
        received += len(chunk)
        if received > limit:
            raise TooLong(f"more than {limit} bytes")
        elapsed = time.monotonic() - begun
        if elapsed > SLOW_AFTER_SECONDS and received < elapsed * SLOW_BYTES_PER_SECOND:
            raise TooSlow(f"{received} bytes in {elapsed:.0f} s")
        yield chunk
