"""The README shows only commands and files that exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer

from edge_agent.__main__ import app as agent
from edge_sdk.cli import app as sdk

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
PROGRAMS = {"edge-sdk": sdk, "edge-agent": agent}


def shown_commands() -> list[list[str]]:
    blocks = re.findall(r"```console\n(.*?)```", README, re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    parts = [part for line in lines for part in re.split(r"&&|>", line.split("  #")[0])]
    return [words for part in parts if (words := shlex.split(part)) and words[0] in PROGRAMS]


@pytest.mark.parametrize("words", shown_commands(), ids=" ".join)
def test_a_command_shown_is_one_that_the_program_takes(words):
    command = typer.main.get_command(PROGRAMS[words[0]])
    rest = words[1:]
    while hasattr(command, "commands"):
        command, rest = command.commands[rest[0]], rest[1:]
    context = typer.Context(command, info_name=words[0])
    _options, left_over, _order = command.make_parser(context).parse_args(list(rest))
    assert not [word for word in left_over if word.startswith("-")]


def test_the_readme_shows_commands_of_every_part():
    assert {words[0] for words in shown_commands()} == set(PROGRAMS)


@pytest.mark.parametrize("target", re.findall(r"\]\((?!http)([^)#]+)\)", README))
def test_a_file_the_readme_links_to_is_there(target):
    assert (ROOT / target).exists()


@pytest.mark.parametrize("target", re.findall(r"^make ([a-z]+)", README, re.MULTILINE))
def test_a_make_target_shown_exists(target):
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
