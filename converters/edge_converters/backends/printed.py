"""What native code prints on standard error while something runs: the only place where some libraries say things."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")


def with_words(action: Callable[[], Result]) -> tuple[Result | RuntimeError, str]:
    """The result of `action`, or the RuntimeError it raised, and what was printed meanwhile; that is also passed on."""
    result: Result | RuntimeError
    with tempfile.TemporaryFile() as file:
        kept = os.dup(2)
        os.dup2(file.fileno(), 2)
        try:
            result = action()
        except RuntimeError as error:
            result = error
        finally:
            os.dup2(kept, 2)
            os.close(kept)
        file.seek(0)
        words = file.read()
    os.write(2, words)
    return result, words.decode(errors="replace")
