"""Publishing against a real server: repeated, interrupted, and when the server cannot be trusted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, Targets

from edge_contracts.ids import Digest
from edge_contracts.operations import NewRelease
from edge_contracts.segments import decrypt
from edge_contracts.targets import artifact_target, manifest_target
from edge_converters.bundles import Bundle, read_bundle
from edge_sdk.client import FleetClient
from edge_sdk.errors import BadInput, Unreachable, Untrusted
from edge_sdk.keys import Algorithm, make_keys
from edge_sdk.publishing import current_targets, publish
from edge_sdk.trust import listed
from edge_sdk.trusting import trust_server
from tests.support.bundles import broken_bundle, good_bundle
from tests.support.line import Line, Silent, no_passphrase


class Between(httpx.BaseTransport):
    """Stands between client and server and may change what comes back."""

    def __init__(self, change: Callable[[httpx.Request, httpx.Response], httpx.Response]) -> None:
        self._inner = httpx.HTTPTransport()
        self._change = change

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()
        response = self._inner.handle_request(request)
        response.read()
        return self._change(request, response)

    def close(self) -> None:
        self._inner.close()


def bundle_of(path: Path) -> Bundle:
    return read_bundle(path)


def test_a_published_release_lists_exactly_what_was_uploaded(line: Line, tmp_path: Path) -> None:
    bundle = bundle_of(good_bundle(tmp_path, 11))

    done = publish(bundle, line.keys, line.client, no_passphrase, Silent())

    targets = current_targets(line.keys, line.client)
    manifest = bundle.manifest
    assert not done.repeated
    assert listed(targets, manifest_target(manifest.model, 11)) == Digest.of(bundle.manifest_bytes)
    for name, digest in done.release.artifacts.items():
        assert listed(targets, artifact_target(manifest.model, 11, name)) == digest
    assert not list((line.keys.path / "publishing").iterdir())


def test_publishing_again_changes_nothing(line: Line, tmp_path: Path) -> None:
    bundle = bundle_of(good_bundle(tmp_path, 12))
    publish(bundle, line.keys, line.client, no_passphrase, Silent())
    version = current_targets(line.keys, line.client).signed.version

    again = publish(bundle, line.keys, line.client, no_passphrase, Silent())

    assert again.repeated
    assert current_targets(line.keys, line.client).signed.version == version


def test_other_content_under_a_published_version_is_refused(line: Line, tmp_path: Path) -> None:
    publish(bundle_of(good_bundle(tmp_path / "a", 13)), line.keys, line.client, no_passphrase, Silent())

    with pytest.raises(BadInput, match="published with other content") as caught:
        publish(bundle_of(broken_bundle(tmp_path / "b", 13)), line.keys, line.client, no_passphrase, Silent())

    assert "higher --version" in caught.value.hint


def test_an_interrupted_publishing_goes_on_with_the_same_ciphertext(line: Line, tmp_path: Path) -> None:
    bundle = bundle_of(good_bundle(tmp_path, 14))
    seen: list[str] = []

    def cut(request: httpx.Request, response: httpx.Response) -> httpx.Response:
        if request.method == "PUT":
            seen.append(request.url.path)
        if request.url.path == "/v1/releases":
            raise httpx.ReadError("the link broke", request=request)
        return response

    with FleetClient(line.client.connection, Between(cut)) as bad_link, pytest.raises(Unreachable):
        publish(bundle, line.keys, bad_link, no_passphrase, Silent())
    done = publish(bundle, line.keys, line.client, no_passphrase, Silent())

    # the request had arrived and only its answer was lost: the release is there, and it is the one that was signed
    assert done.repeated
    assert {f"/v1/artifacts/{digest.hex}" for digest in done.release.artifacts.values()} == set(seen)


def test_a_publishing_cut_before_the_announcement_uploads_nothing_new(line: Line, tmp_path: Path) -> None:
    bundle = bundle_of(good_bundle(tmp_path, 15))
    seen: list[str] = []

    class Cut(httpx.HTTPTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            if request.method == "POST":
                raise httpx.ConnectError("the link broke", request=request)
            if request.method == "PUT":
                seen.append(request.url.path)
            return super().handle_request(request)

    with FleetClient(line.client.connection, Cut()) as bad_link, pytest.raises(Unreachable):
        publish(bundle, line.keys, bad_link, no_passphrase, Silent())
    done = publish(bundle, line.keys, line.client, no_passphrase, Silent())

    assert not done.repeated
    assert {f"/v1/artifacts/{digest.hex}" for digest in done.release.artifacts.values()} == set(seen)


def test_the_key_handed_over_opens_the_artifact(line: Line, tmp_path: Path) -> None:
    bundle = bundle_of(good_bundle(tmp_path, 16))
    taken: dict[str, bytes] = {}

    def watch(request: httpx.Request, response: httpx.Response) -> httpx.Response:
        if request.method in {"PUT", "POST"}:
            taken[request.url.path] = request.content
        return response

    with FleetClient(line.client.connection, Between(watch)) as client:
        publish(bundle, line.keys, client, no_passphrase, Silent())

    for artifact in NewRelease.model_validate_json(taken["/v1/releases"]).artifacts:
        payload = b"".join(decrypt(taken[f"/v1/artifacts/{artifact.digest.hex}"], artifact.key))
        assert payload == bundle.payloads[artifact.variant]


def test_a_server_that_serves_forged_targets_gets_no_signature(line: Line, tmp_path: Path) -> None:
    stranger = CryptoSigner.generate_ed25519()

    def forge(request: httpx.Request, response: httpx.Response) -> httpx.Response:
        if not request.url.path.endswith(".targets.json"):
            return response
        forged: Metadata[Targets] = Metadata.from_bytes(response.content)
        forged.signed.targets.clear()
        forged.sign(stranger)
        return httpx.Response(200, content=forged.to_bytes())

    publish(bundle_of(good_bundle(tmp_path, 17)), line.keys, line.client, no_passphrase, Silent())
    fresh = make_keys(tmp_path / "keys", Algorithm.ED25519, None)
    for name in ("root.pem", "root.pub.json", "targets.pem", "targets.pub.json", "root.json"):
        (fresh.path / name).write_bytes((line.keys.path / name).read_bytes())

    with FleetClient(line.client.connection, Between(forge)) as client, pytest.raises(Untrusted) as caught:
        publish(bundle_of(good_bundle(tmp_path, 18)), fresh, client, no_passphrase, Silent())

    assert "Nothing was signed" in caught.value.hint
    assert line.client.release("digits", 18) is None


def test_a_server_that_goes_back_to_old_metadata_is_not_believed(line: Line, tmp_path: Path) -> None:
    old = line.client.metadata("timestamp.json")
    assert old is not None
    publish(bundle_of(good_bundle(tmp_path, 19)), line.keys, line.client, no_passphrase, Silent())
    current_targets(line.keys, line.client)

    def rewind(request: httpx.Request, response: httpx.Response) -> httpx.Response:
        return httpx.Response(200, content=old) if request.url.path.endswith("/timestamp.json") else response

    with FleetClient(line.client.connection, Between(rewind)) as client, pytest.raises(Untrusted):
        publish(bundle_of(good_bundle(tmp_path, 20)), line.keys, client, no_passphrase, Silent())


def test_keys_of_another_owner_are_not_trusted_here(line: Line, tmp_path: Path) -> None:
    stranger = make_keys(tmp_path / "keys", Algorithm.ED25519, None)

    with pytest.raises(BadInput, match="no server has been trusted"):
        publish(bundle_of(good_bundle(tmp_path, 21)), stranger, line.client, no_passphrase, Silent())


def test_trusting_a_server_again_changes_nothing(line: Line) -> None:
    again = trust_server(line.keys, line.client, no_passphrase)

    assert not again.changed
    assert again.root_version == 1
