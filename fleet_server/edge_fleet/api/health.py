"""Whether the server is up. Needs no token, and tells a stranger nothing else."""

from __future__ import annotations

from importlib.metadata import version
from typing import Final, Literal

from fastapi import APIRouter
from pydantic import BaseModel

from edge_fleet.api.access import TheFleet

router: Final = APIRouter(tags=["health"])


class Health(BaseModel):
    """`status` is `degraded` while the broker is away: devices then poll."""

    status: Literal["ok", "degraded"]
    version: str
    broker_connected: bool


@router.get("/v1/health")
def health(parts: TheFleet) -> Health:
    """Is the server up, and does its broker answer?"""
    connected = parts.link.connected
    return Health(status="ok" if connected else "degraded", version=version("edge-sdk"), broker_connected=connected)
