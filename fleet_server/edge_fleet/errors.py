"""The errors of the fleet server: one base, one class per reaction; the operator sees code, sentence and hint."""

from __future__ import annotations


class FleetError(Exception):
    """Base of every error raised in `edge_fleet`. `code` is stable, `hint` says what to do now."""

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.hint = hint


class NotFound(FleetError):
    """There is no such thing. Reaction: look at the list, correct the name."""


class Conflict(FleetError):
    """It contradicts what is there already. Reaction: fetch the present state, decide anew."""


class Rejected(FleetError):
    """The request is understood and not acceptable. Reaction: correct its content."""


class Unauthenticated(FleetError):
    """No valid identity or token. Reaction: present one."""


class Forbidden(FleetError):
    """The identity is known and may not do this. Reaction: ask for the right."""


class TooLarge(FleetError):
    """More bytes than are taken here. Reaction: send less."""


class NoSpace(FleetError):
    """The server's disk is full. Reaction: free space, then repeat the same request."""


class Unavailable(FleetError):
    """A part of the server is not ready. Reaction: repeat later."""


class CannotStart(FleetError):
    """The server cannot start or be set up. Reaction: the process ends with the sentence."""
