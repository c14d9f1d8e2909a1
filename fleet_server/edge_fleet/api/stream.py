"""`/v1/stream`: server-sent events that say what kind of thing has changed, so that a page can ask again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse

from edge_fleet.api.access import Reader, TheFleet
from edge_fleet.services.changes import Changes, Kind

router: Final = APIRouter(tags=["stream"])

KEEP_ALIVE_SECONDS: Final = 15.0
SETTLE_SECONDS: Final = 0.2
"""Changes that come within this time are told once each."""
HEADERS: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


@router.get("/v1/stream")
async def stream_changes(request: Request, fleet: TheFleet, _operator: Reader) -> StreamingResponse:
    """Events of the form `data: {"changed": "devices"}`; a comment every 15 s keeps proxies patient."""
    return event_stream(request, fleet.changes)


def event_stream(request: Request, changes: Changes) -> StreamingResponse:
    """The stream, for whoever may read."""
    return StreamingResponse(events(request, changes), media_type="text/event-stream", headers=HEADERS)


async def events(request: Request, changes: Changes) -> AsyncIterator[str]:
    """What has changed, until the reader goes away."""
    loop = asyncio.get_running_loop()
    changed: set[Kind] = set()
    news = asyncio.Event()

    def note(kind: Kind) -> None:
        changed.add(kind)
        news.set()

    def tell(kind: Kind) -> None:
        loop.call_soon_threadsafe(note, kind)

    end = changes.listen(tell)
    try:
        yield "retry: 2000\n: ready\n\n"
        while not await request.is_disconnected():
            try:
                await asyncio.wait_for(news.wait(), KEEP_ALIVE_SECONDS)
            except TimeoutError:
                yield ": still here\n\n"
                continue
            await asyncio.sleep(SETTLE_SECONDS)
            told = sorted(changed)
            changed.clear()
            news.clear()
            for kind in told:
                yield f"data: {json.dumps({'changed': kind})}\n\n"
    finally:
        end()
