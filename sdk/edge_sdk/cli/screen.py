"""What commands print: results on standard output (a table, or JSON), everything said on the way on standard error."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel, TypeAdapter

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

PLAIN_WIDTH: Final = 120
"""Columns where neither a terminal nor COLUMNS says how many there are: in a file, a pipe, a CI log."""


def console(*, errors: bool = False) -> Console:
    """A terminal; without colours and animation where the output is no terminal."""
    from rich.console import Console

    known = "COLUMNS" in os.environ or any(os.isatty(stream) for stream in range(3))
    return Console(stderr=errors, highlight=False, width=None if known else PLAIN_WIDTH)


def show_json(value: Any) -> None:
    """`value` (models, dataclasses, plain values) as one indented JSON document."""
    plain = value.model_dump(mode="json") if isinstance(value, BaseModel) else _plain(value)
    print(json.dumps(plain, indent=2, ensure_ascii=False))


def show_json_line(value: Any) -> None:
    """`value` as one line, at once."""
    print(json.dumps(_plain(value), ensure_ascii=False), flush=True)


def show_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], empty: str) -> None:
    """A table, or the sentence `empty` when there is nothing in it."""
    found = list(rows)
    if not found:
        print(empty)
        return
    console().print(table(columns, found, title))


def table(columns: Sequence[str], rows: Iterable[Sequence[str | Text]], title: str | None = None) -> Table:
    """A table. Its first column, which names the row, is kept in one piece: people copy it into the next command.

    Brackets in a cell are shown as they are, whoever wrote them; styles are given as `Text`. What a device says is a
    stranger's text: characters that would steer the terminal are shown as replaced.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    made = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", show_header=any(columns))
    for number, column in enumerate(columns):
        made.add_column(column, overflow="fold", no_wrap=number == 0)
    for row in rows:
        made.add_row(*(Text(harmless(cell)) if isinstance(cell, str) else cell for cell in row))
    return made


def harmless(text: str) -> str:
    """`text` without escape sequences and other controls; line breaks stay."""
    return "".join(one if one.isprintable() or one == "\n" else "\N{REPLACEMENT CHARACTER}" for one in text)


def say(sentence: str) -> None:
    """A sentence for the person at the terminal."""
    print(sentence, file=sys.stderr, flush=True)


def _plain(value: Any) -> Any:
    return TypeAdapter(Any).dump_python(value, mode="json")
