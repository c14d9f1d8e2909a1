"""Releases at the operator door: published whole, listed by model."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Path, Response
from starlette.status import HTTP_200_OK, HTTP_201_CREATED

from edge_contracts.ids import ModelName
from edge_contracts.operations import NewRelease, ReleaseView
from edge_fleet.api.access import Publisher, Reader, TheFleet
from edge_fleet.api.pages import Cursor, Limit, Page, page, read_cursor

router: Final = APIRouter(prefix="/v1", tags=["releases"])

Version = Annotated[int, Path(ge=1, le=2**31)]


@router.post("/releases", status_code=HTTP_201_CREATED, responses={200: {"description": "It was published before"}})
def publish_release(parts: TheFleet, operator: Publisher, request: NewRelease, response: Response) -> ReleaseView:
    """Publish what the publisher has signed and uploaded; the same request again is harmless."""
    view, is_new = parts.releases.publish(request, operator.name)
    response.status_code = HTTP_201_CREATED if is_new else HTTP_200_OK
    return view


@router.get("/models")
def list_models(parts: TheFleet, _operator: Reader, limit: Limit = 100, cursor: Cursor = None) -> Page[ModelName]:
    """The names of all models with a release."""
    after = read_cursor(cursor, str)
    names = parts.releases.models(after[0] if after else None, limit + 1)
    return page(names, limit, lambda name: name, lambda name: (str(name),))


@router.get("/models/{model}/releases")
def list_releases(
    parts: TheFleet, _operator: Reader, model: ModelName, limit: Limit = 20, cursor: Cursor = None
) -> Page[ReleaseView]:
    """A model's releases, the newest first."""
    before = read_cursor(cursor, int)
    views = parts.releases.of_model(model, before[0] if before else None, limit + 1)
    return page(views, limit, lambda view: view, lambda view: (view.version,))


@router.get("/releases/{model}/{version}")
def show_release(parts: TheFleet, _operator: Reader, model: ModelName, version: Version) -> ReleaseView:
    """One release with its manifest."""
    return parts.releases.show(model, version)
