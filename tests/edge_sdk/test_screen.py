"""What devices say is shown on the operator's terminal, and does not steer it."""

from __future__ import annotations

import pytest

from edge_sdk.cli import screen


def test_a_devices_words_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    detail = "off by 0.7\x1b]0;owned\x07 \x9b2J \u202egpj.exe\rall is well"
    screen.show_table("Devices", ("Device", "Detail"), [("gate-1", detail)], "none")
    shown = capsys.readouterr().out
    assert "off by 0.7" in shown
    assert not {"\x1b", "\x07", "\x9b", "\u202e", "\r"} & set(shown)


def test_words_of_any_language_are_shown_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    screen.show_table("Devices", ("Device",), [("höhe 高さ [bold]",)], "none")
    assert "höhe 高さ [bold]" in capsys.readouterr().out
