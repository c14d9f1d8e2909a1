"""The devices' door as an application: enrolment, assignment, signed metadata, targets, artifacts with ranges."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, FastAPI, Header, Response
from fastapi.responses import StreamingResponse
from starlette.status import HTTP_204_NO_CONTENT, HTTP_206_PARTIAL_CONTENT

from edge_contracts.api import (
    ARTIFACTS_PATH,
    ASSIGNMENT_PATH,
    ENROL_PATH,
    METADATA_PATH,
    TARGETS_PATH,
    EnrolmentRequest,
    EnrolmentResponse,
    Problem,
)
from edge_contracts.ids import Digest
from edge_fleet.api import problems
from edge_fleet.api.access import TheFleet
from edge_fleet.api.artifacts import Hex
from edge_fleet.api.bodies import BodyLimit
from edge_fleet.api.device_access import CallingDevice
from edge_fleet.domain.ranges import ByteRange, Unsatisfiable, parse_range
from edge_fleet.errors import NotFound
from edge_fleet.fleet import Fleet

Responses = dict[int | str, dict[str, Any]]
router: Final = APIRouter(tags=["device"])

_JSON: Final = "application/json"
_FRESH: Final = {"Cache-Control": "no-store"}
_FOREVER: Final = {"Cache-Control": "private, max-age=31536000, immutable"}
_FILE: Final[Responses] = {200: {"content": {"application/octet-stream": {}}}}
_SIGNED: Final[Responses] = {200: {"content": {_JSON: {}}}}


def device_door(fleet: Fleet) -> FastAPI:
    """The application of the device door."""
    app = FastAPI(
        title="Edge fleet server: device door",
        version="1",
        responses=problems.RESPONSES | {"default": problems.RESPONSES["default"] | {"model": Problem}},
        docs_url=None,  # their pages would load scripts from elsewhere; the document itself is at /openapi.json
        redoc_url=None,
    )
    app.state.fleet = fleet
    problems.install(app)
    app.add_middleware(BodyLimit)
    app.include_router(router)
    return app


@router.post(ENROL_PATH)
def enrol(parts: TheFleet, request: EnrolmentRequest) -> EnrolmentResponse:
    """An identity for the bearer of a one-time token; the one request without a certificate."""
    return parts.enrolment.enrol(request)


@router.get(ASSIGNMENT_PATH, response_class=Response, responses=_SIGNED | {204: {"description": "Nothing"}})
def assignment(parts: TheFleet, device: CallingDevice) -> Response:
    """What this device shall run, signed and fresh; 204 when there is nothing."""
    with parts.database.read() as session:
        row = parts.assignments.current(session, device.id)
    if row is not None and parts.assignments.is_stale(row, parts.clock()):
        with parts.database.write() as session:
            row = parts.assignments.renew(session, device.id, parts.clock())
    if row is None:
        return Response(status_code=HTTP_204_NO_CONTENT, headers=_FRESH)
    return Response(parts.assignments.sign(row), media_type=_JSON, headers=_FRESH)


@router.get(METADATA_PATH + "{file}", response_class=Response, responses=_SIGNED)
def metadata(parts: TheFleet, _device: CallingDevice, file: str) -> Response:
    """A file of TUF metadata."""
    return Response(parts.files.read_metadata(file), media_type=_JSON, headers=_FRESH)


@router.get(TARGETS_PATH + "{path:path}", response_class=Response, responses=_FILE)
def target(parts: TheFleet, _device: CallingDevice, path: str) -> Response:
    """A small target (manifest, director's key) by its consistent-snapshot name."""
    return Response(parts.files.read_target(path), media_type="application/octet-stream", headers=_FOREVER)


@router.get(
    ARTIFACTS_PATH + "{digest}",
    response_class=StreamingResponse,
    responses=_FILE | {206: {"description": "Part of it"}, 416: {"description": "No such part"}},
)
def artifact(
    parts: TheFleet,
    _device: CallingDevice,
    digest: Hex,
    asked: Annotated[str | None, Header(alias="Range", max_length=256)] = None,
    if_range: Annotated[str | None, Header(max_length=128)] = None,
) -> Response:
    """Ciphertext, whole or a byte range of it (RFC 9110, section 14)."""
    name = Digest(f"sha256:{digest}")
    size = parts.blobs.size(name)
    if size is None:
        raise NotFound("artifact-unknown", f"There is no artifact {name}", "Look for a fresh assignment.")
    tag = f'"{name.hex}"'
    headers = {**_FOREVER, "Accept-Ranges": "bytes", "ETag": tag}
    try:
        part = parse_range(asked, size) if if_range in (None, tag) else None
    except Unsatisfiable:
        return problems.unsatisfiable(size)
    whole = ByteRange(0, size)
    if part is not None:
        headers["Content-Range"] = part.content_range(size)
    sent = part or whole
    headers["Content-Length"] = str(sent.stop - sent.start)
    return StreamingResponse(
        parts.blobs.read(name, sent.start, sent.stop),
        status_code=200 if part is None else HTTP_206_PARTIAL_CONTENT,
        headers=headers,
        media_type="application/octet-stream",
    )
