"""`/v1/stream`: server-sent events that say what kind of thing has changed, so that a program can ask again."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse

from edge_fleet.api.access import Reader, TheFleet
from edge_fleet.services.news import HEADERS, MEDIA_TYPE, news

router: Final = APIRouter(tags=["stream"])


@router.get("/v1/stream")
async def stream_changes(request: Request, fleet: TheFleet, _operator: Reader) -> StreamingResponse:
    """Events of the form `data: {"changed": "devices"}`; a comment every 15 s keeps proxies patient."""
    return StreamingResponse(news(fleet.changes, request.is_disconnected), media_type=MEDIA_TYPE, headers=HEADERS)
