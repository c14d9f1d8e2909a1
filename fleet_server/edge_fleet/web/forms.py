"""What a person can do on the dashboard: log in and out, move a rollout, acknowledge an alert. Always by POST."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.status import HTTP_303_SEE_OTHER, HTTP_401_UNAUTHORIZED

from edge_contracts.operations import RolloutState, Scope
from edge_fleet.domain.rollouts import OPERATOR_VERBS, TRANSITIONS, Verb
from edge_fleet.errors import Forbidden, Unauthenticated
from edge_fleet.services import alerts, rollouts
from edge_fleet.services.tokens import find_operator
from edge_fleet.web.parts import TheFleet
from edge_fleet.web.rendering import render
from edge_fleet.web.routes import PageRoute
from edge_fleet.web.sessions import COOKIE, FormDeployer, remember

router: Final = APIRouter(include_in_schema=False, route_class=PageRoute)

LABELS: Final[dict[Verb, str]] = {
    Verb.START: "Start",
    Verb.PAUSE: "Pause",
    Verb.RESUME: "Resume",
    Verb.ABORT: "Abort",
    Verb.ROLL_BACK: "Roll back",
}
"""The buttons, in the order in which they stand."""


def verbs_for(state: RolloutState) -> list[tuple[Verb, str]]:
    """The verbs that apply now, with their labels."""
    return [(verb, label) for verb, label in LABELS.items() if (state, verb) in TRANSITIONS and verb in OPERATOR_VERBS]


@router.get("/login")
def login_page(request: Request, after: str = "/") -> HTMLResponse:
    """Asks for the operator token."""
    return render(request, "login.html", None, after=_local(after), message="")


@router.post("/login")
def login(
    request: Request,
    fleet: TheFleet,
    token: Annotated[str, Form(max_length=256)],
    after: Annotated[str, Form(max_length=512)] = "/",
) -> Response:
    """Check the token and remember it in this browser."""
    secret = token.strip()
    try:
        with fleet.database.read() as session:
            find_operator(session, secret, fleet.clock()).must(Scope.READ)
    except (Unauthenticated, Forbidden) as error:
        message = f"{error}. {error.hint}"
        return render(request, "login.html", None, code=HTTP_401_UNAUTHORIZED, after=_local(after), message=message)
    response = RedirectResponse(_local(after), HTTP_303_SEE_OTHER)
    remember(request, response, secret)
    return response


@router.post("/logout")
def logout() -> Response:
    """Forget the token in this browser."""
    response = RedirectResponse("/login", HTTP_303_SEE_OTHER)
    response.delete_cookie(COOKIE, path="/")
    return response


@router.post("/rollouts/{rollout}/{verb}")
def move_rollout(fleet: TheFleet, operator: FormDeployer, rollout: str, verb: Verb) -> Response:
    """Start, pause, resume, abort or take back."""
    if verb not in OPERATOR_VERBS:
        raise Forbidden("verb-not-yours", f"{verb} follows from what devices report", "Use one of the page's buttons.")
    with fleet.database.write() as session:
        wanted = rollouts.Change(verb, operator.name, f"{verb} by {operator.name}", fleet.clock())
        rollouts.change(session, fleet.assignments, rollouts.find(session, rollout), wanted)
    fleet.changes.notify("rollouts", "audit")
    return RedirectResponse(f"/rollouts/{rollout}", HTTP_303_SEE_OTHER)


@router.post("/alerts/{alert}/acknowledge")
def acknowledge(fleet: TheFleet, operator: FormDeployer, alert: str) -> Response:
    """Somebody looks after it."""
    with fleet.database.write() as session:
        alerts.acknowledge(session, alert, operator.name, fleet.clock())
    fleet.changes.notify("alerts", "audit")
    return RedirectResponse("/alerts", HTTP_303_SEE_OTHER)


def _local(path: str) -> str:
    """Only a path of this server: a link to the login page must not lead elsewhere afterwards."""
    return path if path.startswith("/") and not path.startswith(("//", "/\\")) else "/"
