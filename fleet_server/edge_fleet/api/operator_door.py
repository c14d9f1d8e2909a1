"""The operators' door as an application: which routers it has, and how it answers errors."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, FastAPI

from edge_contracts.api import Problem
from edge_contracts.operations import MAX_ARTIFACT_BYTES
from edge_fleet.api import (
    alerts,
    artifacts,
    audit,
    devices,
    health,
    problems,
    releases,
    rollouts,
    stream,
    telemetry,
    tokens,
    trust,
)
from edge_fleet.api.bodies import BodyLimit
from edge_fleet.fleet import Fleet

ROUTERS: Final[tuple[APIRouter, ...]] = (
    health.router,
    tokens.router,
    devices.router,
    trust.router,
    artifacts.router,
    releases.router,
    rollouts.router,
    telemetry.router,
    alerts.router,
    audit.router,
    stream.router,
)

BODY_LIMITS: Final = (
    ("PUT", "/v1/artifacts/", MAX_ARTIFACT_BYTES),
    ("POST", "/v1/releases", 16 * 1024 * 1024),
    ("PUT", "/v1/trust", 16 * 1024 * 1024),
)
"""Method, path and bytes; a manifest has at most 4 MiB (a third more in base64), targets metadata 5 MB."""


def operator_door(fleet: Fleet) -> FastAPI:
    """The application of the operator door."""
    app = FastAPI(
        title="Edge fleet server: operator door",
        version="1",
        responses=problems.RESPONSES | {"default": problems.RESPONSES["default"] | {"model": Problem}},
        docs_url=None,  # their pages would load scripts from elsewhere; the document itself is at /openapi.json
        redoc_url=None,
    )
    app.state.fleet = fleet
    problems.install(app)
    app.add_middleware(BodyLimit, limits=BODY_LIMITS)
    for router in ROUTERS:
        app.include_router(router)
    return app
