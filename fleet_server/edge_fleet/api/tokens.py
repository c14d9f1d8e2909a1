"""Tokens at the operator door: for operators, and for devices to enrol."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter
from starlette.status import HTTP_201_CREATED

from edge_contracts.operations import EnrolmentOffer, NewEnrolmentToken, NewOperatorToken, OperatorToken
from edge_fleet.api.access import Admin, Enroller, TheFleet
from edge_fleet.services.tokens import make_operator_token

router: Final = APIRouter(prefix="/v1", tags=["tokens"])


@router.post("/operator-tokens", status_code=HTTP_201_CREATED)
def create_operator_token(parts: TheFleet, operator: Admin, request: NewOperatorToken) -> OperatorToken:
    """A token for a person or a job; the secret is shown this once."""
    with parts.database.write() as session:
        token = make_operator_token(session, request, operator.name, parts.clock())
    parts.changes.notify("audit")
    return token


@router.post("/enrolment-tokens", status_code=HTTP_201_CREATED)
def create_enrolment_token(parts: TheFleet, operator: Enroller, request: NewEnrolmentToken) -> EnrolmentOffer:
    """A token with which devices may enrol; shown this once."""
    return parts.enrolment.offer(request, operator.name)
