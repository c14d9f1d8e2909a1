"""The operator client: every way in which a server may fail to answer becomes one of our errors."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_contracts.ids import DeviceId
from edge_contracts.operations import NewEnrolmentToken, NewOperatorToken, NewRollout, Scope
from edge_sdk import client as client_module
from edge_sdk.client import FleetClient
from edge_sdk.errors import Rejected, Unreachable
from edge_sdk.settings import Connection
from tests.support.bundles import good_bundle
from tests.support.line import Line


class Page(http.server.BaseHTTPRequestHandler):
    """Something that is no fleet server."""

    status = 200
    body = b"<html>Welcome</html>"

    def do_GET(self) -> None:
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def stranger() -> Iterator[str]:
    with http.server.HTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_nobody_listening_is_said_with_the_address() -> None:
    with FleetClient(Connection("http://127.0.0.1:1", "t")) as client, pytest.raises(Unreachable) as caught:
        client.devices()

    assert "http://127.0.0.1:1" in str(caught.value)
    assert "edge-sdk server up" in caught.value.hint


@pytest.mark.parametrize(("status", "body"), [(200, b"<html>"), (200, b"{}"), (404, b"nothing"), (502, b"{}")])
def test_a_server_of_another_kind_is_recognised(
    stranger: str, status: int, body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Page, "status", status)
    monkeypatch.setattr(Page, "body", body)

    with FleetClient(Connection(stranger, "t")) as client, pytest.raises(Unreachable):
        client.devices()


def test_a_wrong_token_is_rejected_with_its_code(line: Line) -> None:
    wrong = Connection(line.client.connection.server, "op_wrong")

    with FleetClient(wrong) as client, pytest.raises(Rejected) as caught:
        client.devices()

    assert caught.value.status == 401
    assert caught.value.code.startswith("token-")
    assert caught.value.hint


def test_a_token_can_do_only_what_its_scopes_say(line: Line) -> None:
    token = line.client.make_operator_token(NewOperatorToken(name="looker", scopes=frozenset({Scope.READ})))

    with FleetClient(Connection(line.client.connection.server, token.secret)) as client:
        client.devices()
        with pytest.raises(Rejected) as caught:
            client.make_enrolment_token(NewEnrolmentToken())

    assert caught.value.status == 403


def test_what_is_not_there_is_said_by_its_name(line: Line) -> None:
    with pytest.raises(Rejected, match="no-such-device") as caught:
        line.client.device("no-such-device")

    assert caught.value.status == 404


def test_long_lists_are_read_page_by_page(line: Line, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    line.publish(good_bundle(tmp_path, 31))
    plan = NewRollout.model_validate({"model": "digits", "version": 31, "start": False})
    made = {line.client.create_rollout(plan).id for _ in range(5)}

    monkeypatch.setattr(client_module, "PAGE", 2)

    assert made <= {each.id for each in line.client.rollouts()}
    assert line.client.models() == ["digits"]
    assert 31 in {release.version for release in line.client.releases("digits")}


def test_a_draft_can_be_aborted_and_then_not_resumed(line: Line, tmp_path: Path) -> None:
    line.publish(good_bundle(tmp_path, 32))
    wish = {"model": "digits", "version": 32, "selector": {"devices": [DeviceId("nobody")]}, "start": False}
    draft = line.client.create_rollout(NewRollout.model_validate(wish))

    assert line.client.steer(draft.id, "abort").state == "aborted"
    with pytest.raises(Rejected) as caught:
        line.client.steer(draft.id, "resume")
    assert caught.value.status == 409
