"""What commands print: results on standard output (a table, or JSON), everything said on the way on standard error."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

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
    from pydantic import BaseModel

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


@contextmanager
def progress(*, shown: bool) -> Iterator[Callable[[str, int, int], None]]:
    """A bar on standard error, if that is a terminal; it is called with what is done, how far that is, and of what."""
    target = console(errors=True) if shown else None
    if target is None or not target.is_terminal:
        yield _unseen
        return
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=target, transient=True) as bars:
        bar = bars.add_task("starting")
        yield lambda what, done, total: bars.update(bar, description=what, completed=done, total=total)


def _unseen(what: str, done: int, total: int) -> None:
    """Shows nothing."""


def _plain(value: Any) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(Any).dump_python(value, mode="json")
