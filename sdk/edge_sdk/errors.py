"""What can go wrong in the SDK: one base, one class per reaction of the caller, each with a stable exit code."""

from __future__ import annotations

from typing import ClassVar


class SdkError(Exception):
    """Base of every error raised in `edge_sdk`; the message says what happened, `hint` what to do now."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class NotAchieved(SdkError):
    """Everything was done as asked, and the answer is no: a rollout that failed, a demo step that did not happen."""


class BadInput(SdkError):
    """A file, folder or argument is not usable as it is. Reaction: the user repairs the input."""

    exit_code = 3


class Rejected(SdkError):
    """The server answered with a problem. Reaction: depends on `code`, which is stable."""

    exit_code = 4

    def __init__(self, message: str, hint: str, *, code: str, status: int) -> None:
        super().__init__(message, hint)
        self.code = code
        self.status = status


class Unreachable(SdkError):
    """The server did not answer, or not as a fleet server does. Reaction: check address and server, try again."""

    exit_code = 5


class Untrusted(SdkError):
    """Signed metadata does not verify against the owner's own keys. Reaction: stop; nothing was signed."""

    exit_code = 6


class ChildFailed(SdkError):
    """A process this command runs (server, agent, training) did not start or ended by itself."""

    exit_code = 7
