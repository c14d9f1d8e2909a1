"""A model whose native code has taken over its worker can say anything to the agent; the agent ends it and goes on."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from edge_agent.adapters.frames import Kind
from edge_agent.ports import ModelFailed
from edge_contracts.reasons import Reason
from tests.edge_agent.serving.conftest import Serve
from tests.support.releases import release

# Python runs a module of this name at its start: here it takes the worker over before its own first line.
TAKEN_OVER = """
import socket, struct, sys, time
if "--channel" in sys.orig_argv:
    channel = socket.socket(fileno=int(sys.orig_argv[sys.orig_argv.index("--channel") + 1]))
    {deed}
    time.sleep(600)
"""
FRAME = "body = {body}; channel.sendall(struct.pack('<B3xI', {kind}, len(body)) + body)"


def frame(kind: Kind, body: bytes) -> str:
    return FRAME.format(kind=int(kind), body=repr(body) if len(body) < 1000 else f"{body[:1]!r} * {len(body)}")


@pytest.mark.parametrize(
    "deed",
    [
        "channel.sendall(b'noise' * 100)",
        "channel.shutdown(socket.SHUT_RDWR)",
        frame(Kind.LOADED, b"{}"),
        frame(Kind.FAILED, b"[" * 100_000),
        frame(Kind.FAILED, b'{"reason": "because", "message": ""}'),
    ],
    ids=["noise", "silence", "no-report", "deep", "no-reason"],
)
def test_whatever_a_worker_says_while_loading_the_release_fails(serve: Serve, tmp_path: Path, deed: str) -> None:
    (tmp_path / "sitecustomize.py").write_text(TAKEN_OVER.format(deed=deed))
    hostile = serve(environment={"PYTHONPATH": str(tmp_path)}, load_timeout_s=20.0)
    start = time.monotonic()
    with pytest.raises(ModelFailed) as failure:
        hostile.prepare(release("cpu-litert"))
    assert failure.value.reason is Reason.MODEL_UNLOADABLE
    assert time.monotonic() - start < 20


def test_what_a_worker_has_started_ends_with_it(serve: Serve, tmp_path: Path) -> None:
    mark = tmp_path / "alive"
    deed = f"import os; os.fork() or [time.sleep(0.05) or open({str(mark)!r}, 'a').write('x') for _ in range(10000)]"
    (tmp_path / "sitecustomize.py").write_text(TAKEN_OVER.format(deed=deed))
    with pytest.raises(ModelFailed, match="did not load"):
        serve(environment={"PYTHONPATH": str(tmp_path)}, load_timeout_s=2.0).prepare(release("cpu-litert"))
    size = mark.stat().st_size
    time.sleep(0.3)
    assert mark.stat().st_size == size
