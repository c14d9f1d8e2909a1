"""What the demo says: each step with its reason, what was seen, and the summary at the end."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from edge_sdk.errors import NotAchieved

_MARKS: Final = {
    (True, True): ("[green]✓[/]", ""),
    (False, True): ("[red]✗[/]", "[red]did not happen[/]"),
    (False, False): ("[dim]-[/]", "[dim]not reached[/]"),
}
"""By whether a step happened, and whether it was begun."""


@dataclass
class Step:
    """One of the demo's steps. `seen` is the line of the summary, written by the step when it has happened."""

    number: int
    title: str
    seen: str = ""
    happened: bool = False
    seconds: float = 0.0


class Narrator:
    """Tells the story on a terminal and remembers which steps happened."""

    def __init__(self, console: Console, titles: Sequence[str]) -> None:
        self.steps = [Step(number, title) for number, title in enumerate(titles, 1)]
        self._console = console
        self._start = time.monotonic()

    @property
    def complete(self) -> bool:
        """Whether every step happened."""
        return all(step.happened for step in self.steps)

    @contextmanager
    def step(self, number: int, why: str) -> Iterator[Step]:
        """A step; it has happened when the block ends without an error."""
        step = self.steps[number - 1]
        self._console.print()
        self._console.rule(f"[bold]{step.number}  {step.title}", align="left", style="cyan")
        self._console.print(Text(why, style="dim"))
        start = time.monotonic()
        try:
            yield step
            step.happened = True
        finally:
            step.seconds = time.monotonic() - start
        self._console.print(f"[green]✓[/] {step.seen} [dim]({step.seconds:.0f} s)[/]")

    def tell(self, sentence: str) -> None:
        """A thing that happened, with the seconds since the start."""
        self._console.print(f"[dim]{time.monotonic() - self._start:5.0f} s[/]  {sentence}")

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A table of what was seen."""
        table = Table(*columns, box=box.SIMPLE_HEAD)
        for row in rows:
            table.add_row(*row)
        self._console.print(table)

    @contextmanager
    def waiting(self, for_what: str) -> Iterator[None]:
        """A spinner while something takes time; one line where there is no terminal."""
        if not self._console.is_terminal:
            self.tell(f"{for_what} ...")
            yield
            return
        with self._console.status(for_what):
            yield

    def summarise(self) -> None:
        """The table of all steps."""
        table = Table("", "step", "what was seen", "s", box=box.ROUNDED, title="What happened")
        table.columns[3].justify = "right"
        for step in self.steps:
            mark, otherwise = _MARKS[step.happened, step.seconds > 0]
            seen = step.seen or otherwise
            table.add_row(mark, f"{step.number}  {step.title}", seen, f"{step.seconds:.0f}")
        self._console.print()
        self._console.print(table)


def expect(holds: bool, otherwise: str, hint: str = "") -> None:
    """A fact the demo stands on.

    Raises:
        NotAchieved: it does not hold; `otherwise` says what was seen instead.
    """
    if not holds:
        raise NotAchieved(otherwise, hint)
