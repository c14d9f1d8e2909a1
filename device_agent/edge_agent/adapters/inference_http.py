"""The local inference API: Open Inference Protocol V2 REST, on loopback TCP and a Unix socket. Threads, no passwords.

Source of paths and bodies: inference_rest.md of https://github.com/kserve/open-inference-protocol.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from waitress import wasyncore
from waitress.server import create_server
from waitress.task import ThreadedTaskDispatcher
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from edge_agent.adapters.oip_requests import read_request
from edge_agent.adapters.oip_responses import HEADER_LENGTH, check_wishes, model_metadata, write_answer
from edge_agent.ports import (
    AgentError,
    InvalidRequest,
    ModelFailed,
    NotReady,
    Release,
    Serving,
    UnknownModel,
)
from edge_contracts.ids import InvalidId, ModelName

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

LOG: Final = logging.getLogger(__name__)

MAX_BODY_BYTES: Final = 64 * 1024 * 1024
THREADS: Final = 20
"""More than a model's queue is deep, so that a full queue is told at once and the health paths still answer."""
RETRY_AFTER_S: Final = 1
STATUS: Final[dict[type[AgentError], int]] = {UnknownModel: 404, InvalidRequest: 400, NotReady: 503, ModelFailed: 500}
"""What each error of `Serving` becomes; the first row that fits counts."""


class CannotListen(AgentError):
    """The address cannot be listened on. Reaction: say the sentence and end."""


class InferenceApp:
    """The WSGI application."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving
        self._routes = Map(
            [
                Rule("/v2/health/live", endpoint=self._live, methods=["GET"]),
                Rule("/v2/health/ready", endpoint=self._ready, methods=["GET"]),
                Rule("/v2", endpoint=self._server, methods=["GET"]),
                *self._model_rules("", self._metadata, "GET"),
                *self._model_rules("/ready", self._model_ready, "GET"),
                *self._model_rules("/infer", self._infer, "POST"),
            ],
            strict_slashes=False,
        )

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        return self._respond(Request(environ))(environ, start_response)

    def _respond(self, request: Request) -> Response:
        try:
            # A web page in a browser on the device must not be able to ask the model or skew its telemetry.
            if "Origin" in request.headers:
                return _error(403, "this API is for programs on the device, not for web pages")
            endpoint, arguments = self._routes.bind_to_environ(request.environ).match()
            answer: Response = endpoint(request, **arguments)
        except AgentError as error:
            status = next((status for kind, status in STATUS.items() if isinstance(error, kind)), 500)
            return _error(status, str(error))
        except HTTPException as error:
            return _error(error.code or 500, f"{request.method} {request.path}: {error.name}")
        return answer

    def _live(self, _request: Request) -> Response:
        return _json({"live": True})

    def _ready(self, _request: Request) -> Response:
        ready = self._serving.active() is not None
        return _json({"ready": ready}, 200 if ready else 503)

    def _server(self, _request: Request) -> Response:
        return _json({"name": "edge-agent", "version": "2", "extensions": ["binary_tensor_data"]})

    def _metadata(self, _request: Request, model: str, version: str | None = None) -> Response:
        release = self._find(model, version)
        return _json(model_metadata(release, self._serving.active_selftest()))

    def _model_ready(self, _request: Request, model: str, version: str | None = None) -> Response:
        release = self._find(model, version)
        return _json({"name": release.manifest.model, "ready": True})

    def _infer(self, request: Request, model: str, version: str | None = None) -> Response:
        if "Content-Encoding" in request.headers:
            return _error(415, "compressed requests are not taken; send the body as it is")
        check_release = self._find(model, version)
        asked = read_request(request.get_data(cache=False), request.headers.get(HEADER_LENGTH))
        check_wishes(asked, check_release)
        name = check_release.manifest.model
        answer = self._serving.infer(name, None if version is None else int(version), asked.inputs)
        check_wishes(asked, answer.release)  # a swap may have come between
        body = write_answer(asked, answer)
        if body.header_length is None:
            return Response(body.content, mimetype="application/json")
        headers = {HEADER_LENGTH: str(body.header_length)}
        return Response(body.content, headers=headers, mimetype="application/octet-stream")

    def _find(self, model: str, version: str | None) -> Release:
        """The active release if it is the one asked for."""
        release = self._serving.active()
        try:
            name = ModelName(model)
        except InvalidId as error:
            raise UnknownModel(str(error)) from error
        if release is None:
            raise NotReady("no model is active on this device")
        manifest = release.manifest
        if name != manifest.model:
            raise UnknownModel(f"model {name!r} is not on this device; {manifest.model!r} is")
        if version is not None and version != str(manifest.version):
            raise UnknownModel(f"version {version[:32]!r} of {name} is not active; version {manifest.version} is")
        return release

    @staticmethod
    def _model_rules(path: str, endpoint: Callable[..., Response], method: str) -> list[Rule]:
        starts = ("/v2/models/<model>", "/v2/models/<model>/versions/<version>")
        return [Rule(start + path, endpoint=endpoint, methods=[method]) for start in starts]


class InferenceServer:
    """A running server. `address` is its base URL; `close` ends it and waits for requests under way."""

    def __init__(self, app: InferenceApp, listeners: list[socket.socket], unix_path: Path | None) -> None:
        """Serve on `listeners`, which are bound; the first one is TCP."""
        self.host, self.port = listeners[0].getsockname()[:2]
        self.address = f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"
        self.unix_path = unix_path
        self._channels: Any = {}
        self._dispatcher = ThreadedTaskDispatcher()
        self._dispatcher.set_thread_count(THREADS)
        servers: list[Any] = [
            create_server(app, map=self._channels, _dispatcher=self._dispatcher, sockets=[listener], **_LIMITS)
            for listener in listeners
        ]
        self._trigger = servers[0].trigger
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="inference-http", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening and end the threads. Idempotent."""
        if self._closing:
            return
        self._closing = True
        self._trigger.pull_trigger()
        self._thread.join(10)
        self._dispatcher.shutdown(timeout=5)
        wasyncore.close_all(self._channels, ignore_all=True)
        if self.unix_path is not None:
            self.unix_path.unlink(missing_ok=True)

    def _run(self) -> None:
        while not self._closing:
            try:
                wasyncore.loop(timeout=1.0, use_poll=True, map=self._channels, count=1)
            except Exception:  # one broken connection must not end the API; the log says which and why
                LOG.exception("inference API: a connection failed")


_LIMITS: Final[dict[str, Any]] = {
    "max_request_body_size": MAX_BODY_BYTES,
    # Inputs are private and flash wears out: bodies stay in memory, never in a temporary file.
    "inbuf_overflow": MAX_BODY_BYTES + 1,
    "outbuf_overflow": MAX_BODY_BYTES + 1,
    "ident": None,
}


def start_inference_server(serving: Serving, host: str, port: int, unix_path: Path | None = None) -> InferenceServer:
    """Listen on TCP (port 0: any free one) and, if named, on a Unix socket that only this user may open.

    Raises:
        CannotListen: the port is in use, or the path cannot be bound.
    """
    listeners = [_listen_tcp(host, port)]
    if unix_path is not None:
        try:
            listeners.append(_listen_unix(unix_path))
        except CannotListen:
            listeners[0].close()
            raise
    return InferenceServer(InferenceApp(serving), listeners, unix_path)


def _listen_tcp(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        sentence = f"cannot listen on {host}:{port}: {os.strerror(error.errno or 0)}"
        raise CannotListen(sentence, "Choose another `inference.host` or `inference.port`.") from error


def _listen_unix(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    try:
        if path.is_socket() and not _answers(path):
            path.unlink()  # left behind by a process that was killed
        os.fchmod(listener.fileno(), 0o600)  # before it has a name, so that nobody else can open it for a moment
        listener.bind(os.fspath(path))
        listener.listen()
    except OSError as error:
        listener.close()
        sentence = f"cannot listen on {path}: {error.strerror or error}"
        raise CannotListen(sentence, "Choose another `inference.unix_socket`.") from error
    return listener


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as knocker:
        return knocker.connect_ex(os.fspath(path)) == 0


def _json(fields: dict[str, Any], status: int = 200) -> Response:
    return Response(json.dumps(fields), status, mimetype="application/json")


def _error(status: int, sentence: str) -> Response:
    response = _json({"error": sentence}, status)
    if status == 503:
        response.headers["Retry-After"] = str(RETRY_AFTER_S)
    return response
