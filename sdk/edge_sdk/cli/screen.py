"""What commands print: results on standard output (a table, or JSON), everything said on the way on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, TypeAdapter

if TYPE_CHECKING:
    from rich.console import Console


def console(*, errors: bool = False) -> Console:
    """A terminal; without colours and animation where the output is no terminal."""
    from rich.console import Console

    return Console(stderr=errors, highlight=False)


def show_json(value: Any) -> None:
    """`value` (models, dataclasses, plain values) as one indented JSON document."""
    plain = value.model_dump(mode="json") if isinstance(value, BaseModel) else _plain(value)
    print(json.dumps(plain, indent=2, ensure_ascii=False))


def show_json_line(value: Any) -> None:
    """`value` as one line, at once."""
    print(json.dumps(_plain(value), ensure_ascii=False), flush=True)


def show_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], empty: str) -> None:
    """A table, or the sentence `empty` when there is nothing in it."""
    from rich import box
    from rich.table import Table

    found = list(rows)
    if not found:
        print(empty)
        return
    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in found:
        table.add_row(*row)
    console().print(table)


def say(sentence: str) -> None:
    """A sentence for the person at the terminal."""
    print(sentence, file=sys.stderr, flush=True)


def _plain(value: Any) -> Any:
    return TypeAdapter(Any).dump_python(value, mode="json")
