"""What the documentation says of the command is what the command does."""

from __future__ import annotations

import re
from pathlib import Path

from edge_agent.__main__ import app
from edge_agent.cli.failures import EXIT_CODES
from edge_agent.cli.options import DEFAULT_CONFIG

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "edge-agent.md").read_text(encoding="utf-8")


def test_the_table_of_exit_codes_is_the_program_s():
    documented = {int(code): meaning for code, meaning in re.findall(r"^\| (\d+) \| (.*) \|$", PAGE, re.MULTILINE)}

    assert documented == EXIT_CODES


def test_every_command_is_shown_and_no_other():
    shown = set(re.findall(r"^edge-agent (\w+)", PAGE, re.MULTILINE))

    assert shown == {command.callback.__name__ for command in app.registered_commands if command.callback}
    assert str(DEFAULT_CONFIG) in PAGE
