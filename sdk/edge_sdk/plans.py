"""Rollout plans from what a person wrote, and which states of a rollout are its end."""

from __future__ import annotations

from typing import Any, Final

from pydantic import ValidationError

from edge_contracts.operations import NewRollout, RolloutState
from edge_sdk.errors import BadInput

ENDED: Final = frozenset({RolloutState.SUCCEEDED, RolloutState.ABORTED, RolloutState.ROLLED_BACK})
"""States a rollout does not leave by itself."""


def plan_from(**fields: Any) -> NewRollout:
    """The plan with these fields.

    Raises:
        BadInput: a field is not valid; names it.
    """
    try:
        return NewRollout.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        if first["type"] == "string_pattern_mismatch":
            raise BadInput(f"{place}: {first['input']!r} is not a name", "Use a-z, 0-9, - and _ only.") from error
        raise BadInput(f"{place}: {first['msg']}", "See `edge-sdk rollouts create --help`.") from error
