"""Changing the release under load, and what happens when a worker dies: nobody's request is lost without need."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable

import numpy as np
import psutil
import pytest

from edge_agent.adapters.generation import QueueLimits
from edge_agent.adapters.serving import ProcessServing
from edge_agent.adapters.worker_orders import WorkerFaults
from edge_agent.core.health import RollBack, probation_limits, verdict
from edge_agent.ports import InvalidRequest, ModelFailed, NotReady, UnknownModel
from edge_contracts.ids import Digest, ModelName
from edge_contracts.reasons import Reason
from tests.edge_agent.serving.conftest import Recorder, Serve, accuracy, ask, image
from tests.support.releases import MODEL, release


def eventually(condition: Callable[[], bool], within_s: float = 20.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def ask_often(serving: ProcessServing, times: int) -> None:
    for _ in range(times):
        ask(serving)


class Load:
    """Threads that ask a few hundred times a second each; keeps what each answer says it came from."""

    def __init__(self, serving: ProcessServing, threads: int = 4) -> None:
        self.answers: list[tuple[Digest, int, np.ndarray]] = []
        self.errors: list[Exception] = []
        self._serving = serving
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(threads)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _ask(self) -> None:
        while not self._stop.wait(0.003):
            try:
                answer = self._serving.infer(MODEL, None, image())
            except Exception as error:  # noqa: BLE001 - the test counts them all
                self.errors.append(error)
            else:
                made = answer.release
                self.answers.append((made.variant.model.digest, made.manifest.version, answer.outputs["digit"]))


@pytest.mark.slow
@pytest.mark.device
def test_fifty_swaps_under_load_lose_no_request_and_every_answer_names_its_maker(serve: Serve) -> None:
    good, bad = release("cpu-litert"), release("broken", 2)
    serving = serve(good)
    digits = {made.variant.model.digest: ask(serve(made)) for made in (good, bad)}
    before = psutil.Process().num_fds()

    with Load(serving) as load:
        for _ in range(24):
            serving.prepare(bad)
            serving.activate()
            assert serving.swap_back()
        for made in (bad, good):
            serving.prepare(made)
            serving.activate()
            serving.settle()
            seen = len(load.answers)
            eventually(lambda seen=seen: len(load.answers) > seen + 10)

    assert load.errors == []
    makers = {(version, digest) for digest, version, _ in load.answers}
    assert makers == {(made.manifest.version, made.variant.model.digest) for made in (good, bad)}
    assert all(int(output.argmax()) == digits[digest] for digest, _, output in load.answers)
    eventually(lambda: psutil.Process().num_fds() <= before)


def test_the_old_model_answers_again_at_once(serve: Serve) -> None:
    serving = serve("cpu-litert")
    serving.prepare(release("broken", 2))
    serving.activate()
    assert accuracy(serving) < 0.2

    start = time.monotonic()
    assert serving.swap_back()
    took = time.monotonic() - start

    assert took < 0.05
    assert accuracy(serving) > 0.95
    assert not serving.swap_back()


def test_after_settling_there_is_no_way_back(serve: Serve) -> None:
    serving = serve("cpu-litert")
    serving.prepare(release("cpu-litert", 2))
    serving.activate()
    serving.settle()
    serving.settle()

    assert not serving.swap_back()
    assert serving.infer(MODEL, 2, image()).release.manifest.version == 2


def test_traffic_is_counted_from_the_activation_on(serve: Serve) -> None:
    serving = serve("cpu-litert")
    accuracy(serving)
    serving.prepare(release("cpu-litert", 2))
    assert serving.health().requests == 64

    serving.activate()
    assert serving.health().requests == 0
    ask(serving)
    ask(serving)
    health = serving.health()

    assert (health.requests, health.distinct_inputs, health.distinct_answers) == (2, 1, 1)
    assert health.p99_ms is not None
    assert 0 < health.p99_ms < 1000


def test_a_crash_fails_one_request_and_the_worker_is_started_again(serve: Serve) -> None:
    recorder = Recorder()
    serving = serve("cpu-litert", observer=recorder, faults=WorkerFaults(crash_after=9))

    with pytest.raises(ModelFailed, match="SIGABRT") as caught:
        ask_often(serving, 9)
    served = len(recorder.answers)

    assert caught.value.reason is Reason.PROBATION_CRASHES
    assert ask(serving) == 2
    health = serving.health()
    assert (health.crashes, health.errors, health.requests) == (1, 1, served + 1)
    assert len(recorder.failures) == 1
    assert len(recorder.answers) == served + 1


def test_a_worker_killed_between_requests_costs_no_request(serve: Serve) -> None:
    serving = serve("cpu-litert")
    (worker,) = [child for child in psutil.Process().children() if "edge_agent.worker" in child.cmdline()]
    worker.kill()

    eventually(lambda: serving.health().crashes == 1)

    assert ask(serving) == 2
    assert serving.health().errors == 0


def test_two_crashes_condemn_a_release_on_probation(serve: Serve) -> None:
    made = release("cpu-litert")
    serving = serve(made, faults=WorkerFaults(crash_after=5))

    def condemned() -> bool:
        with contextlib.suppress(ModelFailed, NotReady):
            ask(serving)
        judged = verdict(serving.health(), probation_limits(made.manifest, made.variant), 5.0)
        return isinstance(judged, RollBack) and judged.reason is Reason.PROBATION_CRASHES

    eventually(condemned)


def test_a_hang_is_noticed_and_the_worker_replaced(serve: Serve) -> None:
    made = release("cpu-litert")
    serving = serve(made, faults=WorkerFaults(hang_after=5), request_timeout_s=0.5)

    with pytest.raises(ModelFailed, match=r"no answer within 0\.5 s") as caught:
        ask_often(serving, 5)

    assert caught.value.reason is Reason.PROBATION_HANG
    assert ask(serving) == 2
    assert (serving.health().hangs, serving.health().crashes) == (1, 0)
    assert isinstance(verdict(serving.health(), probation_limits(made.manifest, made.variant), 1.0), RollBack)


def test_nan_answers_are_counted_unless_the_input_was_nan(serve: Serve) -> None:
    serving = serve("blank-nan")
    blank = {"image": np.zeros((1, 8, 8, 1), np.float32)}

    serving.infer(MODEL, None, {"image": blank["image"] * np.nan})
    assert serving.health().non_finite == 0
    assert np.isnan(serving.infer(MODEL, None, blank).outputs["digit"]).all()
    assert serving.health().non_finite == 1


def test_too_many_requests_are_refused_instead_of_piling_up(serve: Serve) -> None:
    recorder = Recorder()
    queue = QueueLimits(depth=2, wait_s=5.0)
    serving = serve("cpu-litert", observer=recorder, queue=queue, faults=WorkerFaults(slow_ms=20))

    with Load(serving, threads=6) as load:
        eventually(lambda: len(load.errors) > 10 and len(load.answers) > 3)

    assert {type(error) for error in load.errors} == {NotReady}
    assert serving.health().errors == 0
    assert len(recorder.failures) == len(load.errors)


def test_a_request_that_waits_too_long_is_told_so(serve: Serve) -> None:
    serving = serve("cpu-litert", queue=QueueLimits(depth=8, wait_s=0.02), faults=WorkerFaults(slow_ms=30))

    with Load(serving, threads=3) as load:
        eventually(lambda: bool(load.errors))

    assert all("too many requests" in str(error) for error in load.errors)


def test_what_is_not_served_is_refused(serve: Serve) -> None:
    serving = serve()
    with pytest.raises(NotReady):
        ask(serving)
    with pytest.raises(ModelFailed):
        serving.activate()
    assert (serving.active(), serving.active_selftest(), serving.health().requests) == (None, None, 0)

    serving.prepare(release("cpu-litert", 7))
    serving.activate()
    with pytest.raises(UnknownModel, match="version 6 of digits is not active; version 7 is"):
        serving.infer(MODEL, 6, image())
    with pytest.raises(UnknownModel, match="model 'letters' is not on this device"):
        serving.infer(ModelName("letters"), None, image())
    with pytest.raises(InvalidRequest):
        serving.infer(MODEL, 7, {})
    assert serving.health().errors == 0

    serving.stop_serving()
    serving.stop_serving()
    with pytest.raises(NotReady):
        ask(serving)
