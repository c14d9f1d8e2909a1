"""Serves both doors in one event loop by uvicorn, on sockets that are bound before anything else starts."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import uvicorn

from edge_fleet.errors import CannotStart

GRACE_SECONDS: Final = 5
"""How long requests under way may take after the signal to stop; event streams never end by themselves."""


@dataclass(frozen=True)
class Door:
    """An application, the socket it is served on, and what makes it TLS."""

    app: Any
    listening: socket.socket
    protocol: type[asyncio.Protocol] | None = None
    tls: ssl.SSLContext | None = None


class _Server(uvicorn.Server):
    """uvicorn without signal handlers of its own, as there are two in this process; tells when it answers."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.answers = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """From here on connections are accepted."""
        await super().startup(sockets)
        self.answers.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield


def bind(name: str, host: str, port: int, option: str) -> socket.socket:
    """A socket bound to the address, not yet listening. `option` is how a person names another port.

    Raises:
        CannotStart: the port is in use, not allowed, or the host is not one of this machine.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind, protocol)
    except OSError as error:
        raise _cannot_use(name, host, port, option, error) from error
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError as error:
        bound.close()
        raise _cannot_use(name, host, port, option, error) from error
    return bound


def _cannot_use(name: str, host: str, port: int, option: str, error: OSError) -> CannotStart:
    message = f"The {name} cannot use {host}:{port}: {error.strerror or error}"
    hint = f"Stop what uses it, or choose another port with {option} (0 takes a free one)."
    return CannotStart("port-in-use", message, hint)


def serve(doors: list[Door], ready: Callable[[], None]) -> None:
    """Serve until SIGTERM or SIGINT. `ready` is called once every door answers."""
    asyncio.run(_serve(doors, ready))


async def _serve(doors: list[Door], ready: Callable[[], None]) -> None:
    servers = [_Server(_configuration(door)) for door in doors]
    loop = asyncio.get_running_loop()

    def stop() -> None:
        for server in servers:
            server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    running = [asyncio.create_task(server.serve([door.listening])) for server, door in zip(servers, doors, strict=True)]
    for server in servers:
        await server.answers.wait()
    ready()
    await asyncio.gather(*running)


def _configuration(door: Door) -> uvicorn.Config:
    tls = door.tls
    return uvicorn.Config(
        door.app,
        http=door.protocol or "httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
        ssl_context_factory=None if tls is None else lambda _config, _default: tls,
    )
