"""Lists as pages: `{"items": [...], "next": cursor or null}`. A cursor is the sort key of the last item, opaque."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Any, Final, Generic, TypeVar

from fastapi import Query
from pydantic import BaseModel

from edge_fleet.errors import Rejected

MAX_LIMIT: Final = 500

Item = TypeVar("Item")
Stored = TypeVar("Stored")

Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="How many at most")]
Cursor = Annotated[str | None, Query(max_length=512, description="`next` of the page before")]


class Page(BaseModel, Generic[Item]):
    """Part of a list; `next` is null at its end."""

    items: list[Item]
    next: str | None = None


def page(
    rows: Sequence[Stored], limit: int, view: Callable[[Stored], Item], key: Callable[[Stored], Sequence[str | int]]
) -> Page[Item]:
    """The page from `limit + 1` rows as queried: one more than asked for tells that there is a next page."""
    shown = rows[:limit]
    more = write_cursor(key(shown[-1])) if len(rows) > limit else None
    return Page(items=[view(row) for row in shown], next=more)


def write_cursor(key: Sequence[str | int]) -> str:
    """A sort key as opaque text."""
    return base64.urlsafe_b64encode(json.dumps(list(key)).encode()).decode().rstrip("=")


def read_cursor(cursor: str | None, *kinds: type) -> Sequence[Any] | None:
    """The sort key in a cursor, its parts of `kinds`; None for the first page.

    Raises:
        Rejected: not a cursor of this list.
    """
    if cursor is None:
        return None
    try:
        key = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, binascii.Error, RecursionError) as error:
        raise _not_a_cursor() from error
    if not isinstance(key, list) or [type(part) for part in key] != list(kinds):
        raise _not_a_cursor()
    return key


def read_time_cursor(cursor: str | None) -> tuple[datetime, str] | None:
    """The sort key of a list by time and id. Raises Rejected."""
    key = read_cursor(cursor, str, str)
    if key is None:
        return None
    try:
        at = datetime.fromisoformat(key[0])
    except ValueError as error:
        raise _not_a_cursor() from error
    if at.tzinfo is None:
        raise _not_a_cursor()
    return at, key[1]


def _not_a_cursor() -> Rejected:
    return Rejected("cursor-invalid", "The cursor is not one of this list", "Start again without a cursor.")
