"""The base of everything that crosses a boundary: frozen, strict where it matters, unknown fields kept."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict


class Wire(BaseModel):
    """A frozen message. Fields a newer version added survive decoding and encoding."""

    model_config = ConfigDict(
        frozen=True, extra="allow", ser_json_inf_nan="strings", val_json_bytes="base64", ser_json_bytes="base64"
    )


def _aware(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("a time needs its zone, as in 2026-01-31T12:00:00Z")
    try:
        return value.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("in UTC no calendar has this time") from error


Utc = Annotated[datetime, AfterValidator(_aware)]
"""A moment with its zone, kept in UTC."""
