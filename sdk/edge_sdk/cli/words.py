"""How values read in tables and on the command line: times, shares, labels."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeVar

from edge_sdk.errors import BadInput

if TYPE_CHECKING:
    from pydantic import BaseModel

Wish = TypeVar("Wish", bound="BaseModel")


def ago(moment: datetime | None) -> str:
    """How long a moment is past."""
    if moment is None:
        return "never"
    seconds = max(0.0, (datetime.now(UTC) - moment).total_seconds())
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"


def checked(kind: type[Wish], fields: dict[str, Any], command: str) -> Wish:
    """What is asked of the server, with these fields.

    Raises:
        BadInput: a field is not valid; names it.
    """
    from pydantic import ValidationError

    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        if first["type"] == "string_pattern_mismatch":
            raise BadInput(f"{place}: {first['input']!r} is not a name", "Use a-z, 0-9, - and _ only.") from error
        raise BadInput(f"{place}: {first['msg']}", f"See `edge-sdk {command} --help`.") from error


def moment_from(text: str | None) -> str | None:
    """A time as the server takes it; UTC where no zone is named.

    Raises:
        BadInput: not a time.
    """
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadInput(f"{text!r} is not a time", "Write it as 2026-01-31T12:00Z.") from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).isoformat()


def labels_from(texts: Iterable[str]) -> dict[str, str]:
    """Labels from `NAME=VALUE` texts.

    Raises:
        BadInput: a text has no `=`.
    """
    labels: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise BadInput(f"{text!r} is not a label", "Write --label NAME=VALUE, as in --label site=berlin.")
        labels[name] = value
    return labels


def shares_from(text: str) -> tuple[float, ...]:
    """Cumulative shares from percentages, as `10,50,100`.

    Raises:
        BadInput: not growing numbers between 0 and 100.
    """
    try:
        shares = tuple(float(part) / 100 for part in text.split(","))
    except ValueError:
        shares = ()
    if not shares or not all(low < high <= 1 for low, high in pairwise((0.0, *shares))):
        raise BadInput(f"{text!r} is no list of percentages that grow", "Write --waves 10,50,100.")
    return shares
