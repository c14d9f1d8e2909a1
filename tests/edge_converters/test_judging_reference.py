"""The reference of how a variant is judged names every metric that there is, and the exit codes that are used."""

from __future__ import annotations

import re

from edge_converters.measures import METRICS
from edge_sdk.cli.convert import EXIT_CODES
from tests.architecture.project import ROOT

TEXT = (ROOT / "docs/reference/judging.md").read_text()


def test_every_metric_is_in_the_table():
    named = re.findall(r"(?m)^\| `([a-z][a-z0-9-]*)` \|", TEXT)

    assert set(named) == set(METRICS)


def test_every_verdict_is_there_with_its_exit_code():
    rows = dict(re.findall(r"(?m)^\| (\w+) \| .* \| (\d) \|$", TEXT))

    assert rows == {verdict: str(code) for verdict, code in EXIT_CODES.items()}
