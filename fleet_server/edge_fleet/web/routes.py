"""Routes whose errors are pages: a person who follows a stale link reads a sentence, not JSON."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final
from urllib.parse import quote

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse
from fastapi.routing import APIRoute

from edge_fleet.errors import Conflict, FleetError, Forbidden, NotFound, Unavailable
from edge_fleet.web.rendering import render
from edge_fleet.web.sessions import LoginNeeded

STATUS: Final[dict[type[FleetError], HTTPStatus]] = {
    NotFound: HTTPStatus.NOT_FOUND,
    Conflict: HTTPStatus.CONFLICT,
    Forbidden: HTTPStatus.FORBIDDEN,
    Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
}


class PageRoute(APIRoute):
    """A route for people."""

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]
        """The handler, with errors as pages."""
        handle = super().get_route_handler()

        async def handled(request: Request) -> Response:
            try:
                return await handle(request)
            except LoginNeeded:
                after = request.url.path if request.method == "GET" else "/"
                return RedirectResponse(f"/login?after={quote(after)}", HTTPStatus.SEE_OTHER)
            except FleetError as error:
                status = next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), HTTPStatus.BAD_REQUEST)
                return _page(request, status, str(error), error.hint)
            except RequestValidationError:
                return _page(request, HTTPStatus.NOT_FOUND, "There is no such page.", "Follow a link of the dashboard.")

        return handled


def _page(request: Request, status: HTTPStatus, message: str, hint: str) -> Response:
    return render(request, "error.html", None, code=status, title=status.phrase, message=message, hint=hint)
