"""Both doors answer everything they do not like as problem+json, take no more than they say, and ask for rights."""

from __future__ import annotations

import json
import random
from typing import Any

import httpx
import pytest

from edge_contracts.operations import Scope
from tests.edge_fleet.server_case import Device, Server, must, problem

SENT = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def operator(server: Server) -> Any:
    with server.operator() as client:
        yield client


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/nothing-here", 404, "not-found"),
        ("DELETE", "/v1/devices", 405, "method-not-allowed"),
        ("GET", "/v1/devices?limit=501", 422, "request-invalid"),
        ("GET", "/v1/devices?limit=0", 422, "request-invalid"),
        ("GET", "/v1/devices?cursor=nonsense", 422, "cursor-invalid"),
        ("GET", "/v1/devices?cursor=WzFd", 422, "cursor-invalid"),
        ("GET", "/v1/devices/UPPER", 422, "request-invalid"),
        ("GET", "/v1/devices/nobody", 404, "device-unknown"),
        ("GET", "/v1/metadata/..", 404, "not-found"),
        ("GET", "/v1/releases/digits/0", 422, "request-invalid"),
        ("POST", "/v1/enrolment-tokens", 422, "request-invalid"),
    ],
)
def test_an_error_is_a_problem_with_code_and_hint(
    operator: httpx.Client, method: str, path: str, status: int, code: str
) -> None:
    problem(operator.request(method, path), status, code)


def test_json_that_is_none_is_a_problem(operator: httpx.Client) -> None:
    answer = operator.post("/v1/enrolment-tokens", content=b'{"uses": 1', headers=SENT)
    problem(answer, 422, "request-invalid")


def test_a_request_needs_a_token_that_is_known_and_not_expired(server: Server) -> None:
    with httpx.Client(base_url=server.ready["operator_url"], trust_env=False) as nobody:
        answer = nobody.get("/v1/devices")
        problem(answer, 401, "token-missing")
        assert answer.headers["www-authenticate"] == "Bearer"
        assert must(nobody.get("/v1/health")).json()["status"] in {"ok", "degraded"}
    with server.operator("op_made-up") as stranger:
        problem(stranger.get("/v1/devices"), 401, "token-unknown")


RIGHTS = [
    ("GET", "/v1/devices", Scope.READ),
    ("GET", "/v1/devices/nobody", Scope.READ),
    ("GET", "/v1/models", Scope.READ),
    ("GET", "/v1/audit", Scope.READ),
    ("GET", "/v1/trust/keys", Scope.READ),
    ("GET", "/v1/metadata/timestamp.json", Scope.READ),
    ("POST", "/v1/enrolment-tokens", Scope.ENROL),
    ("POST", "/v1/devices/nobody/revoke", Scope.ENROL),
    ("PUT", "/v1/trust", Scope.PUBLISH),
    ("PUT", "/v1/artifacts/" + "0" * 64, Scope.PUBLISH),
    ("POST", "/v1/releases", Scope.PUBLISH),
    ("POST", "/v1/operator-tokens", Scope.ADMIN),
]


def test_each_scope_opens_its_own_paths_and_no_others(server: Server, operator: httpx.Client) -> None:
    for scope in (Scope.READ, Scope.ENROL, Scope.PUBLISH, Scope.DEPLOY):
        made = must(operator.post("/v1/operator-tokens", json={"name": f"only-{scope}", "scopes": [scope]}), 201)
        with server.operator(made.json()["secret"]) as limited:
            for method, path, needed in RIGHTS:
                answer = limited.request(method, path, json={} if method == "POST" else None)
                if needed is scope:
                    assert answer.status_code not in {401, 403}, (scope, path, answer.text)
                else:
                    problem(answer, 403, "scope-missing")


def test_a_secret_is_shown_once_and_never_stored(server: Server, operator: httpx.Client) -> None:
    secret = must(operator.post("/v1/operator-tokens", json={"name": "ci", "scopes": ["read"]}), 201).json()["secret"]
    token = server.enrolment_token()
    for path in server.folder.glob("fleet.sqlite*"):
        data = path.read_bytes()
        assert secret.encode() not in data
        assert token.encode() not in data
    newest = must(operator.get("/v1/audit", params={"limit": 2})).json()["items"]
    assert [row["action"] for row in newest] == ["enrolment-token.create", "operator-token.create"]
    assert newest[1]["actor"] == "first-admin"


def test_a_body_that_is_too_large_is_refused_before_it_is_read(server: Server, operator: httpx.Client) -> None:
    problem(operator.post("/v1/enrolment-tokens", content=b" " * 300_000, headers=SENT), 413, "body-too-large")
    with server.stranger() as client:
        problem(client.post("/v1/device/enrolment", content=b" " * 300_000, headers=SENT), 413, "body-too-large")


def test_a_body_that_hides_its_length_is_cut_off(operator: httpx.Client) -> None:
    pieces = (b" " * 50_000 for _ in range(10))
    problem(operator.post("/v1/enrolment-tokens", content=pieces, headers=SENT), 413, "body-too-large")


def test_lists_are_pages(server: Server, operator: httpx.Client) -> None:
    token = server.enrolment_token(uses=5)
    names = {Device().enrol(server, token).device for _ in range(5)}
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = must(operator.get("/v1/devices", params={"limit": 2, **cursor})).json()
        assert len(page["items"]) <= 2
        seen += [item["id"] for item in page["items"]]
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
    assert seen == sorted(set(seen))
    assert names <= set(seen)


@pytest.mark.parametrize("door", ["operator", "device"])
def test_every_path_of_both_doors_is_documented_with_its_errors(server: Server, door: str) -> None:
    client = server.operator() if door == "operator" else server.stranger()
    with client:
        document = must(client.get("/openapi.json")).json()
    assert "Problem" in document["components"]["schemas"]
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert operation.get("description"), (method, path)
            assert "application/problem+json" in operation["responses"]["default"]["content"], (method, path)


JUNK: tuple[Any, ...] = (None, True, -1, 0, 2**70, 1e308, "", "x", "\0", "é" * 2000, "../..", [], [[]], {}, {"a": {}})


def test_no_junk_in_path_query_or_body_makes_the_doors_stumble(server: Server) -> None:
    dice = random.Random(1)
    device = Device()
    device.enrol(server)
    for client in (server.operator(), device.client(server)):
        with client:
            document = must(client.get("/openapi.json")).json()
            schemas = document["components"]["schemas"]
            for path, methods in document["paths"].items():
                if path == "/v1/stream":
                    continue
                for method, operation in methods.items():
                    for _ in range(4):
                        answer = throw(client, dice, path, method, operation, schemas)
                        assert answer.status_code < 500, (method, path, answer.text)
                        if answer.status_code >= 400:
                            assert answer.headers["content-type"] == "application/problem+json", (method, path)


def throw(
    client: httpx.Client, dice: random.Random, path: str, method: str, operation: Any, schemas: Any
) -> httpx.Response:
    """One request with junk wherever something may be put."""
    query = {}
    for parameter in operation.get("parameters", ()):
        value = str(dice.choice(JUNK))
        if parameter["in"] == "path":
            path = path.replace("{" + parameter["name"] + "}", httpx.QueryParams({"a": value}).__str__()[2:] or "x")
        elif parameter["in"] == "query":
            query[parameter["name"]] = value
    content = None
    if "requestBody" in operation:
        schema = operation["requestBody"]["content"].get("application/json", {}).get("schema", {})
        fields = schemas.get(schema.get("$ref", "").rpartition("/")[2], {}).get("properties", {})
        content = json.dumps({name: dice.choice(JUNK) for name in fields} or dice.choice(JUNK))
    return client.request(method, path, params=query, content=content, headers=SENT)
