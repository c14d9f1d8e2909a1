"""What a conversion came to fits a terminal of 100 columns, one line for each profile, and a pipe."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_converters.guard import Guard, Judgement, Verdict
from edge_converters.memory import Memory
from edge_converters.reports import Candidate, Conversion, ProfileReport
from edge_converters.timings import Latency
from edge_profiles.boards import shipped
from edge_sdk.cli import conversion_shown

LATENCY = Latency(0.123456, 0.2, 0.3, 0.01, 100)


def report(profile: str, verdict: Verdict) -> ProfileReport:
    judged = Judgement(verdict, 0.9123, 0.8987, 0.0136, 0.0521, 350, needed=2000)
    said = "drop +1.36 points in the decision"
    candidate = Candidate("qdq-u16s8", verdict, said, judgement=judged, ranking_drop=0.002, size_bytes=1_234_567)
    return ProfileReport(
        profile, verdict, None, "qdq-u16s8", (candidate,), "Do this.", "", 4_934_567, LATENCY, LATENCY, {}
    )


def outcome(*verdicts: Verdict) -> Conversion:
    names = sorted((each.name for each in shipped()), key=len)[-len(verdicts) :]
    return Conversion(
        max(verdicts),
        None,
        tuple(report(name, verdict) for name, verdict in zip(names, verdicts, strict=True)),
        "accuracy",
        Guard(),
        "my-model.keras",
        {"onnx": 1e-6},
        {"calibration": 100, "ranking": 150, "decision": 350},
        "a machine",
        Memory(10**9, 9 * 10**8, 5_000_000),
    )


def test_every_profile_has_one_line_of_at_most_100_columns(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("COLUMNS", "100")
    told = outcome(Verdict.UNDECIDABLE, Verdict.UNREACHABLE, Verdict.FAIL)

    conversion_shown.show(told, Path("report.html"))

    lines = capsys.readouterr().out.splitlines()
    table = lines[: next(place for place, line in enumerate(lines) if line.startswith("`value`"))]
    assert max(len(line) for line in table) <= 100
    for each in told.reports:
        (row,) = [line.split() for line in table if line.strip().startswith(each.profile)]
        assert row == [
            each.profile, each.verdict, "qdq-u16s8", "89.87", "+1.36", "5.21", "1206K", "4819K", "0.123", "0.123",
        ]  # fmt: skip
    assert "the float model's is 91.23" in table[0]
    assert "Report: report.html" in lines
