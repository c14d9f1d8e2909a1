"""Artifacts at the operator door: ciphertext in, as a stream, under the digest of its bytes."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Path, Request, Response
from fastapi.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect
from starlette.status import HTTP_200_OK, HTTP_201_CREATED

from edge_contracts.ids import Digest
from edge_contracts.operations import MAX_ARTIFACT_BYTES
from edge_fleet.api.access import Publisher, TheFleet
from edge_fleet.errors import Rejected
from edge_fleet.ports import Upload

router: Final = APIRouter(prefix="/v1/artifacts", tags=["artifacts"])

PIECE_BYTES: Final = 1024 * 1024
Hex = Annotated[str, Path(pattern="^[0-9a-f]{64}$", description="SHA-256 of the bytes, hexadecimal")]


@router.put(
    "/{digest}",
    status_code=HTTP_201_CREATED,
    response_class=Response,
    responses={200: {"description": "It was here already"}},
    openapi_extra={"requestBody": {"required": True, "content": {"application/octet-stream": {}}}},
)
async def put_artifact(parts: TheFleet, _operator: Publisher, digest: Hex, request: Request) -> Response:
    """Keep the body as an artifact. 200 when it is here already, else 201 once it is safely stored."""
    name = Digest(f"sha256:{digest}")
    if await run_in_threadpool(parts.blobs.size, name) is not None:
        return Response(status_code=HTTP_200_OK)
    upload = await run_in_threadpool(parts.blobs.upload, name, MAX_ARTIFACT_BYTES)
    try:
        await _take(request, upload)
        await run_in_threadpool(upload.finish)
    except ClientDisconnect as error:
        raise Rejected("artifact-cut-short", "The upload ended before its end", "Send it again.") from error
    finally:
        await run_in_threadpool(upload.abandon)
    return Response(status_code=HTTP_201_CREATED)


async def _take(request: Request, upload: Upload) -> None:
    """Write in large pieces: each one is a trip to a thread."""
    waiting = bytearray()
    async for piece in request.stream():
        waiting += piece
        if len(waiting) >= PIECE_BYTES:
            await run_in_threadpool(upload.write, bytes(waiting))
            waiting.clear()
    await run_in_threadpool(upload.write, bytes(waiting))
