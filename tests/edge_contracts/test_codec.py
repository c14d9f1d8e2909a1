"""Messages as bytes: the golden files never change meaning, hostile bytes are refused, unknown fields survive."""

from __future__ import annotations

import zlib
from pathlib import Path

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_contracts.codec import MAX_MESSAGE_BYTES, MAX_PLAIN_BYTES, decode, encode
from edge_contracts.errors import Malformed
from edge_contracts.messages import Ack, Desired, Heartbeat
from edge_contracts.topics import TOPICS
from tests.edge_contracts.messages_examples import EXAMPLES

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.suffix)
def test_every_message_of_the_table_has_a_golden_file_that_still_reads(topic):
    example = EXAMPLES[topic.suffix]
    golden = (GOLDEN / f"{topic.suffix}.cbor").read_bytes()
    assert decode(topic.message, golden) == example


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.suffix)
def test_a_message_survives_the_wire(topic):
    example = EXAMPLES[topic.suffix]
    assert decode(topic.message, encode(example)) == example
    assert encode(decode(topic.message, encode(example))) == encode(example)


def test_a_field_of_a_newer_version_survives_an_older_reader():
    data = b"\x00" + cbor2.dumps({"v": 1, "kind": "desired", "counter": 3, "colour": "blue"})
    again = cbor2.loads(encode(decode(Desired, data))[1:])
    assert again["colour"] == "blue"


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "0 bytes"),
        (b"\x00" * (MAX_MESSAGE_BYTES + 1), f"{MAX_MESSAGE_BYTES + 1} bytes"),
        (b"\x07abc", "unknown encoding"),
        (b"\x00\xff\xff", "not CBOR"),
        (b"\x00" + cbor2.dumps([1, 2]), "not one CBOR map"),
        (b"\x00" + cbor2.dumps({1: 2}), "not one CBOR map"),
        (b"\x00" + cbor2.dumps({"v": 1, "kind": "desired", "counter": 3}) + b"\x00", "not one CBOR map"),
        (b"\x00" + cbor2.dumps({"v": 2, "counter": 3}), "schema version 2"),
        (b"\x00" + cbor2.dumps({"v": 1, "counter": -3}), "Desired.counter"),
        (b"\x01not zlib", "not zlib"),
        (b"\x01" + zlib.compress(b"\x00" * (MAX_PLAIN_BYTES + 1)), "inflates beyond"),
        (b"\x01" + zlib.compress(b"\x00" * 100)[:-6], "cut short"),
        (b"\x00" + b"\x81" * 100_000, "not"),
    ],
)
def test_hostile_bytes_are_refused_with_a_sentence(data, says):
    with pytest.raises(Malformed, match=says):
        decode(Desired, data)


@given(st.binary(max_size=400))
def test_random_bytes_never_raise_anything_but_malformed(data):
    try:
        decode(Heartbeat, data)
    except Malformed:
        return


@given(st.text(max_size=36), st.lists(st.integers(0, 2**40), max_size=50))
def test_any_ack_survives_the_wire(boot, sequences):
    ack = Ack(boot=boot, sequences=tuple(sequences))
    assert decode(Ack, encode(ack)) == ack
