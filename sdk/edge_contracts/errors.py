"""The errors of the contracts: one base, one class per reaction of the caller."""

from __future__ import annotations

from edge_contracts.reasons import REASONS, Reason


class ContractError(Exception):
    """Base of every error raised in `edge_contracts`."""


class Malformed(ContractError):
    """Bytes or text from outside are not what the contract says. Reaction: drop the input, count it, go on."""


class IllegalTransition(ContractError):
    """An event does not apply in this state. Reaction: a bug of the caller; do not retry."""


class Refused(ContractError):
    """A verification step said no. Reaction: end the deployment with `reason`; never try the same bytes again.

    `step` is the number of the step in the list at the top of the verifying function.
    """

    def __init__(self, reason: Reason, detail: str, step: int | None = None) -> None:
        super().__init__(f"{REASONS[reason].sentence} ({detail})")
        self.reason = reason
        self.detail = detail
        self.step = step

    @property
    def hint(self) -> str:
        """What a person does now."""
        return REASONS[self.reason].hint
