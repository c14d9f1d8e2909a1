"""The page of the comparison is what its figures say."""

from __future__ import annotations

import json
import sys

from tests.architecture.project import ROOT


def test_the_page_is_made_from_the_figures_beside_it(monkeypatch):
    monkeypatch.setattr(sys, "path", [str(ROOT / "benchmarks"), *sys.path])
    from _pages import comparison_page

    figures = json.loads((ROOT / "docs/benchmarks.json").read_text())

    assert (ROOT / "docs/benchmarks.md").read_text() == comparison_page(figures)
    assert figures["rows"]
