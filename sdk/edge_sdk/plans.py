"""Which states of a rollout are its end."""

from __future__ import annotations

from typing import Final

from edge_contracts.operations import RolloutState

ENDED: Final = frozenset({RolloutState.SUCCEEDED, RolloutState.ABORTED, RolloutState.ROLLED_BACK})
"""States a rollout does not leave by itself."""
