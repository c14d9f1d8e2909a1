"""The page on the local API says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from edge_agent.adapters.inference_http import MAX_BODY_BYTES, STATUS, InferenceApp
from edge_agent.adapters.serving import ProcessServing
from edge_agent.adapters.worker_orders import PREFIX, BadFault, WorkerFaults, faults_from

PAGE = (Path(__file__).parents[3] / "docs/reference/inference-api.md").read_text()


def rows(heading: str) -> set[str]:
    """The first cells of the table under a heading."""
    section = PAGE.partition(heading)[2].partition("\n## ")[0]
    return {match.strip("`") for match in re.findall(r"^\| ([^|]+) \|", section, re.MULTILINE)[1:]}


def test_every_path_is_listed() -> None:
    rules = InferenceApp(ProcessServing())._routes.iter_rules()
    paths = {
        f"{min(rule.methods - {'HEAD'})} {rule.rule}" for rule in rules if rule.methods and "/versions" not in rule.rule
    }
    assert rows("# The local inference API") == paths


def test_every_fault_is_listed_and_read() -> None:
    names = {PREFIX + name.upper() for name in WorkerFaults.model_fields}

    assert rows("## Trouble on purpose") == names
    assert faults_from(dict.fromkeys(names, "3")) == WorkerFaults(
        crash_after=3, hang_after=3, slow_ms=3, from_version=3
    )
    assert faults_from({"PATH": "/bin"}) == WorkerFaults()


@pytest.mark.parametrize("environment", [{PREFIX + "SLOW_MS": "-1"}, {PREFIX + "EXPLODE": "1"}])
def test_a_wrong_fault_is_refused_by_name(environment: dict[str, str]) -> None:
    with pytest.raises(BadFault, match="faults in the environment") as caught:
        faults_from(environment)
    assert f"{PREFIX}CRASH_AFTER" in caught.value.hint


def test_every_status_is_listed() -> None:
    assert {str(status) for status in STATUS.values()} <= rows("## Errors")
    assert f"over {MAX_BODY_BYTES // 2**20} MiB" in PAGE
