"""Changes as a stream of server-sent events, for a page or a program that asks again when something has changed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

from edge_fleet.services.changes import Changes, Kind

KEEP_ALIVE_SECONDS: Final = 15.0
SETTLE_SECONDS: Final = 0.2
"""Changes that come within this time are told once each."""
HEADERS: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
MEDIA_TYPE: Final = "text/event-stream"


async def news(changes: Changes, is_gone: Callable[[], Awaitable[bool]]) -> AsyncIterator[str]:
    """Events of the form `data: {"changed": "devices"}` until the reader is gone; a comment now and then keeps
    proxies patient."""
    loop = asyncio.get_running_loop()
    changed: set[Kind] = set()
    woken = asyncio.Event()

    def note(kind: Kind) -> None:
        changed.add(kind)
        woken.set()

    def tell(kind: Kind) -> None:
        loop.call_soon_threadsafe(note, kind)

    end = changes.listen(tell)
    try:
        yield "retry: 2000\n: ready\n\n"
        while not await is_gone():
            try:
                await asyncio.wait_for(woken.wait(), KEEP_ALIVE_SECONDS)
            except TimeoutError:
                yield ": still here\n\n"
                continue
            await asyncio.sleep(SETTLE_SECONDS)
            told = sorted(changed)
            changed.clear()
            woken.clear()
            for kind in told:
                yield f"data: {json.dumps({'changed': kind})}\n\n"
    finally:
        end()
