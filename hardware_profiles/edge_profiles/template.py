"""The commented template of a profile, and the line in it that shows how a key is written."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources
from typing import Final

_LINE: Final = re.compile(r"^(?:# )?(?P<key>[a-z_]+) = .+$")
_TABLE: Final = re.compile(r"^(?:# )?\[(?P<name>[a-z_.]+)\]$")


@cache
def template() -> str:
    """A profile that is valid as it stands: copy it and write your board's figures into it."""
    return resources.files(__package__).joinpath("template.toml").read_text()


def example(key: str) -> str | None:
    """The template's line for `key` (`threads`, `memory.ram`, `memory.ram.value`), without its comment mark."""
    lines = _lines()
    parts = key.split(".")
    while parts:
        if (found := lines.get(".".join(parts))) is not None:
            return found
        parts.pop()
    return None


@cache
def _lines() -> dict[str, str]:
    found: dict[str, str] = {}
    table = ""
    for line in template().splitlines():
        if head := _TABLE.match(line):
            table = f"{head['name']}."
            found[head["name"]] = f"[{head['name']}]"
        elif entry := _LINE.match(line):
            found[table + entry["key"]] = line.removeprefix("# ")
    return found
