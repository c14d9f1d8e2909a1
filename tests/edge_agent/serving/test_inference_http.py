"""The local API as a client sees it: the Open Inference Protocol over TCP and a Unix socket."""

from __future__ import annotations

import http.client
import json
import socket
import stat
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.http as triton

from edge_agent.adapters.generation import QueueLimits
from edge_agent.adapters.inference_http import MAX_BODY_BYTES, CannotListen, InferenceServer, start_inference_server
from edge_agent.adapters.serving import ProcessServing
from edge_agent.adapters.worker_orders import WorkerFaults
from tests.edge_agent.serving.conftest import Serve
from tests.support.releases import release, samples

X, Y = samples()
INFER = "/v2/models/digits/infer"
LENGTH = "Inference-Header-Content-Length"


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def fields(self) -> dict[str, Any]:
        """The JSON part."""
        return json.loads(self.body[: int(self.headers.get(LENGTH, len(self.body)))])

    @property
    def tail(self) -> bytes:
        """The binary part."""
        return self.body[int(self.headers[LENGTH]) :]


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self._path))


def call(
    server: InferenceServer | http.client.HTTPConnection,
    path: str,
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
) -> Reply:
    """One request; a body makes it a POST."""
    connection = server
    if isinstance(server, InferenceServer):
        connection = http.client.HTTPConnection(server.host, server.port, timeout=30)
    connection.request("GET" if body is None else "POST", path, body, headers or {})
    response = connection.getresponse()
    reply = Reply(response.status, dict(response.headers), response.read())
    connection.close()
    return reply


def question(array: np.ndarray, datatype: str = "FP32", **fields: Any) -> bytes:
    """A request in JSON."""
    tensor = {"name": "image", "datatype": datatype, "shape": list(array.shape), "data": array.ravel().tolist()}
    return json.dumps({"inputs": [tensor], **fields}).encode()


def binary_question(array: np.ndarray, datatype: str = "FP32", **fields: Any) -> tuple[bytes, dict[str, str]]:
    """A request with binary tensor data, and its header."""
    size = {"binary_data_size": array.nbytes}
    tensor = {"name": "image", "datatype": datatype, "shape": list(array.shape), "parameters": size}
    head = json.dumps({"inputs": [tensor], **fields}).encode()
    return head + array.tobytes(), {LENGTH: str(len(head))}


@pytest.fixture(scope="module")
def serving() -> Iterator[ProcessServing]:
    made = ProcessServing()
    made.prepare(release("cpu-litert", 3))
    made.activate()
    yield made
    made.close()


@pytest.fixture(scope="module")
def server(serving: ProcessServing, tmp_path_factory: pytest.TempPathFactory) -> Iterator[InferenceServer]:
    made = start_inference_server(serving, "127.0.0.1", 0, tmp_path_factory.mktemp("api") / "infer.sock")
    yield made
    made.close()


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/v2/health/live", {"live": True}),
        ("/v2/health/ready", {"ready": True}),
        ("/v2", {"name": "edge-agent", "version": "2", "extensions": ["binary_tensor_data"]}),
        ("/v2/models/digits/ready", {"name": "digits", "ready": True}),
        ("/v2/models/digits/versions/3/ready", {"name": "digits", "ready": True}),
    ],
)
def test_health_and_readiness(server: InferenceServer, path: str, fields: dict[str, Any]) -> None:
    reply = call(server, path)
    assert (reply.status, reply.fields) == (200, fields)


@pytest.mark.parametrize("path", ["/v2/models/digits", "/v2/models/digits/versions/3"])
def test_metadata_names_tensors_and_what_runs_them(server: InferenceServer, path: str) -> None:
    fields = call(server, path).fields

    assert fields["versions"] == ["3"]
    assert (fields["inputs"][0]["name"], fields["inputs"][0]["datatype"]) == ("image", "INT8")
    assert fields["inputs"][0]["shape"] == [1, 8, 8, 1]
    assert fields["parameters"]["accelerator"] == "cpu"
    assert fields["parameters"]["model_digest"] == release("cpu-litert").variant.model.digest


def test_real_values_in_json_give_probabilities_and_a_label(server: InferenceServer) -> None:
    reply = call(server, INFER, question(X[:1], id="mine"))

    assert reply.status == 200
    assert reply.fields["id"] == "mine"
    assert (reply.fields["model_name"], reply.fields["model_version"]) == ("digits", "3")
    (output,) = reply.fields["outputs"]
    assert (output["name"], output["datatype"], output["shape"]) == ("digit", "FP32", [1, 10])
    assert int(np.argmax(output["data"])) == Y[0]
    assert sum(output["data"]) == pytest.approx(1, abs=0.02)
    parameters = reply.fields["parameters"]
    assert parameters["label"] == str(Y[0])
    assert parameters["release_version"] == 3
    assert parameters["fallback"] is False
    assert parameters["model_digest"].startswith("sha256:")


def test_stored_values_give_stored_values(server: InferenceServer) -> None:
    stored = (np.rint(X[:1] * 255) - 128).astype(np.int8)
    (output,) = call(server, INFER, question(stored, "INT8")).fields["outputs"]

    assert output["datatype"] == "INT8"
    assert max(output["data"]) == 127


def test_nested_data_and_the_path_with_a_version_work_too(server: InferenceServer) -> None:
    tensor = {"name": "image", "datatype": "FP32", "shape": [1, 8, 8, 1], "data": X[:1].tolist()}
    reply = call(server, "/v2/models/digits/versions/3/infer", json.dumps({"inputs": [tensor]}).encode())
    assert reply.status == 200


def test_binary_data_goes_both_ways(server: InferenceServer) -> None:
    body, headers = binary_question(X[:1], parameters={"binary_data_output": True})
    reply = call(server, INFER, body, headers)

    assert reply.status == 200
    assert reply.headers["Content-Type"] == "application/octet-stream"
    (output,) = reply.fields["outputs"]
    assert output["parameters"] == {"binary_data_size": 40}
    assert "data" not in output
    assert np.frombuffer(reply.tail, "<f4").argmax() == Y[0]


@pytest.mark.parametrize(
    ("parameters", "datatype", "binary"),
    [
        ({}, "FP32", False),
        ({"binary_data": True}, "FP32", True),
        ({"datatype": "INT8"}, "INT8", False),
        ({"datatype": "INT8", "binary_data": True}, "INT8", True),
    ],
)
def test_an_output_comes_as_it_is_wished_for(
    server: InferenceServer, parameters: dict[str, Any], datatype: str, binary: bool
) -> None:
    reply = call(server, INFER, question(X[:1], outputs=[{"name": "digit", "parameters": parameters}]))

    (output,) = reply.fields["outputs"]
    assert output["datatype"] == datatype
    assert (LENGTH in reply.headers) == binary


def test_the_unix_socket_is_the_same_api_for_this_user_only(server: InferenceServer) -> None:
    path = server.unix_path
    assert path is not None

    reply = call(UnixConnection(path), INFER, question(X[:1]))

    assert reply.fields["parameters"]["label"] == str(Y[0])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_tritons_own_client_works(server: InferenceServer) -> None:
    client = triton.InferenceServerClient(f"{server.host}:{server.port}")
    tensor = triton.InferInput("image", [1, 8, 8, 1], "FP32")
    tensor.set_data_from_numpy(X[:1])

    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("digits")
    assert client.get_model_metadata("digits")["name"] == "digits"
    result = client.infer("digits", [tensor])
    wished = client.infer("digits", [tensor], outputs=[triton.InferRequestedOutput("digit", binary_data=False)])
    client.close()

    assert result.as_numpy("digit").argmax() == Y[0]
    assert np.array_equal(result.as_numpy("digit"), wished.as_numpy("digit"))


GOOD = {"name": "image", "datatype": "FP32", "shape": [1, 8, 8, 1], "data": [0.0] * 64}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"name": "picture"}, "the model has no input 'picture'"),
        ({"name": 7}, "an input's name is '7'"),
        ({"datatype": "FP64"}, "datatype 'FP64' is not one of FP32"),
        ({"datatype": "INT8"}, "`data` does not hold INT8 values"),
        ({"datatype": "INT32", "data": [0] * 64}, "input 'image' is INT32; expected 'image' [1, 8, 8, 1] INT8 or FP32"),
        ({"datatype": "INT8", "data": [128] * 64}, "outside the range of INT8"),
        ({"shape": [1, 64]}, "input 'image' has shape [1, 64]"),
        ({"shape": [1, 8, 8, 2]}, "needs 128 values, got 64"),
        ({"shape": [1, 8, 8, -1]}, "`shape` must be a list"),
        ({"shape": [True, 8, 8, 1]}, "`shape` must be a list"),
        ({"shape": [2**31, 2**31]}, "over the limit"),
        ({"shape": [1] * 9}, "`shape` must be a list of at most 8"),
        ({"data": None}, "no `data` list"),
        ({"data": "AAAA"}, "no `data` list"),
        ({"data": [[0.0] * 8] * 8}, "its `data` [8, 8]"),
        ({"data": [[0.0], [0.0, 1.0]]}, "not an even list of numbers"),
        ({"data": [0.0] * 63 + ["x"]}, "does not hold FP32 values"),
        ({"data": [0.0] * 63 + [None]}, "does not hold FP32 values"),
        ({"data": [1e39] * 64}, "outside the range of FP32"),
        ({"data": [10**400] * 64}, "does not hold FP32 values"),
        ({"parameters": {"binary_data_size": 256}}, "Inference-Header-Content-Length was not sent"),
        ({"parameters": []}, "`parameters` of image must be an object"),
    ],
)
def test_a_wrong_tensor_gets_a_sentence(server: InferenceServer, change: dict[str, Any], sentence: str) -> None:
    reply = call(server, INFER, json.dumps({"inputs": [GOOD | change]}).encode())

    assert reply.status == 400
    assert sentence in reply.fields["error"]


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff\xfe\x00", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "not a JSON object"),
        (b"{}", "no inputs"),
        (b'{"inputs": {}}', "`inputs` must be a list"),
        (b'{"inputs": [1]}', "`inputs` must be a list"),
        (b'{"inputs": [], "parameters": 1}', "must be an object"),
        (json.dumps({"inputs": [GOOD, GOOD]}).encode(), "each needs one of its own"),
        (json.dumps({"inputs": [GOOD]}).replace("0.0", "NaN").encode(), "NaN is not a JSON number"),
        (json.dumps({"inputs": [GOOD], "id": 1}).encode(), "`id` must be a text"),
        (json.dumps({"inputs": [GOOD], "outputs": [{"name": "x"}]}).encode(), "no output 'x'; it has digit"),
        (json.dumps({"inputs": [GOOD], "outputs": [{}]}).encode(), "an output needs a name"),
        (
            json.dumps({"inputs": [GOOD], "parameters": {"datatype": "INT64"}}).encode(),
            "can be given as INT8 or FP32, not as INT64",
        ),
        (
            json.dumps({"inputs": [GOOD], "parameters": {"binary_data_output": 1}}).encode(),
            "'binary_data_output' must be true or false",
        ),
        (
            json.dumps(
                {"inputs": [GOOD], "outputs": [{"name": "digit", "parameters": {"classification": 1}}]}
            ).encode(),
            "classification extension is not offered",
        ),
    ],
)
def test_a_wrong_request_gets_a_sentence(server: InferenceServer, body: bytes, sentence: str) -> None:
    reply = call(server, INFER, body)

    assert reply.status == 400
    assert sentence in reply.fields["error"]


@pytest.mark.parametrize("length", ["-1", "0", "x", "999999", "1e1", "٣", "9" * 5000])
def test_a_wrong_length_of_the_json_part_gets_a_sentence(server: InferenceServer, length: str) -> None:
    body, _ = binary_question(X[:1])
    reply = call(server, INFER, body, {LENGTH: length.encode().decode("latin-1")})

    assert reply.status == 400
    assert LENGTH in reply.fields["error"]


@pytest.mark.parametrize(
    ("size", "tail", "sentence"),
    [
        (256, bytes(255), "ends before the bytes"),
        (256, bytes(257), "257 bytes follow the JSON part, the inputs account for 256"),
        (255, bytes(255), "takes 256 bytes; binary_data_size is 255"),
        (-1, bytes(256), "takes 256 bytes"),
        ("256", bytes(256), "takes 256 bytes"),
    ],
)
def test_binary_data_must_fit_its_tensor(server: InferenceServer, size: object, tail: bytes, sentence: str) -> None:
    tensor = {key: GOOD[key] for key in ("name", "datatype", "shape")} | {"parameters": {"binary_data_size": size}}
    head = json.dumps({"inputs": [tensor]}).encode()
    reply = call(server, INFER, head + tail, {LENGTH: str(len(head))})

    assert reply.status == 400
    assert sentence in reply.fields["error"]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/v2/models/letters", None, 404),
        ("/v2/models/letters/infer", b"{}", 404),
        ("/v2/models/digits/versions/2", None, 404),
        ("/v2/models/digits/versions/2/infer", b"{}", 404),
        ("/v2/models/digits/versions/three/ready", None, 404),
        ("/v2/models/..%2Fetc", None, 404),
        ("/v3", None, 404),
        ("/", None, 404),
        (INFER, None, 405),
        ("/v2/health/live", b"{}", 405),
    ],
)
def test_what_is_not_there_is_said_so(server: InferenceServer, path: str, body: bytes | None, status: int) -> None:
    reply = call(server, path, body)

    assert reply.status == status
    assert reply.fields["error"]


def test_a_body_over_the_limit_is_refused_before_it_is_read(server: InferenceServer) -> None:
    with socket.create_connection((server.host, server.port), timeout=10) as connection:
        head = f"POST {INFER} HTTP/1.1\r\nHost: x\r\nContent-Length: {MAX_BODY_BYTES + 1}\r\n\r\n"
        connection.sendall(head.encode())
        assert connection.recv(64).startswith(b"HTTP/1.1 413 ")


def test_web_pages_and_compressed_bodies_are_refused(server: InferenceServer) -> None:
    assert call(server, INFER, question(X[:1]), {"Origin": "https://example.org"}).status == 403
    assert call(server, INFER, b"x", {"Content-Encoding": "gzip"}).status == 415


def test_without_a_model_nothing_is_ready(serve: Serve) -> None:
    server = start_inference_server(serve(), "127.0.0.1", 0)
    try:
        ready, asked = call(server, "/v2/health/ready"), call(server, INFER, question(X[:1]))
        assert call(server, "/v2/health/live").status == 200
    finally:
        server.close()

    assert (ready.status, asked.status) == (503, 503)
    assert asked.headers["Retry-After"] == "1"
    assert "no model is active" in asked.fields["error"]


def test_overload_is_answered_at_once_with_when_to_come_back(serve: Serve) -> None:
    serving = serve("cpu-litert", queue=QueueLimits(depth=1, wait_s=10.0), faults=WorkerFaults(slow_ms=50))
    server = start_inference_server(serving, "127.0.0.1", 0)
    replies: list[Reply] = []
    askers = [threading.Thread(target=lambda: replies.append(call(server, INFER, question(X[:1])))) for _ in range(8)]
    try:
        for asker in askers:
            asker.start()
        for asker in askers:
            asker.join()
    finally:
        server.close()

    statuses = {reply.status for reply in replies}
    assert statuses == {200, 503}
    assert all(reply.headers["Retry-After"] for reply in replies if reply.status == 503)


def test_an_answer_json_cannot_hold_is_an_error_and_binary_shows_it(serve: Serve) -> None:
    server = start_inference_server(serve("blank-nan"), "127.0.0.1", 0)
    blank = np.zeros((1, 8, 8, 1), np.float32)
    try:
        as_json = call(server, INFER, question(blank))
        body, headers = binary_question(blank, parameters={"binary_data_output": True})
        as_binary = call(server, INFER, body, headers)
    finally:
        server.close()

    assert as_json.status == 500
    assert "NaN or infinite" in as_json.fields["error"]
    assert np.isnan(np.frombuffer(as_binary.tail, "<f4")).all()


def test_a_crash_is_an_error_of_one_request(serve: Serve) -> None:
    serving = serve("cpu-litert", faults=WorkerFaults(crash_after=5))
    server = start_inference_server(serving, "127.0.0.1", 0)
    try:
        statuses = [call(server, INFER, question(X[:1])).status for _ in range(8)]
    finally:
        server.close()

    assert set(statuses) == {200, 500}
    assert statuses[statuses.index(500) + 1] == 200


def test_a_port_in_use_is_said_with_what_to_do(server: InferenceServer, serving: ProcessServing) -> None:
    with pytest.raises(CannotListen, match=f"cannot listen on 127.0.0.1:{server.port}") as caught:
        start_inference_server(serving, "127.0.0.1", server.port)
    assert "inference.port" in caught.value.hint


def test_a_socket_that_cannot_be_made_is_said_with_what_to_do(serving: ProcessServing, tmp_path: Path) -> None:
    with pytest.raises(CannotListen, match="missing") as caught:
        start_inference_server(serving, "127.0.0.1", 0, tmp_path / "missing" / "infer.sock")
    assert "inference.unix_socket" in caught.value.hint


def test_a_socket_left_behind_is_taken_over_and_one_in_use_is_not(serving: ProcessServing, tmp_path: Path) -> None:
    path = tmp_path / "infer.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    server = start_inference_server(serving, "127.0.0.1", 0, path)

    with pytest.raises(CannotListen, match="Address already in use"):
        start_inference_server(serving, "127.0.0.1", 0, path)

    assert call(UnixConnection(path), "/v2").status == 200
    server.close()


def test_closing_frees_port_and_socket_and_can_be_repeated(serving: ProcessServing, tmp_path: Path) -> None:
    path = tmp_path / "infer.sock"
    first = start_inference_server(serving, "127.0.0.1", 0, path)
    call(first, "/v2")
    first.close()
    first.close()
    assert not path.exists()

    second = start_inference_server(serving, "127.0.0.1", first.port, path)
    assert call(second, "/v2").status == 200
    second.close()
