"""Every error as `application/problem+json` (RFC 9457), by one table from error class to status."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from edge_contracts.api import Problem
from edge_contracts.errors import Malformed, Refused
from edge_fleet.errors import (
    Conflict,
    FleetError,
    Forbidden,
    NoSpace,
    NotFound,
    Rejected,
    TooLarge,
    Unauthenticated,
    Unavailable,
)

_log = logging.getLogger(__name__)
MEDIA_TYPE: Final = "application/problem+json"

STATUS: Final[dict[type[FleetError], HTTPStatus]] = {
    NotFound: HTTPStatus.NOT_FOUND,
    Conflict: HTTPStatus.CONFLICT,
    Rejected: HTTPStatus.UNPROCESSABLE_ENTITY,
    Unauthenticated: HTTPStatus.UNAUTHORIZED,
    Forbidden: HTTPStatus.FORBIDDEN,
    TooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    NoSpace: HTTPStatus.INSUFFICIENT_STORAGE,
    Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
}
_HEADERS: Final[dict[HTTPStatus, dict[str, str]]] = {
    HTTPStatus.UNAUTHORIZED: {"WWW-Authenticate": "Bearer"},
    HTTPStatus.SERVICE_UNAVAILABLE: {"Retry-After": "5"},
}

RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    "default": {
        "description": "An error: `code` is stable, `hint` says what to do",
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
}
"""For the OpenAPI document of every endpoint."""


def problem(error: FleetError) -> Response:
    """The answer to an error of the server's own."""
    status = next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), HTTPStatus.INTERNAL_SERVER_ERROR)
    return _answer(status, error.code, str(error), error.hint, _HEADERS.get(status))


def unsatisfiable(size: int) -> Response:
    """The answer to a range that has no byte of a file of `size` bytes (RFC 9110, section 15.5.17)."""
    hint = "Ask for bytes before the end."
    headers = {"Content-Range": f"bytes */{size}"}
    status = HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
    return _answer(status, "range-unsatisfiable", f"The file has {size} bytes", hint, headers)


def install(app: FastAPI) -> None:
    """Let `app` answer every error this way, those of the framework included."""
    app.add_exception_handler(FleetError, _fleet_error)
    app.add_exception_handler(Malformed, _malformed)
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _framework)
    app.add_exception_handler(Exception, _unforeseen)


async def _fleet_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, FleetError)
    return problem(error)


async def _malformed(_request: Request, error: Exception) -> Response:
    return _answer(HTTPStatus.UNPROCESSABLE_ENTITY, "malformed", str(error), "Correct the content.")


async def _refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return _answer(HTTPStatus.UNPROCESSABLE_ENTITY, str(error.reason), str(error), error.hint)


async def _invalid(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    hint = "See /openapi.json for the form of this request."
    return _answer(HTTPStatus.UNPROCESSABLE_ENTITY, "request-invalid", f"{place}: {first['msg']}", hint)


async def _framework(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    code = status.phrase.lower().replace(" ", "-")
    return _answer(status, code, str(error.detail), "See /openapi.json for what is offered here.", error.headers)


async def _unforeseen(request: Request, error: Exception) -> Response:
    _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    hint = "This is a defect of the server: see its log, and report it."
    return _answer(HTTPStatus.INTERNAL_SERVER_ERROR, "internal", "The server failed to answer", hint)


def _answer(status: HTTPStatus, code: str, detail: str, hint: str, headers: Any = None) -> Response:
    body = Problem(title=status.phrase, status=status, detail=detail, code=code, hint=hint)
    return Response(body.model_dump_json(), status, dict(headers or {}), MEDIA_TYPE)
