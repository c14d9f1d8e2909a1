"""Limits how many bytes a request body may have, before anything is read and while it is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from edge_fleet.api.problems import problem
from edge_fleet.errors import TooLarge

DEFAULT_BYTES: Final = 256 * 1024


@dataclass(frozen=True)
class BodyLimit:
    """ASGI middleware. `limits` are (method, path prefix, bytes); the first that matches holds, else the default."""

    app: ASGIApp
    limits: tuple[tuple[str, str, int], ...] = ()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 413 to what announces too much; cut off what sends more than it announced."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limit = self._limit(scope["method"], scope["path"])
        if _announced(scope) > limit:
            await problem(_too_large(limit))(scope, receive, send)
            return
        await self.app(scope, _counted(receive, limit), send)

    def _limit(self, method: str, path: str) -> int:
        matching = (size for verb, prefix, size in self.limits if verb == method and path.startswith(prefix))
        return next(matching, DEFAULT_BYTES)


def _announced(scope: Scope) -> int:
    value = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
    return int(value) if value.isdigit() else 0


def _counted(receive: Receive, limit: int) -> Receive:
    seen = 0

    async def counted() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > limit:
            raise _too_large(limit)
        return message

    return counted


def _too_large(limit: int) -> TooLarge:
    return TooLarge("body-too-large", f"At most {limit} bytes are taken here", "Send less.")
