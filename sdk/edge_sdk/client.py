"""The operator door of a fleet server as Python calls: contract types in and out, every error mapped to one of ours."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import httpx
from pydantic import TypeAdapter, ValidationError

from edge_contracts.api import Problem
from edge_contracts.ids import Digest
from edge_contracts.operations import (
    AlertView,
    DeploymentView,
    DeviceView,
    EnrolmentOffer,
    NewEnrolmentToken,
    NewOperatorToken,
    NewRelease,
    NewRollout,
    OnlineKeys,
    OperatorToken,
    ReleaseView,
    RolloutView,
    Trust,
    WindowView,
)
from edge_contracts.wire import Wire
from edge_sdk.errors import BadInput, Rejected, SdkError, Unreachable
from edge_sdk.settings import Connection

TIMEOUT_SECONDS: Final = 30.0
UPLOAD_TIMEOUT_SECONDS: Final = 600.0
PAGE: Final = 500
CHUNK_BYTES: Final = 256 * 1024
_TRIES: Final = 3
"""Tries of a request that may be repeated (GET, PUT) when the link fails."""

Answer = TypeVar("Answer", bound=Wire)


class FleetClient:
    """One connection to the operator door; a context manager. Methods raise Rejected and Unreachable."""

    def __init__(self, connection: Connection, transport: httpx.BaseTransport | None = None) -> None:
        self.connection = connection
        verify: ssl.SSLContext | bool = True
        if connection.authority:
            verify = _trusting(connection.authority)
        self._http = httpx.Client(
            base_url=connection.server,
            headers={"Authorization": f"Bearer {connection.token}"},
            timeout=TIMEOUT_SECONDS,
            verify=verify,
            transport=transport,
            trust_env=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connection; idempotent."""
        self._http.close()

    # what the server is

    def health(self) -> dict[str, Any]:
        """Whether the server is up, and its parts. Needs no token."""
        response = self._send("GET", "/v1/health")
        try:
            health: dict[str, Any] = response.json()
        except ValueError as error:
            raise _strange(str(response.url)) from error
        return health

    def make_operator_token(self, wish: NewOperatorToken) -> OperatorToken:
        """A token for a person or a job."""
        return self._post(OperatorToken, "/v1/operator-tokens", wish)

    # devices

    def make_enrolment_token(self, wish: NewEnrolmentToken) -> EnrolmentOffer:
        """A token with which devices may enrol."""
        return self._post(EnrolmentOffer, "/v1/enrolment-tokens", wish)

    def devices(self) -> list[DeviceView]:
        """Every device."""
        return self._list(DeviceView, "/v1/devices")

    def device(self, device: str) -> DeviceView:
        """One device."""
        return self._get(DeviceView, f"/v1/devices/{device}")

    def revoke(self, device: str) -> DeviceView:
        """Shut a device out for good."""
        return self._post(DeviceView, f"/v1/devices/{device}/revoke")

    # trust and releases

    def online_keys(self) -> OnlineKeys:
        """Public halves of the server's online keys."""
        return self._get(OnlineKeys, "/v1/trust/keys")

    def put_trust(self, trust: Trust) -> None:
        """Hand over the owner's root and targets metadata."""
        self._send("PUT", "/v1/trust", content=_json(trust), headers=_JSON)

    def metadata(self, file: str) -> bytes | None:
        """A file of signed metadata as the server stores it (unverified); None if there is none of that name."""
        try:
            return self._send("GET", f"/v1/metadata/{file}").content
        except Rejected as error:
            if error.status == httpx.codes.NOT_FOUND:
                return None
            raise

    def put_artifact(self, digest: Digest, ciphertext: bytes, sent: Callable[[int], None]) -> None:
        """Upload ciphertext, telling `sent` how many bytes went out; uploading it again is harmless."""

        def pieces() -> Iterator[bytes]:
            for start in range(0, len(ciphertext), CHUNK_BYTES):
                piece = ciphertext[start : start + CHUNK_BYTES]
                yield piece
                sent(len(piece))

        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(len(ciphertext))}
        path = f"/v1/artifacts/{digest.hex}"
        self._send("PUT", path, stream=pieces, headers=headers, timeout=UPLOAD_TIMEOUT_SECONDS)

    def add_release(self, release: NewRelease) -> ReleaseView:
        """Publish a release whose artifacts are uploaded."""
        return self._post(ReleaseView, "/v1/releases", release)

    def models(self) -> list[str]:
        """The names of all models with a release."""
        return self._items(TypeAdapter(str), "/v1/models")

    def releases(self, model: str) -> list[ReleaseView]:
        """Every release of a model."""
        return self._list(ReleaseView, f"/v1/models/{model}/releases")

    def release(self, model: str, version: int) -> ReleaseView | None:
        """One release; None if it is not published."""
        try:
            return self._get(ReleaseView, f"/v1/releases/{model}/{version}")
        except Rejected as error:
            if error.status == httpx.codes.NOT_FOUND:
                return None
            raise

    # rollouts

    def create_rollout(self, plan: NewRollout) -> RolloutView:
        """Make a rollout, started unless the plan says otherwise."""
        return self._post(RolloutView, "/v1/rollouts", plan)

    def rollouts(self) -> list[RolloutView]:
        """Every rollout."""
        return self._list(RolloutView, "/v1/rollouts")

    def rollout(self, rollout: str) -> RolloutView:
        """One rollout."""
        return self._get(RolloutView, f"/v1/rollouts/{rollout}")

    def deployments(self, rollout: str) -> list[DeploymentView]:
        """Each device's share of a rollout."""
        return self._list(DeploymentView, f"/v1/rollouts/{rollout}/deployments")

    def steer(self, rollout: str, verb: str) -> RolloutView:
        """Start, pause, resume, abort or roll back a rollout."""
        return self._post(RolloutView, f"/v1/rollouts/{rollout}/{verb}")

    # what was seen

    def windows(self, **conditions: str | float | None) -> list[WindowView]:
        """Telemetry windows, by device, model, version, since (Unix seconds or RFC 3339)."""
        given = {key: str(value) for key, value in conditions.items() if value is not None}
        return self._list(WindowView, "/v1/telemetry", given)

    def alerts(self) -> list[AlertView]:
        """Every alert."""
        return self._list(AlertView, "/v1/alerts")

    def acknowledge(self, alert: str) -> AlertView:
        """Mark an alert as seen."""
        return self._post(AlertView, f"/v1/alerts/{alert}/acknowledge")

    # how it is asked

    def _get(self, kind: type[Answer], path: str) -> Answer:
        return _read(kind, self._send("GET", path))

    def _post(self, kind: type[Answer], path: str, body: Wire | None = None) -> Answer:
        content = _json(body) if body is not None else None
        return _read(kind, self._send("POST", path, content=content, headers=_JSON if content else None))

    def _list(self, kind: type[Answer], path: str, conditions: Mapping[str, str] | None = None) -> list[Answer]:
        return self._items(TypeAdapter(kind), path, conditions)

    def _items(self, item: TypeAdapter[Any], path: str, conditions: Mapping[str, str] | None = None) -> list[Any]:
        found: list[Any] = []
        cursor: str | None = None
        while True:
            wanted = {**(conditions or {}), "limit": str(PAGE)} | ({"cursor": cursor} if cursor else {})
            response = self._send("GET", path, params=wanted)
            try:
                page = response.json()
                found += [item.validate_python(entry) for entry in page["items"]]
                cursor = page["next"]
            except (ValueError, KeyError, TypeError) as error:
                raise _strange(path) from error
            if not cursor:
                return found

    def _send(
        self, method: str, path: str, *, stream: Callable[[], Iterator[bytes]] | None = None, **details: Any
    ) -> httpx.Response:
        for attempt in range(_TRIES):
            try:
                if stream:
                    details["content"] = stream()
                response = self._http.request(method, path, **details)
            except httpx.HTTPError as error:
                if method == "POST" or attempt == _TRIES - 1:
                    raise self._unreachable(error) from error
                time.sleep(0.2 * 2**attempt)
            else:
                return self._judged(response)
        raise AssertionError("the loop returns or raises")

    def _judged(self, response: httpx.Response) -> httpx.Response:
        if response.is_success:
            return response
        raise self._rejection(response)

    def _rejection(self, response: httpx.Response) -> SdkError:
        try:
            problem = Problem.model_validate_json(response.content)
        except ValidationError:
            return Unreachable(
                f"{response.url} answered {response.status_code} {response.reason_phrase}, not as a fleet server does",
                "Check that --server is the operator door and that no proxy answers for it.",
            )
        hint = problem.hint or ("Run `edge-sdk login`." if problem.status == httpx.codes.UNAUTHORIZED else "")
        return Rejected(problem.detail or problem.title, hint, code=problem.code, status=problem.status)

    def _unreachable(self, error: Exception) -> Unreachable:
        reason = str(error) or type(error).__name__
        hint = "Check the address and that the server runs (`edge-sdk server up`)."
        if "CERTIFICATE_VERIFY_FAILED" in reason:
            hint = "Check the address; name the file that vouches for the server with `edge-sdk login --ca FILE`."
        return Unreachable(f"the fleet server at {self.connection.server} does not answer: {reason}", hint)


def _trusting(authority: Path) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=str(authority))
    except OSError as error:  # ssl.SSLError is one, for a file that is no PEM
        reason = error.strerror or str(error)
        raise BadInput(f"{authority} is not a readable PEM file: {reason}", "Name another with --ca.") from error


_JSON: Final = {"Content-Type": "application/json"}


def _json(body: Wire) -> bytes:
    return body.model_dump_json().encode()


def _read(kind: type[Answer], response: httpx.Response) -> Answer:
    try:
        return kind.model_validate_json(response.content)
    except ValidationError as error:
        raise _strange(str(response.url)) from error


def _strange(where: str) -> Unreachable:
    return Unreachable(f"the answer of {where} is not readable", "Compare the versions of server and SDK.")
