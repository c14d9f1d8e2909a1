"""The checks before a device runs anything: each is broken on its own and must refuse with its own reason."""

from __future__ import annotations

import io
import json
import zipfile
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from itertools import product

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from securesystemslib.dsse import Envelope
from securesystemslib.signer import CryptoSigner

from edge_contracts.assignments import (
    PAYLOAD_TYPE,
    director_key_bytes,
    open_assignment,
    read_director_key,
    sign_assignment,
)
from edge_contracts.errors import Malformed, Refused
from edge_contracts.ids import DeviceId, Digest, TenantId
from edge_contracts.keywrap import unwrap_key, wrap_key
from edge_contracts.manifest import MAX_MANIFEST_BYTES, read_manifest
from edge_contracts.payload import Payload, pack_payload, unpack_payload
from edge_contracts.reasons import Reason
from edge_contracts.verification import verify_artifact, verify_assignment, verify_release
from tests.edge_contracts.trust_case import MODEL, NOW, TrustCase, ref


@pytest.fixture
def case():
    return TrustCase()


def refused(function, *arguments):
    with pytest.raises(Refused) as caught:
        function(*arguments)
    return caught.value.reason


def plan_of(case, assignment=None, **changes):
    arguments = {
        "manifest_bytes": case.manifest_bytes,
        "manifest_target": ref(case.manifest_bytes),
        "artifact_target": ref(case.artifact),
        "device": case.device,
    }
    return verify_release(assignment or case.assignment(), **(arguments | changes))


def test_a_good_release_passes_every_step(case):
    envelope = sign_assignment(case.assignment(), case.director)
    assignment = verify_assignment(envelope, case.director.public_key, case.device, NOW)
    payload = verify_artifact(plan_of(case, assignment), case.artifact, case.device.id, case.hpke)
    assert payload == case.payload


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"device": DeviceId("gate-8")}, Reason.ASSIGNMENT_OTHER_DEVICE),
        ({"tenant": TenantId("other")}, Reason.ASSIGNMENT_OTHER_DEVICE),
        ({"expires": NOW}, Reason.ASSIGNMENT_EXPIRED),
        ({"expires": NOW - timedelta(days=400)}, Reason.ASSIGNMENT_EXPIRED),
        ({"counter": 2}, Reason.ASSIGNMENT_REPLAYED),
        ({"version": 3}, Reason.RELEASE_TOO_OLD),
        ({"version": 2, "kind": "revert"}, Reason.RELEASE_TOO_OLD),
        ({"version": 9, "kind": "revert"}, Reason.RELEASE_TOO_OLD),
    ],
)
def test_an_assignment_that_does_not_fit_is_refused(case, changes, reason):
    envelope = sign_assignment(case.assignment(**changes), case.director)
    assert refused(verify_assignment, envelope, case.director.public_key, case.device, NOW) is reason


def test_a_revert_to_the_previous_release_is_followed(case):
    envelope = sign_assignment(case.assignment(kind="revert", version=3), case.director)
    assert verify_assignment(envelope, case.director.public_key, case.device, NOW).version == 3


def test_an_assignment_of_another_director_is_refused(case):
    envelope = sign_assignment(case.assignment(), CryptoSigner.generate_ed25519())
    assert refused(open_assignment, envelope, case.director.public_key) is Reason.ASSIGNMENT_SIGNATURE


def test_a_changed_assignment_is_refused(case):
    fields = json.loads(sign_assignment(case.assignment(), case.director))
    other = json.loads(sign_assignment(case.assignment(version=6), case.director))
    forged = json.dumps(fields | {"payload": other["payload"]}).encode()
    assert refused(open_assignment, forged, case.director.public_key) is Reason.ASSIGNMENT_SIGNATURE


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"\xff", b'{"payload": 1}', b"x" * 70_000, b"[" * 60_000])
def test_an_unreadable_envelope_is_refused(case, data):
    assert refused(open_assignment, data, case.director.public_key) is Reason.ASSIGNMENT_MALFORMED


def test_an_envelope_with_any_odd_value_is_refused(case):
    signed = json.loads(sign_assignment(case.assignment(), case.director))
    for field, odd in product(signed, (None, 5, True, [], {}, [5], [{}], [{"keyid": 5, "sig": "x"}])):
        data = json.dumps(signed | {field: odd}).encode()
        assert refused(open_assignment, data, case.director.public_key) in {
            Reason.ASSIGNMENT_MALFORMED,
            Reason.ASSIGNMENT_SIGNATURE,
        }


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_a_time_that_no_calendar_has_in_utc_is_refused(case, moment):
    fields = json.loads(case.assignment().model_dump_json()) | {"expires": moment}
    envelope = Envelope(json.dumps(fields).encode(), PAYLOAD_TYPE, {})
    envelope.sign(case.director)
    data = json.dumps(envelope.to_dict()).encode()
    assert refused(open_assignment, data, case.director.public_key) is Reason.ASSIGNMENT_MALFORMED


def test_the_director_key_survives_its_target(case):
    assert read_director_key(director_key_bytes(case.director.public_key)) == case.director.public_key
    with pytest.raises(Malformed):
        read_director_key(b"[]")


def test_a_release_the_publisher_did_not_sign_is_refused(case):
    assert refused(lambda: plan_of(case, manifest_target=None)) is Reason.RELEASE_UNKNOWN
    assert refused(lambda: plan_of(case, artifact_target=None)) is Reason.RELEASE_UNKNOWN
    assert refused(lambda: plan_of(case, manifest_bytes=case.manifest_bytes + b" ")) is Reason.MANIFEST_DIGEST


def test_a_manifest_of_another_release_is_refused(case):
    assert refused(lambda: plan_of(case, case.assignment(version=6))) is Reason.MANIFEST_MALFORMED
    garbage = b'{"model": 5}'
    changes = {"manifest_bytes": garbage, "manifest_target": ref(garbage)}
    assert refused(lambda: plan_of(case, **changes)) is Reason.MANIFEST_MALFORMED


def test_a_device_of_another_kind_refuses(case):
    other = replace(case.device, profile="microcontroller")
    assert refused(lambda: plan_of(case, device=other)) is Reason.RELEASE_INCOMPATIBLE
    bare = replace(case.device, runs=lambda needs: False)
    assert refused(lambda: plan_of(case, device=bare)) is Reason.ENGINE_MISSING


@pytest.mark.parametrize("part", ["artifact", "payload", "model"])
def test_quarantined_content_is_not_tried_again(case, part):
    variant = case.manifest.variants[0]
    digest = {"artifact": Digest.of(case.artifact), "payload": variant.payload.digest, "model": variant.model.digest}
    device = replace(case.device, quarantine={digest[part]})
    assert refused(lambda: plan_of(case, device=device)) is Reason.QUARANTINED


def test_a_tampered_artifact_is_refused(case):
    plan = plan_of(case)
    broken = case.artifact[:-1] + bytes([case.artifact[-1] ^ 1])
    device = case.device.id
    assert refused(verify_artifact, plan, broken, device, case.hpke) is Reason.ARTIFACT_DIGEST
    assert refused(verify_artifact, plan, case.artifact[:-1], device, case.hpke) is Reason.ARTIFACT_LENGTH
    signed_anyway = replace(plan, artifact=ref(broken))
    assert refused(verify_artifact, signed_anyway, broken, device, case.hpke) is Reason.ARTIFACT_KEY


def test_a_key_for_another_device_or_artifact_does_not_open(case):
    wrapped = wrap_key(case.key, case.hpke.public_key(), case.device.id, Digest.of(b"a"))
    assert unwrap_key(wrapped, case.hpke, case.device.id, Digest.of(b"a")) == case.key
    for private, device, artifact in (
        (X25519PrivateKey.generate(), case.device.id, Digest.of(b"a")),
        (case.hpke, DeviceId("gate-8"), Digest.of(b"a")),
        (case.hpke, case.device.id, Digest.of(b"b")),
    ):
        assert refused(unwrap_key, wrapped, private, device, artifact) is Reason.ARTIFACT_KEY
    assert refused(unwrap_key, b"short", case.hpke, case.device.id, Digest.of(b"a")) is Reason.ARTIFACT_KEY


def test_an_assignment_without_a_key_opens_nothing(case):
    plan = plan_of(case, case.assignment(wrapped_key=None))
    assert refused(verify_artifact, plan, case.artifact, case.device.id, case.hpke) is Reason.ARTIFACT_KEY


def a_zip(**members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED if "bomb" in members else zipfile.ZIP_STORED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"not a zip", Reason.PAYLOAD_MALFORMED),
        (a_zip(other=b"x"), Reason.PAYLOAD_MALFORMED),
        (a_zip(bomb=b"", model=b"\0" * 10_000_000), Reason.PAYLOAD_MALFORMED),
        (pack_payload(Payload(b"x" * 70_000, b"g" * 500)), Reason.PAYLOAD_DIGEST),
        (pack_payload(Payload(b"short", b"g" * 500)), Reason.PAYLOAD_MALFORMED),
    ],
)
def test_a_hostile_payload_is_refused(case, data, reason):
    variant = case.manifest.variants[0]
    assert refused(unpack_payload, data, variant.model, variant.golden) is reason


@settings(max_examples=500, deadline=None)
@given(st.data())
def test_a_payload_with_any_bytes_changed_is_refused_or_the_same(data):
    payload = Payload(b"m" * 50, b"g" * 30)
    packed = bytearray(pack_payload(payload))
    for place in data.draw(st.lists(st.integers(0, len(packed) - 1), min_size=1, max_size=6)):
        packed[place] = data.draw(st.sampled_from((0, 0x80, 0xFF)))
    with suppress(Refused):
        assert unpack_payload(bytes(packed), ref(payload.model), ref(payload.golden)) == payload


def test_a_directory_before_the_beginning_is_refused(case):
    data = bytearray(pack_payload(case.payload))
    data[-6:-2] = b"\xff\xff\xff\x0f"  # where the central directory begins
    variant = case.manifest.variants[0]
    assert refused(unpack_payload, bytes(data), variant.model, variant.golden) is Reason.PAYLOAD_MALFORMED


def test_a_payload_is_the_same_bytes_each_time(case):
    assert pack_payload(case.payload) == pack_payload(case.payload)


def test_a_manifest_reads_back_and_a_hostile_one_is_malformed(case):
    assert read_manifest(case.manifest_bytes) == case.manifest
    assert case.manifest.for_profile("gateway")[0].name == "cpu-fp32"
    twice = json.loads(case.manifest_bytes)
    twice["variants"] *= 2
    for data in (b"", b"{}", b" " * (MAX_MANIFEST_BYTES + 1), json.dumps(twice).encode()):
        with pytest.raises(Malformed):
            read_manifest(data)


def test_the_floor_is_of_each_model_alone(case):
    device = replace(case.device, floors={}, last_counter=0)
    envelope = sign_assignment(case.assignment(version=1), case.director)
    assert verify_assignment(envelope, case.director.public_key, device, NOW).model == MODEL
