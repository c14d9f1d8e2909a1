"""How a device becomes a member of the fleet, over real TLS; and how strangers, clones and the revoked do not."""

from __future__ import annotations

import base64
import ssl
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from edge_contracts.api import ASSIGNMENT_PATH, ENROL_PATH, EnrolmentResponse
from edge_contracts.ids import DeviceId, ProfileName
from edge_fleet.adapters.database import Database, sqlite_url
from edge_fleet.errors import Unauthenticated
from edge_fleet.records.identities import CertificateRow, DeviceRow, EnrolmentTokenRow
from edge_fleet.services.enrolment import identify
from tests.edge_fleet.server_case import PROFILES, Device, Server, must, problem
from tests.support.broker import Authority


def refusal(server: Server, body: dict[str, object]) -> httpx.Response:
    with server.stranger() as client:
        return client.post(ENROL_PATH, json=body)


def test_a_device_enrols_and_is_known_by_its_certificate(server: Server) -> None:
    device = Device()
    identity = device.enrol(server, name="gate-1", labels={"site": "oslo"})
    assert identity.device == "gate-1"
    assert (identity.mqtt_host, identity.mqtt_port) == ("localhost", server.ready["mqtt_port"])
    with device.client(server) as client:
        assert client.get(ASSIGNMENT_PATH).status_code == 204
    with server.operator() as operator:
        view = must(operator.get("/v1/devices/gate-1")).json()
    assert (view["profile"], view["status"], view["labels"]) == (PROFILES[0], "never-seen", {"site": "oslo"})


def test_the_certificate_names_the_device_and_is_good_for_nothing_but_being_a_client(server: Server) -> None:
    identity = Device().enrol(server, name="gate-2")
    certificate = x509.load_pem_x509_certificate(identity.certificate.encode())
    (name,) = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    assert name.value == "gate-2"
    uses = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(uses) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False
    left = certificate.not_valid_after_utc - datetime.now(UTC)
    assert timedelta(days=364) < left < timedelta(days=366)


def test_a_device_without_a_wish_gets_a_name_made_from_its_profile(server: Server) -> None:
    assert Device().enrol(server).device.startswith("rpi4-litert-")


def test_the_operators_labels_win_over_the_devices_own(server: Server) -> None:
    token = server.enrolment_token(labels={"site": "oslo"})
    device = Device()
    device.enrol(server, token, labels={"site": "forged", "rack": "7"})
    with server.operator() as operator:
        assert operator.get(f"/v1/devices/{device.id}").json()["labels"] == {"site": "oslo", "rack": "7"}


def test_a_repeated_request_gets_the_same_certificate_and_costs_no_further_use(server: Server) -> None:
    token = server.enrolment_token(uses=1)
    device = Device()
    first = device.enrol(server, token)
    assert device.enrol(server, token) == first
    problem(refusal(server, Device().request(token)), 401, "enrolment-token-used")


def test_devices_that_race_for_the_last_uses_of_a_token_never_get_more_than_it_has(server: Server) -> None:
    token = server.enrolment_token(uses=3)
    devices = [Device() for _ in range(10)]
    with ThreadPoolExecutor(10) as threads:
        answers = list(threads.map(lambda device: refusal(server, device.request(token)), devices))
    assert sorted(answer.status_code for answer in answers) == [200] * 3 + [401] * 7
    names = {EnrolmentResponse.model_validate_json(a.content).device for a in answers if a.status_code == 200}
    assert len(names) == 3


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"token": "en_nobody-has-made-this"}, 401, "enrolment-token-unknown"),
        ({"csr": "not a request"}, 422, "csr-invalid"),
        ({"csr": "x" * 9000}, 422, "csr-invalid"),
        ({"csr": Device().csr(ec.generate_private_key(ec.SECP384R1()))}, 422, "csr-invalid"),
        ({"csr": Device().csr(rsa.generate_private_key(65537, 2048))}, 422, "csr-invalid"),
        ({"hpke_public_key": base64.b64encode(bytes(32)).decode()}, 422, "hpke-key-invalid"),
        ({"hpke_public_key": base64.b64encode(bytes(31)).decode()}, 422, "request-invalid"),
        ({"profile": "../etc"}, 422, "request-invalid"),
        ({"name": "server.fleet"}, 422, "request-invalid"),
        ({"name": "a/#"}, 422, "request-invalid"),
        ({"labels": {"site": "x" * 300}}, 422, "label-too-long"),
    ],
)
def test_what_is_not_acceptable_is_refused_with_its_reason(
    server: Server, changes: dict[str, object], status: int, code: str
) -> None:
    problem(refusal(server, Device().request(server.enrolment_token()) | changes), status, code)


def test_a_request_signed_by_another_key_than_it_names_is_refused(server: Server) -> None:
    request = x509.load_pem_x509_csr(Device().csr().encode())
    der = bytearray(request.public_bytes(Encoding.DER))
    der[-1] ^= 1
    body = base64.encodebytes(bytes(der)).decode()
    forged = f"-----BEGIN CERTIFICATE REQUEST-----\n{body}-----END CERTIFICATE REQUEST-----\n"
    problem(refusal(server, Device().request(server.enrolment_token(), csr=forged)), 422, "csr-invalid")


def test_a_token_for_one_profile_enrols_no_other(server: Server) -> None:
    token = server.enrolment_token(profile=PROFILES[1])
    problem(refusal(server, Device().request(token)), 403, "enrolment-token-profile")
    assert Device(profile=PROFILES[1]).enrol(server, token)


def test_a_live_identity_is_not_taken_over_unless_the_operator_allows_it(server: Server) -> None:
    first = Device()
    first.enrol(server, name="gate-3")
    thief = Device()
    problem(refusal(server, thief.request(server.enrolment_token(), name="gate-3")), 409, "identity-exists")

    second = Device(profile=ProfileName("hexagon-qnn"))
    second.enrol(server, server.enrolment_token(allow_reenrolment=True), name="gate-3")
    with first.client(server) as client:
        problem(client.get(ASSIGNMENT_PATH), 401, "certificate-replaced")
    with second.client(server) as client:
        assert client.get(ASSIGNMENT_PATH).status_code == 204


def test_a_revoked_device_is_out_and_stays_out(server: Server) -> None:
    device, token = Device(), server.enrolment_token()
    device.enrol(server, token)
    with server.operator() as operator, device.client(server) as client:
        must(client.get(ASSIGNMENT_PATH), 204)
        assert must(operator.post(f"/v1/devices/{device.id}/revoke")).json()["status"] == "revoked"
        problem(client.get(ASSIGNMENT_PATH), 403, "device-revoked")
        must(operator.post(f"/v1/devices/{device.id}/revoke"))
        rows = operator.get("/v1/audit").json()["items"]
    assert [row["subject"] for row in rows if row["action"] == "device.revoke"].count(device.id) == 1
    problem(refusal(server, device.request(token)), 403, "certificate-revoked")
    problem(refusal(server, Device().request(server.enrolment_token(), name=device.id)), 409, "identity-exists")


def test_a_certificate_that_expires_during_a_connection_is_no_good_any_more(tmp_path: Path) -> None:
    database, now = Database(sqlite_url(tmp_path / "fleet.sqlite")), datetime.now(UTC)
    database.migrate()
    device, later = DeviceId("gate-1"), now + timedelta(days=1)
    secret = EnrolmentTokenRow(id="t", secret_hash="h", uses_left=0, labels={}, allow_reenrolment=False, expires=now)
    secret.created_by, secret.created = "ann", now
    row = DeviceRow(id=device, profile=PROFILES[0], labels={}, hpke_public_key=bytes(32), enrolled=now)
    shown = CertificateRow(serial="1f", device=device, token="t", key_digest="k", pem="", issued=now, expires=later)
    with database.write() as session:
        for one in (secret, row, shown):
            session.add(one)
            session.flush()
    with database.read() as session:
        assert identify(session, 0x1F, device, now).id == device
        with pytest.raises(Unauthenticated, match="expired"):
            identify(session, 0x1F, device, later)
    database.close()


def test_revoking_what_is_not_there_says_so(server: Server) -> None:
    with server.operator() as operator:
        problem(operator.post("/v1/devices/nobody/revoke"), 404, "device-unknown")


@pytest.mark.parametrize(
    "path",
    [
        ASSIGNMENT_PATH,
        "/v1/device/metadata/timestamp.json",
        "/v1/device/targets/director/key.json",
        f"/v1/device/artifacts/{'0' * 64}",
    ],
)
def test_every_path_but_enrolment_needs_a_certificate(server: Server, path: str) -> None:
    with server.stranger() as client:
        problem(client.get(path), 401, "certificate-missing")


def test_the_servers_own_certificate_is_no_devices(server: Server) -> None:
    context = ssl.create_default_context(cafile=str(server.authority))
    context.load_cert_chain(server.folder / "certificates" / "server.pem", server.folder / "keys" / "server.pem")
    with httpx.Client(base_url=server.ready["device_url"], verify=context, trust_env=False) as client:
        problem(client.get(ASSIGNMENT_PATH), 401, "certificate-unknown")


def test_a_certificate_of_another_authority_does_not_get_through_tls(
    server: Server, tmp_path_factory: pytest.TempPathFactory
) -> None:
    stranger = Authority(tmp_path_factory.mktemp("stranger")).issue("gate-1")
    context = ssl.create_default_context(cafile=str(server.authority))
    context.load_cert_chain(stranger.certificate, stranger.key)
    with (
        httpx.Client(base_url=server.ready["device_url"], verify=context, trust_env=False) as client,
        pytest.raises(httpx.TransportError),
    ):
        client.get(ASSIGNMENT_PATH)


def test_tls_below_1_2_is_not_spoken(server: Server) -> None:
    context = ssl.create_default_context(cafile=str(server.authority))
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with (
        httpx.Client(base_url=server.ready["device_url"], verify=context, trust_env=False) as client,
        pytest.raises(httpx.TransportError),
    ):
        client.get(ASSIGNMENT_PATH)
