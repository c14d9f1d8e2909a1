"""The messages between agent and worker: everything that is sent arrives, everything else is refused."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.adapters.frames import (
    MAX_BODY_BYTES,
    BadFrame,
    Closed,
    Kind,
    receive,
    send_fields,
    send_tensors,
    tensors_of,
)
from edge_agent.core.tensors import DTYPES

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


shapes = st.lists(st.integers(0, 4), max_size=4).map(tuple)


@given(st.lists(st.tuples(st.sampled_from(sorted(DTYPES)), shapes), max_size=5), st.integers(0, 2**63))
def test_tensors_arrive_as_they_were_sent(abouts: list[tuple[str, tuple[int, ...]]], engine_ns: int) -> None:
    sent = [np.arange(np.prod(shape), dtype=np.int64).reshape(shape).astype(DTYPES[name]) for name, shape in abouts]
    ours, theirs = socket.socketpair()
    with ours, theirs:
        send_tensors(ours, Kind.RUN, sent, engine_ns)
        frame = receive(theirs)

    got, took = tensors_of(frame)

    assert (frame.kind, took) == (Kind.RUN, engine_ns)
    for a, b in zip(sent, got, strict=True):
        assert (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())


def test_tensors_larger_than_the_socket_arrive_whole(pair: Pair) -> None:
    large = np.random.default_rng(1).integers(0, 255, (3, 1_000_000)).astype(np.uint8).T
    sender = threading.Thread(target=send_tensors, args=(pair[0], Kind.RAN, [large]))
    sender.start()
    (got,), _ = tensors_of(receive(pair[1]))
    sender.join()

    assert np.array_equal(got, large)


def test_fields_arrive_as_they_were_sent(pair: Pair) -> None:
    send_fields(pair[0], Kind.LOADED, {"a": [1, "ü"]})
    assert receive(pair[1]).fields() == {"a": [1, "ü"]}


@pytest.mark.parametrize(
    "head", [struct.pack("<B3xI", 99, 0), struct.pack("<B3xI", 3, MAX_BODY_BYTES + 1), b"\xff" * 8]
)
def test_a_frame_of_no_known_kind_or_length_is_refused(pair: Pair, head: bytes) -> None:
    pair[0].sendall(head)
    with pytest.raises(BadFrame):
        receive(pair[1])


@given(st.binary(max_size=64))
def test_a_body_that_is_not_tensors_is_refused_or_read(body: bytes) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(struct.pack("<B3xI", Kind.RAN, len(body)) + body)
        frame = receive(theirs)
        with contextlib.suppress(BadFrame):
            tensors_of(frame)
        with pytest.raises(BadFrame):
            frame.fields()


def test_a_closed_channel_is_told_apart_from_a_silent_one(pair: Pair) -> None:
    with pytest.raises(TimeoutError):
        receive(pair[1], time.monotonic() + 0.05)
    pair[0].close()
    with pytest.raises(Closed):
        receive(pair[1])
    with pytest.raises(Closed):
        send_tensors(pair[1], Kind.RUN, [])


def test_a_reader_that_does_not_read_is_not_waited_for_for_ever(pair: Pair) -> None:
    with pytest.raises(TimeoutError):
        send_tensors(pair[0], Kind.RUN, [np.zeros(10_000_000, np.uint8)], deadline=time.monotonic() + 0.1)
