"""What can go wrong in a conversion: one base, one class per reaction of the caller."""

from __future__ import annotations


class ConverterError(Exception):
    """Base of every error raised in `edge_converters`; `hint` says what to do now."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class BadInput(ConverterError):
    """A model, data file or argument is not usable as it is. Reaction: the user repairs the input."""


class BackendMissing(ConverterError):
    """A library of this route is not installed. Reaction: install the named extra."""


class NotConvertible(ConverterError):
    """The source does not reach this profile: no route, or an operator the target has no kernel for."""


class CheckFailed(ConverterError):
    """A variant was made and does not hold what its profile asks: parity, coverage, arena. Reaction: do not ship it."""


class InvalidBundle(ConverterError):
    """A folder is not a bundle, or its files are not those its manifest names. Reaction: convert again."""


class NotWritten(ConverterError):
    """The output could not be written; nothing was left behind. Reaction: make room or choose another folder."""
