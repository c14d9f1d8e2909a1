"""The worker: a process that loads one model and answers one request after the other until its agent is gone.

Started as `python -m edge_agent.worker --channel FD --model FD`, or with `--probe ENGINE/ACCELERATOR` to find out
whether an engine works here. Native code may crash, hang or abort here: that ends this process and nothing else.
"""

from __future__ import annotations

import argparse
import os
import resource
import select
import socket
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Final, NoReturn

from edge_agent.adapters.engines.session import EngineMissing, Session
from edge_agent.adapters.engines.table import open_engine
from edge_agent.adapters.frames import Closed, Kind, receive, send_fields, send_tensors, tensors_of
from edge_agent.adapters.worker_orders import Failure, Order, Report, WorkerFaults
from edge_agent.core.tensors import Array
from edge_agent.ports import AgentError
from edge_contracts.manifest import Accelerator, Engine, EngineNeeds, Variant
from edge_contracts.reasons import Reason

GENTLE: Final = 10
"""Niceness while loading beside a model that answers: about a tenth of a contended core."""
SILENCE: Final = {"ORT_DISABLE_TELEMETRY": "1"}
"""Since 1.29 ONNX Runtime sends usage data to its maker, unless told not to before it is loaded."""
_WITHOUT_THREADS: Final = frozenset({Accelerator.CPU, Accelerator.MCU})


def main(arguments: list[str] | None = None) -> int:
    """Serve one model on the given channel, or probe an engine: 0 if it works, else 1 and the reason on stderr."""
    parser = argparse.ArgumentParser(prog="edge_agent.worker", description=__doc__)
    parser.add_argument("--channel", type=int, help="descriptor of a connected stream socket")
    parser.add_argument("--model", type=int, help="descriptor of the model's bytes")
    parser.add_argument("--probe", metavar="ENGINE/ACCELERATOR")
    chosen = parser.parse_args(arguments)
    os.environ.update(SILENCE)
    if chosen.probe:
        return _probe(chosen.probe)
    # A core dump would put the decrypted model on the disk.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with socket.socket(fileno=chosen.channel) as channel:
        _leave_when_closed(channel)
        try:
            _serve(channel, chosen.model)
        except Closed:
            return 0
    return 0


def _probe(name: str) -> int:
    engine, _, accelerator = name.partition("/")
    try:
        open_engine((Engine(engine), Accelerator(accelerator))).probe()
    except EngineMissing as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _serve(channel: socket.socket, model_fd: int) -> None:
    order = Order.model_validate(receive(channel).fields())
    with os.fdopen(model_fd, "rb") as file:
        model = file.read()
    try:
        session, report = _in_gentle_thread(order, model) if order.gentle else _load(model, order.variant)
    except Exception as error:  # noqa: BLE001 - engines raise anything; whatever it is, this model does not load
        send_fields(channel, Kind.FAILED, _failure(error).model_dump())
        return
    send_fields(channel, Kind.LOADED, report.model_dump())
    _answer_all(channel, session, order.faults)


def _load(model: bytes, variant: Variant) -> tuple[Session, Report]:
    """The session on the accelerator the variant asks for, or on its allowed fallback."""
    start, needs = time.perf_counter(), variant.needs
    try:
        session, note = open_engine((needs.engine, needs.accelerator)).load(model, variant), ""
    except EngineMissing as error:
        if needs.fallback is None:
            raise
        session, note = open_engine((needs.engine, needs.fallback)).load(model, _plain(variant)), str(error)
    loaded = session.loaded
    report = Report(
        accelerator=loaded.accelerator,
        fallback=bool(note),
        device=loaded.device,
        coverage=None if note else loaded.coverage,
        partitions=loaded.partitions,
        load_ms=(time.perf_counter() - start) * 1e3,
        memory_bytes=session.memory_bytes(),
        note=note,
    )
    return session, report


def _plain(variant: Variant) -> Variant:
    needs: EngineNeeds = variant.needs
    return variant.model_copy(update={"needs": needs.model_copy(update={"accelerator": needs.fallback})})


def _answer_all(channel: socket.socket, session: Session, faults: WorkerFaults) -> NoReturn:
    count = 0
    while True:
        frame = receive(channel)
        inputs, _ = tensors_of(frame)
        count += frame.kind is Kind.RUN
        try:
            start = time.perf_counter_ns()
            _make_trouble(faults, count)
            outputs: list[Array] = session.run(inputs)
            elapsed = time.perf_counter_ns() - start
        except Exception as error:  # noqa: BLE001 - this request failed, the next may not
            send_fields(channel, Kind.FAILED, _failure(error).model_dump())
            continue
        send_tensors(channel, Kind.RAN, outputs, elapsed)


def _make_trouble(faults: WorkerFaults, count: int) -> None:
    if faults.crash_after is not None and count >= faults.crash_after:
        sys.stderr.write(f"aborted on purpose at live request {count} (fault crash_after)\n")
        sys.stderr.flush()
        os.abort()
    if faults.hang_after is not None and count >= faults.hang_after:
        time.sleep(86400)
    if faults.slow_ms:
        time.sleep(faults.slow_ms / 1e3)


_REASONS: Final[dict[type[Exception], Reason]] = {
    EngineMissing: Reason.ENGINE_MISSING,
    MemoryError: Reason.SELFTEST_MEMORY,
}


def _failure(error: Exception) -> Failure:
    reason = next((reason for kind, reason in _REASONS.items() if isinstance(error, kind)), Reason.MODEL_UNLOADABLE)
    sentence = str(error) if isinstance(error, AgentError | MemoryError) else f"{type(error).__name__}: {error}"
    return Failure(reason=reason, message=sentence[:2000])


def _in_gentle_thread(order: Order, model: bytes) -> tuple[Session, Report]:
    """Load at low priority.

    Linux keeps niceness for each thread and lets nobody but root lower it again: so a thread of its own does the work
    and ends, and the main thread answers at normal priority. Threads the engine starts would stay nice for ever, so
    an engine that starts some is loaded at normal priority.
    """
    needs = order.variant.needs
    if needs.threads > 1 or needs.accelerator not in _WITHOUT_THREADS:
        return _load(model, order.variant)
    with ThreadPoolExecutor(1, initializer=_be_nice) as executor:
        return executor.submit(_load, model, order.variant).result()


def _be_nice() -> None:
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), GENTLE)


def _leave_when_closed(channel: socket.socket) -> None:
    """End this process when the agent is gone, even while native code runs."""

    def watch() -> None:
        poll = select.poll()
        poll.register(channel, select.POLLRDHUP | select.POLLHUP)
        poll.poll()
        os._exit(0)

    threading.Thread(target=watch, name="parent", daemon=True).start()


if __name__ == "__main__":
    sys.exit(main())
