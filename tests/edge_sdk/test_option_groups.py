"""A command that takes groups of options as frozen values has the command line of one that takes each by itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from edge_sdk.cli.option_groups import grouped


@dataclass(frozen=True)
class Size:
    width: Annotated[int, typer.Option(help="In metres.")]
    height: Annotated[int, typer.Option("--tall", min=1)] = 2


@dataclass(frozen=True)
class Paint:
    colours: Annotated[list[str] | None, typer.Option("--colour")] = None
    shiny: Annotated[bool, typer.Option()] = False


@pytest.fixture
def taken() -> list[object]:
    return []


@pytest.fixture
def app(taken: list[object]) -> typer.Typer:
    app = typer.Typer()

    @app.command()
    @grouped
    def paint(name: str, size: Size, paint: Paint, times: Annotated[int, typer.Option()] = 1) -> None:
        taken.extend([name, size, paint, times])

    return app


def test_options_of_groups_come_in_as_their_values(app: typer.Typer, taken: list[object]):
    words = ["wall", "--width", "3", "--colour", "red", "--colour", "blue", "--shiny", "--times", "2"]
    done = CliRunner().invoke(app, words)

    assert done.exit_code == 0, done.output
    assert taken == ["wall", Size(3, 2), Paint(["red", "blue"], shiny=True), 2]


@pytest.mark.parametrize(
    ("words", "said"),
    [(["wall"], "Missing option '--width'"), (["wall", "--width", "1", "--tall", "0"], "Invalid value for '--tall'")],
)
def test_an_option_of_a_group_is_checked_as_any_other(app: typer.Typer, words: list[str], said: str):
    done = CliRunner().invoke(app, words)

    assert done.exit_code == 2
    assert said in done.output


def test_two_groups_cannot_have_the_same_option():
    def paint(size: Size, door: Size) -> None:
        pass

    with pytest.raises(ValueError, match="duplicate parameter name"):
        grouped(paint)
