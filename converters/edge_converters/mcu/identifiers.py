"""Names and texts of any kind, as C takes them. Pure."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_KEPT: Final = frozenset(chr(code) for code in range(0x20, 0x7F)) - frozenset('"\\?')
"""What a C string holds as it is: a question mark could begin a trigraph."""


def identifier(text: str) -> str:
    """Lower-case letters, digits and single underscores that begin with a letter: `KWS v2.1` -> `kws_v2_1`.

    C reserves names that begin with an underscore. Letters with accents lose them; what begins with a digit, or has
    nothing left, is put behind `model`. It may be a keyword (`int`): add something to it wherever it is used.
    """
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    words = "_".join(re.findall(r"[a-z0-9]+", plain))
    return words if words[:1].isalpha() else "_".join(part for part in ("model", words) if part)


def quoted(text: str) -> str:
    """A C string literal of `text` in UTF-8, itself in ASCII."""
    return '"' + "".join(_escaped(letter) for letter in text) + '"'


def commented(text: str) -> str:
    """`text` on one line, safe inside a C comment."""
    return " ".join(text.split()).replace("*/", "* /").replace("/*", "/ *")


def _escaped(letter: str) -> str:
    # three octal digits are the most that one escape takes, so a digit may follow
    return letter if letter in _KEPT else "".join(f"\\{byte:03o}" for byte in letter.encode("utf-8", "replace"))
