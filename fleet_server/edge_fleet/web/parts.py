"""How a page gets the server's parts."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, cast

from fastapi import Depends, Request

from edge_fleet.fleet import Fleet


def fleet(request: Request) -> Fleet:
    """The parts that the composition root put into the application."""
    return cast("Fleet", request.app.state.fleet)


TheFleet = Annotated[Fleet, Depends(fleet)]


def silent_before(parts: Fleet) -> datetime:
    """Devices not heard of since then are silent."""
    return parts.clock() - timedelta(seconds=parts.settings.rhythm.silent_after_seconds)
