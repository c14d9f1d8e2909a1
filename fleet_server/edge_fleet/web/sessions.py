"""Who looks at the dashboard: the operator token in a cookie no script can read, and the proof a form is ours."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import Depends, Form, Request, Response

from edge_contracts.operations import Scope
from edge_fleet.errors import Forbidden, Unauthenticated
from edge_fleet.services.tokens import Operator, find_operator
from edge_fleet.web.parts import TheFleet

COOKIE: Final = "edge_operator"
COOKIE_SECONDS: Final = 12 * 3600


class LoginNeeded(Exception):
    """Nobody is logged in (any more). Reaction: show the login page, then come back."""


@dataclass(frozen=True)
class Visitor:
    """The operator who looks, and the proof that their forms carry."""

    operator: Operator
    form_proof: str

    def may(self, scope: Scope) -> bool:
        """Whether a button for this is shown."""
        return bool(self.operator.scopes & {scope, Scope.ADMIN})


def visitor(request: Request, fleet: TheFleet) -> Visitor:
    """The visitor of a page. Raises LoginNeeded, Forbidden (no right to read)."""
    secret = request.cookies.get(COOKIE)
    if secret is None:
        raise LoginNeeded
    try:
        with fleet.database.read() as session:
            operator = find_operator(session, secret, fleet.clock())
    except Unauthenticated as error:
        raise LoginNeeded from error
    operator.must(Scope.READ)
    return Visitor(operator, _proof(secret))


TheVisitor = Annotated[Visitor, Depends(visitor)]


def deployer(who: TheVisitor, proof: Annotated[str, Form(max_length=128)]) -> Operator:
    """The operator behind a form that changes something.

    The cookie is SameSite=Strict and the form bears a proof that another site cannot compute, so it was sent from here.

    Raises:
        Forbidden: without the proof, or without the right to deploy.
    """
    if not hmac.compare_digest(proof.encode(), who.form_proof.encode()):
        raise Forbidden("form-proof", "The form was not made for this session", "Open the page again.")
    who.operator.must(Scope.DEPLOY)
    return who.operator


FormDeployer = Annotated[Operator, Depends(deployer)]


def remember(request: Request, response: Response, secret: str) -> None:
    """Set the cookie: sent over HTTPS only where the page came by HTTPS."""
    response.set_cookie(
        COOKIE,
        secret,
        max_age=COOKIE_SECONDS,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
        path="/",
    )


def _proof(secret: str) -> str:
    return hmac.new(secret.encode(), b"edge-sdk dashboard form", hashlib.sha256).hexdigest()
