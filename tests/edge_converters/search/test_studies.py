"""Studies: proposed until the trials are spent, alike with a seed, shared by workers, alive after one is killed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from edge_converters.errors import BadInput
from edge_converters.search import studies
from edge_converters.search.plans import Sampler, SearchPlan
from edge_converters.search.studies import Answer, Proposal, Told, run_study

A = ("one", "two", "three")
B = (0.0, 0.25, 0.5, 1.0)
POINTS = tuple({"a": a, "b": b} for a in A for b in B)


def attempt(proposal: Proposal) -> Told:
    """A small trade: more of `b` is faster and loses more; `three` breaks a check."""
    a, b = str(proposal.pick("a", A)), float(proposal.pick("b", B))
    answer = {"a": a, "b": b}
    return Told(None if a == "three" else (b * len(a), 1 - b, float(len(a))), answer)


def searched(plan: SearchPlan, seed: int = 0, basis: str = "this") -> tuple[Answer, ...]:
    return run_study(plan, f"{plan.study}/board", basis, POINTS, POINTS[:1], seed, attempt)


@pytest.mark.parametrize("sampler", Sampler)
def test_a_seed_proposes_the_same_again_and_another_seed_other_recipes(sampler: Sampler):
    plan = SearchPlan(9, sampler=sampler)

    first = searched(plan, seed=3)

    assert len(first) == 9
    assert searched(plan, seed=3) == first
    assert searched(plan, seed=4) != first


def test_the_grid_ends_when_every_point_was_tried_once():
    answers = searched(SearchPlan(1000, sampler=Sampler.GRID))

    assert sorted(map(str, answers)) == sorted(map(str, POINTS))


def test_a_search_that_was_broken_off_proposes_what_it_would_have(tmp_path: Path):
    url = f"sqlite:///{tmp_path}/study.db"
    whole = searched(SearchPlan(8, sampler=Sampler.RANDOM))

    begun = searched(SearchPlan(3, sampler=Sampler.RANDOM, storage=url))
    gone_on = searched(SearchPlan(8, sampler=Sampler.RANDOM, storage=url))

    assert begun == whole[:3]
    assert gone_on == whole


def test_time_ends_it_too():
    assert len(searched(SearchPlan(10**6, seconds=0.3))) < 10**4


def test_a_study_about_something_else_is_not_gone_on_with(tmp_path: Path):
    plan = SearchPlan(2, storage=f"sqlite:///{tmp_path}/study.db")
    searched(plan)

    with pytest.raises(BadInput, match="about another model") as raised:
        searched(plan, basis="that")

    assert "--study" in raised.value.hint


@pytest.mark.parametrize("url", ["sqlite:////nowhere/at/all.db", "no url", "what://is/this"])
def test_a_storage_that_cannot_be_used_is_one_sentence(url: str):
    with pytest.raises(BadInput, match="cannot be used"):
        searched(SearchPlan(2, storage=url))


WORKER = """
import json, sys, time
sys.path.insert(0, sys.argv[1])
from tests.edge_converters.search.test_studies import POINTS, SearchPlan, Sampler, attempt, run_study

def slow(proposal):
    print("begun", flush=True)
    time.sleep(float(sys.argv[4]))
    return attempt(proposal)

plan = SearchPlan(int(sys.argv[3]), sampler=Sampler.TPE, storage=sys.argv[2])
print(json.dumps(run_study(plan, "edge-sdk/board", "this", POINTS, POINTS[:1], 0, slow)))
"""


def worker(url: str, trials: int, seconds: float) -> subprocess.Popen[str]:
    root = str(Path(__file__).resolve().parents[3])
    command = [sys.executable, "-c", WORKER, root, url, str(trials), str(seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_two_workers_share_the_trials_and_see_the_same_end(tmp_path: Path):
    url = f"sqlite:///{tmp_path}/study.db"

    workers = [worker(url, 12, 0.2) for _ in range(2)]
    said = [each.communicate(timeout=60) for each in workers]

    assert [each.returncode for each in workers] == [0, 0], said
    ends = [out.strip().splitlines() for out, _ in said]
    assert ends[0][-1] == ends[1][-1]
    begun = [len(lines) - 1 for lines in ends]
    assert 12 <= sum(begun) <= 13  # both may begin the last at the same moment
    assert min(begun) > 0


@pytest.mark.slow
def test_a_killed_worker_leaves_a_failed_trial_that_is_made_up_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    url = f"sqlite:///{tmp_path}/study.db"
    monkeypatch.setattr(studies, "GRACE_SECONDS", 2)
    dying = worker(url, 5, 600)
    assert dying.stdout is not None
    assert dying.stdout.readline() == "begun\n"
    dying.kill()
    dying.communicate()

    answers = searched(SearchPlan(5, storage=url))

    assert len(answers) == 5
