"""How an endpoint of the operator door gets the server's parts and the operator who calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, cast

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from edge_contracts.operations import Scope
from edge_fleet.errors import Unauthenticated
from edge_fleet.fleet import Fleet
from edge_fleet.services.tokens import Operator, find_operator

_bearer = HTTPBearer(auto_error=False, description="Operator token")


def fleet(request: Request) -> Fleet:
    """The parts that the composition root put into the application."""
    return cast("Fleet", request.app.state.fleet)


TheFleet = Annotated[Fleet, Depends(fleet)]


def require(scope: Scope) -> Callable[..., Operator]:
    """A dependency: the operator, who holds `scope`. Raises Unauthenticated, Forbidden."""

    def operator(
        parts: TheFleet, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
    ) -> Operator:
        if credentials is None:
            raise Unauthenticated(
                "token-missing", "This needs an operator token", "Send Authorization: Bearer <token>."
            )
        with parts.database.read() as session:
            found = find_operator(session, credentials.credentials, parts.clock())
        found.must(scope)
        return found

    return operator


Reader = Annotated[Operator, Depends(require(Scope.READ))]
Enroller = Annotated[Operator, Depends(require(Scope.ENROL))]
Publisher = Annotated[Operator, Depends(require(Scope.PUBLISH))]
Deployer = Annotated[Operator, Depends(require(Scope.DEPLOY))]
Admin = Annotated[Operator, Depends(require(Scope.ADMIN))]
