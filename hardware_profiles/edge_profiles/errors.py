"""The one error of the profiles: a file, a name or a field is not what the format says."""

from __future__ import annotations


class InvalidProfile(Exception):
    """A profile cannot be used. Reaction: correct the file or the name; `hint` says how."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint
