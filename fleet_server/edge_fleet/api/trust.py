"""Trust at the operator door: the server's online keys out, the owner's signed metadata in, and all of it to read."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Path, Response
from starlette.status import HTTP_204_NO_CONTENT

from edge_contracts.operations import OnlineKeys, Trust
from edge_fleet.api.access import Publisher, Reader, TheFleet

router: Final = APIRouter(prefix="/v1", tags=["trust"])

ROLES: Final = ("root", "targets", "snapshot")


@router.get("/trust/keys")
def show_online_keys(parts: TheFleet, _operator: Reader) -> OnlineKeys:
    """Public halves of the server's keys, for the owner's root and targets."""
    return parts.repository.online_keys()


@router.put("/trust", status_code=HTTP_204_NO_CONTENT)
def put_trust(parts: TheFleet, operator: Publisher, trust: Trust) -> None:
    """The owner's first or next root with its targets. Sending the same again is harmless."""
    parts.repository.put_trust(trust, operator.name)
    parts.changes.notify("audit")


@router.get("/metadata/{file}", response_class=Response, responses={200: {"content": {"application/json": {}}}})
def show_metadata(parts: TheFleet, _operator: Reader, file: Annotated[str, Path(max_length=64)]) -> Response:
    """A file of TUF metadata as stored; `<role>.json` is the newest of its role."""
    role = file.removesuffix(".json")
    body = parts.repository.current(role) if role in ROLES else parts.files.read_metadata(file)
    return Response(body, media_type="application/json", headers={"Cache-Control": "no-store"})
