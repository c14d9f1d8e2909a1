"""The operators' door as an application: which routers it has, and how it answers errors."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, FastAPI

from edge_contracts.api import Problem
from edge_fleet.api import alerts, problems, rollouts, stream, telemetry
from edge_fleet.fleet import Fleet

ROUTERS: Final[tuple[APIRouter, ...]] = (rollouts.router, telemetry.router, alerts.router, stream.router)


def operator_door(fleet: Fleet) -> FastAPI:
    """The application of the operator door."""
    app = FastAPI(
        title="Edge fleet server: operator door",
        version="1",
        responses=problems.RESPONSES | {"default": problems.RESPONSES["default"] | {"model": Problem}},
        redoc_url=None,
    )
    app.state.fleet = fleet
    problems.install(app)
    for router in ROUTERS:
        app.include_router(router)
    return app
