"""Operator tokens: made once, kept as a hash, checked on every request."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from edge_contracts.operations import NewOperatorToken, OperatorToken, Scope
from edge_fleet.errors import Forbidden, Unauthenticated
from edge_fleet.records.identities import OperatorTokenRow
from edge_fleet.services import audit


@dataclass(frozen=True)
class Operator:
    """Who is calling."""

    name: str
    scopes: frozenset[Scope]

    def must(self, scope: Scope) -> None:
        """Raises Forbidden unless the operator holds `scope`."""
        if not self.scopes & {scope, Scope.ADMIN}:
            raise Forbidden(
                "scope-missing", f"The token of {self.name!r} lacks the scope {scope!s}", "Ask an admin for a token."
            )


def hash_secret(secret: str) -> str:
    """What is stored of a random secret. It has 256 bits, so a fast hash is enough."""
    return hashlib.sha256(secret.encode()).hexdigest()


def make_operator_token(session: Session, request: NewOperatorToken, actor: str, now: datetime) -> OperatorToken:
    """A new token; its secret is in the answer and nowhere else."""
    secret = "op_" + secrets.token_urlsafe(32)
    expires = now + timedelta(seconds=request.valid_seconds)
    session.add(
        OperatorTokenRow(
            id=secrets.token_hex(16),
            name=request.name,
            secret_hash=hash_secret(secret),
            scopes=tuple(sorted(request.scopes)),
            created=now,
            expires=expires,
        )
    )
    scopes = ", ".join(sorted(request.scopes))
    audit.record(session, now, actor, "operator-token.create", request.name, f"{scopes}; until {expires:%Y-%m-%d}")
    return OperatorToken(name=request.name, secret=secret, scopes=request.scopes, expires=expires)


def find_operator(session: Session, secret: str, now: datetime) -> Operator:
    """Whose token this is.

    Raises:
        Unauthenticated: unknown or expired.
    """
    row = session.scalar(select(OperatorTokenRow).where(OperatorTokenRow.secret_hash == hash_secret(secret)))
    if row is None:
        raise Unauthenticated("token-unknown", "The operator token is not known here", "Log in with a valid token.")
    if now >= row.expires:
        raise Unauthenticated(
            "token-expired", f"The token expired at {row.expires:%Y-%m-%d %H:%M} UTC", "Get a new one."
        )
    return Operator(row.name, frozenset(Scope(scope) for scope in row.scopes))
