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
        body = _CountedBody(receive, limit)
        try:
            await self.app(scope, body.receive, body.silenced(send))
        except TooLarge:
            if not body.exceeded:
                raise
        if body.exceeded and not body.answered:
            await problem(_too_large(limit))(scope, receive, send)

    def _limit(self, method: str, path: str) -> int:
        matching = (size for verb, prefix, size in self.limits if verb == method and path.startswith(prefix))
        return next(matching, DEFAULT_BYTES)


def _announced(scope: Scope) -> int:
    value = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
    return int(value) if value.isdigit() else 0


class _CountedBody:
    """A body that ends with TooLarge at its limit. The framework would turn that into an answer of its own, so what it
    says from then on is dropped."""

    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive = receive
        self._left = limit
        self._limit = limit
        self.exceeded = False
        self.answered = False

    async def receive(self) -> Message:
        """The next piece."""
        message = await self._receive()
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            self.exceeded = True
            raise _too_large(self._limit)
        return message

    def silenced(self, send: Send) -> Send:
        """`send` until the limit is exceeded, then nothing."""

        async def forward(message: Message) -> None:
            if not self.exceeded or self.answered:
                self.answered = True
                await send(message)

        return forward


def _too_large(limit: int) -> TooLarge:
    return TooLarge("body-too-large", f"At most {limit} bytes are taken here", "Send less.")
