"""From an error to what a person reads and a script checks: one sentence, a hint, a stable exit code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from edge_contracts.errors import ContractError, Refused
from edge_contracts.ids import InvalidId
from edge_converters.errors import CheckFailed, ConverterError
from edge_profiles.errors import InvalidProfile
from edge_sdk.errors import BadInput, NotAchieved, SdkError, Untrusted

INTERRUPTED: Final = 130
UNFORESEEN: Final = 70
"""EX_SOFTWARE of sysexits.h: a defect of ours."""


@dataclass(frozen=True)
class Failure:
    """What is said, and the code with which the command ends."""

    message: str
    hint: str
    code: int


_CODES: Final[tuple[tuple[type[Exception], int], ...]] = (
    (CheckFailed, NotAchieved.exit_code),
    (ConverterError, BadInput.exit_code),
    (InvalidProfile, BadInput.exit_code),
    (Refused, Untrusted.exit_code),
    (ContractError, BadInput.exit_code),
)

EXIT_CODES: Final[dict[int, str]] = {
    0: "done",
    1: "done as asked, and the answer is no: a check, a rollout or a step failed",
    2: "the command line is wrong",
    3: "a file, folder or argument is not usable",
    4: "the server refused",
    5: "the server does not answer",
    6: "a signature or signed statement does not hold",
    7: "a process that the command runs did not start, or ended",
    8: "convert: too few samples to decide",
    9: "convert: no scheme keeps the accuracy",
    UNFORESEEN: "a defect of the program",
    INTERRUPTED: "interrupted",
}


def explain(error: Exception) -> Failure | None:
    """The failure of a known error; None for a defect, which deserves its traceback."""
    if isinstance(error, SdkError):
        return Failure(str(error), error.hint, error.exit_code)
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        hint = "Check that place, its free space and who may write there."
        return Failure(f"{where}{error.strerror or error}", hint, BadInput.exit_code)
    if isinstance(error, InvalidId):
        return Failure(str(error), "Use a-z, 0-9, - and _ only.", BadInput.exit_code)
    code = next((code for kind, code in _CODES if isinstance(error, kind)), None)
    return None if code is None else Failure(str(error), str(getattr(error, "hint", "")), code)


def defect(error: Exception) -> Failure:
    """What is said after the traceback of an error that nobody foresaw."""
    return Failure(
        f"a defect of the program: {type(error).__name__}: {error}", "Report it with the lines above.", UNFORESEEN
    )
