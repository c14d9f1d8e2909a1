"""Puts the client certificate of a TLS connection into every request's scope. uvicorn does not do it by itself."""

from __future__ import annotations

import asyncio
import ssl
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

PEER_CERTIFICATE: Final = "edge_fleet.peer_certificate"
"""Key in the ASGI scope: DER bytes, verified by TLS up to our authority; None when the client showed none."""


class PeerCertificateProtocol(HttpToolsProtocol):
    """uvicorn's HTTP/1.1 protocol, with the peer's certificate in the scope."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """One certificate for the whole connection."""
        super().connection_made(transport)
        tls: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
        certificate = tls.getpeercert(binary_form=True) if tls is not None else None
        self.app = _with_certificate(self.app, certificate)


def _with_certificate(app: ASGIApp, certificate: bytes | None) -> ASGIApp:
    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        scope[PEER_CERTIFICATE] = certificate
        await app(scope, receive, send)

    return wrapped
