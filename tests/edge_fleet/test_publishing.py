"""What an owner signs becomes what devices see, by a real TUF client over mTLS; and nothing else ever does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from securesystemslib.signer import CryptoSigner
from tuf.api.exceptions import DownloadHTTPError
from tuf.api.metadata import Metadata, Role, Root, TargetFile, Targets
from tuf.ngclient import Updater
from tuf.ngclient.fetcher import FetcherInterface

from edge_contracts.api import ARTIFACTS_PATH, METADATA_PATH, TARGETS_PATH
from edge_contracts.assignments import director_key_bytes, read_director_key
from edge_contracts.ids import Digest
from edge_contracts.operations import NewRelease, OnlineKeys, ReleaseView, Trust
from edge_contracts.targets import DIRECTOR_TARGET, artifact_target, manifest_target
from tests.edge_fleet.server_case import (
    MODEL,
    PROFILES,
    Bundle,
    Device,
    Owner,
    Server,
    initialise,
    later,
    make_bundle,
    must,
    problem,
    public_key,
    publish,
    put_trust,
    send,
    serving,
    signed,
    upload,
)


class Fetcher(FetcherInterface):
    """python-tuf's network, through a device's client."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client

    def _fetch(self, url: str) -> Iterator[bytes]:
        answer = self.client.get(url)
        if answer.status_code != 200:
            raise DownloadHTTPError(url, answer.status_code)
        yield answer.content


def tuf_client(folder: Path, client: httpx.Client, root: bytes) -> Updater:
    """A device's view of the repository, verified from the owner's root on."""
    folder.mkdir(exist_ok=True)
    updater = Updater(
        str(folder),
        str(client.base_url.join(METADATA_PATH)),
        str(folder),
        str(client.base_url.join(TARGETS_PATH)),
        Fetcher(client),
        bootstrap=root,
    )
    updater.refresh()
    return updater


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of its own: trust is given once."""
    folder = tmp_path_factory.mktemp("publishing") / "data"
    with serving(folder, initialise(folder)) as running:
        yield running


@pytest.fixture(scope="module")
def operator(fleet: Server) -> Iterator[httpx.Client]:
    with fleet.operator() as client:
        yield client


@pytest.fixture(scope="module")
def owner(operator: httpx.Client) -> Owner:
    """Trusted by the server, with release 1 published."""
    one = Owner()
    put_trust(operator, one)
    publish(operator, one, make_bundle(1))
    return one


@pytest.fixture(scope="module")
def device(fleet: Server, owner: Owner) -> Iterator[httpx.Client]:
    one = Device()
    one.enrol(fleet)
    with one.client(fleet) as client:
        yield client


def online_keys(operator: httpx.Client) -> OnlineKeys:
    return OnlineKeys.model_validate_json(must(operator.get("/v1/trust/keys")).content)


def next_version(owner: Owner) -> int:
    targets: Metadata[Targets] = Metadata.from_bytes(owner.targets)
    return max((int(path.split("/")[1]) for path in targets.signed.targets if path != DIRECTOR_TARGET), default=0) + 1


def test_nothing_can_be_published_before_the_owner_has_given_trust(operator: httpx.Client) -> None:
    stranger, bundle = Owner(), make_bundle(1, size=1000)
    stranger.trust(online_keys(operator))
    upload(operator, bundle)
    problem(send(operator, "POST", "/v1/releases", stranger.release(bundle)), 409, "trust-missing")
    problem(operator.get("/v1/metadata/timestamp.json"), 404, "file-unknown")
    problem(operator.get("/v1/metadata/root.json"), 404, "trust-missing")


def test_a_device_sees_exactly_what_was_published(
    operator: httpx.Client, owner: Owner, device: httpx.Client, tmp_path: Path
) -> None:
    bundle = make_bundle(next_version(owner))
    publish(operator, owner, bundle)

    updater = tuf_client(tmp_path / "tuf", device, owner.root)

    version = bundle.manifest.version
    listed = updater.get_targetinfo(manifest_target(MODEL, version))
    assert listed is not None
    assert Path(updater.download_target(listed)).read_bytes() == bundle.manifest_bytes
    for name, ciphertext in bundle.ciphertexts.items():
        target = updater.get_targetinfo(artifact_target(MODEL, version, name))
        assert target is not None
        answer = must(device.get(ARTIFACTS_PATH + target.hashes["sha256"]))
        assert answer.content == ciphertext
    director = updater.get_targetinfo(DIRECTOR_TARGET)
    assert director is not None
    key = read_director_key(Path(updater.download_target(director)).read_bytes())
    assert key.keyid == online_keys(operator).director["keyid"]


def test_operators_see_models_and_releases_newest_first(operator: httpx.Client, owner: Owner) -> None:
    publish(operator, owner, make_bundle(next_version(owner)))
    assert must(operator.get("/v1/models")).json() == {"items": [MODEL], "next": None}
    first = must(operator.get(f"/v1/models/{MODEL}/releases", params={"limit": 1})).json()
    rest = must(operator.get(f"/v1/models/{MODEL}/releases", params={"cursor": first["next"]})).json()
    versions = [ReleaseView.model_validate(item).version for item in first["items"] + rest["items"]]
    assert versions == sorted(versions, reverse=True)
    assert must(operator.get(f"/v1/releases/{MODEL}/1")).json()["artifacts"].keys() == {f"{p}-int8" for p in PROFILES}
    problem(operator.get(f"/v1/releases/{MODEL}/999"), 404, "release-unknown")
    problem(operator.get("/v1/models/nothing/releases"), 404, "model-unknown")


def test_publishing_the_same_again_changes_nothing(operator: httpx.Client, owner: Owner) -> None:
    request = publish(operator, owner, make_bundle(next_version(owner)))
    before = must(operator.get("/v1/metadata/timestamp.json")).content
    again = send(operator, "POST", "/v1/releases", request)
    assert again.status_code == 200
    assert must(operator.get("/v1/metadata/timestamp.json")).content == before


def test_an_upload_is_kept_once_and_only_under_its_own_digest(operator: httpx.Client) -> None:
    data = b"ciphertext" * 1000
    path = f"/v1/artifacts/{Digest.of(data).hex}"
    problem(operator.put(path, content=data[:-1]), 422, "artifact-digest")
    must(operator.put(path, content=data), 201)
    must(operator.put(path, content=data), 200)
    problem(operator.put("/v1/artifacts/nonsense", content=data), 422, "request-invalid")


# ---- what a publisher may not do


def refused(operator: httpx.Client, request: NewRelease, status: int, code: str) -> None:
    """The release is refused for this reason, and nothing that devices see has changed."""
    before = must(operator.get("/v1/metadata/timestamp.json")).content
    problem(send(operator, "POST", "/v1/releases", request), status, code)
    assert must(operator.get("/v1/metadata/timestamp.json")).content == before


@pytest.fixture
def bundle(operator: httpx.Client, owner: Owner) -> Bundle:
    """Uploaded, not yet published."""
    made = make_bundle(next_version(owner), size=2000)
    upload(operator, made)
    return made


def targets_after(owner: Owner, bundle: Bundle) -> Metadata[Targets]:
    return Metadata.from_bytes(owner.release(bundle).targets.encode())


def test_targets_signed_by_another_key_are_refused(operator: httpx.Client, owner: Owner, bundle: Bundle) -> None:
    stranger = Owner(publisher=CryptoSigner.generate_ed25519())
    refused(operator, stranger.request(bundle, targets_after(owner, bundle)), 422, "trust-signature")


def test_targets_of_any_version_but_the_next_are_a_conflict(
    operator: httpx.Client, owner: Owner, bundle: Bundle
) -> None:
    targets = targets_after(owner, bundle)
    for step in (-1, 1):
        targets.signed.version += step
        refused(operator, owner.request(bundle, targets), 409, "targets-version")
        targets.signed.version -= step


def test_a_published_target_can_be_neither_dropped_nor_altered(
    operator: httpx.Client, owner: Owner, bundle: Bundle
) -> None:
    published = manifest_target(MODEL, 1)
    targets = targets_after(owner, bundle)
    del targets.signed.targets[published]
    refused(operator, owner.request(bundle, targets), 422, "release-immutable")
    targets = targets_after(owner, bundle)
    targets.signed.targets[published] = TargetFile.from_data(published, b"other", ["sha256"])
    refused(operator, owner.request(bundle, targets), 422, "release-immutable")
    targets = targets_after(owner, bundle)
    targets.signed.targets[DIRECTOR_TARGET] = TargetFile.from_data(DIRECTOR_TARGET, b"other", ["sha256"])
    refused(operator, owner.request(bundle, targets), 422, "release-immutable")


def test_targets_with_more_or_less_than_the_release_are_refused(
    operator: httpx.Client, owner: Owner, bundle: Bundle
) -> None:
    targets = targets_after(owner, bundle)
    targets.signed.targets["other/1/manifest.json"] = TargetFile.from_data("other/1/manifest.json", b"x", ["sha256"])
    refused(operator, owner.request(bundle, targets), 422, "targets-not-the-release")
    targets = targets_after(owner, bundle)
    del targets.signed.targets[artifact_target(MODEL, bundle.manifest.version, bundle.manifest.variants[0].name)]
    refused(operator, owner.request(bundle, targets), 422, "targets-not-the-release")


def test_a_target_signed_with_another_digest_or_a_second_kind_of_digest_is_refused(
    operator: httpx.Client, owner: Owner, bundle: Bundle
) -> None:
    path = manifest_target(MODEL, bundle.manifest.version)
    for forged in (
        TargetFile.from_data(path, b"other", ["sha256"]),
        TargetFile.from_data(path, bundle.manifest_bytes, ["sha256", "sha512"]),
    ):
        targets = targets_after(owner, bundle)
        targets.signed.targets[path] = forged
        refused(operator, owner.request(bundle, targets), 422, "target-digest")


def test_expired_targets_are_refused(operator: httpx.Client, owner: Owner, bundle: Bundle) -> None:
    targets = targets_after(owner, bundle)
    targets.signed.expires = later(-1)
    refused(operator, owner.request(bundle, targets), 422, "trust-expired")


def test_an_artifact_must_be_uploaded_open_with_its_key_and_hold_what_the_manifest_says(
    operator: httpx.Client, owner: Owner, bundle: Bundle
) -> None:
    release = owner.release(bundle)
    first, second = release.artifacts

    def with_first(**changes: Any) -> NewRelease:
        return release.model_copy(update={"artifacts": (first.model_copy(update=changes), second)})

    refused(operator, with_first(digest=Digest.of(b"never sent")), 422, "artifact-missing")
    refused(operator, with_first(length=first.length + 1), 422, "artifact-length")
    refused(operator, with_first(key=bytes(32)), 422, "artifact-key")
    refused(operator, with_first(digest=second.digest, length=second.length, key=second.key), 422, "payload-digest")
    refused(operator, release.model_copy(update={"artifacts": (first,)}), 422, "artifacts-incomplete")
    refused(operator, release.model_copy(update={"artifacts": (first, first)}), 422, "artifacts-incomplete")


def test_a_manifest_that_is_not_readable_is_refused(operator: httpx.Client, owner: Owner, bundle: Bundle) -> None:
    release = owner.release(bundle)
    refused(operator, release.model_copy(update={"manifest": b"{}"}), 422, "malformed")
    refused(operator, release.model_copy(update={"targets": "{}"}), 422, "trust-malformed")
    refused(operator, release.model_copy(update={"targets": owner.root.decode()}), 422, "trust-malformed")


def test_a_release_is_never_published_twice_with_other_content(operator: httpx.Client, owner: Owner) -> None:
    other = make_bundle(1)
    upload(operator, other)
    refused(operator, owner.release(other), 409, "release-exists")


# ---- what an owner may do


def test_trust_is_given_once_and_repeated_harmlessly(operator: httpx.Client, owner: Owner) -> None:
    director = director_key_bytes(public_key(online_keys(operator).director)).decode()
    trust = Trust(root=owner.root.decode(), targets=owner.targets.decode(), director_key=director)
    must(send(operator, "PUT", "/v1/trust", trust), 204)
    for role in ("root", "targets"):
        body = must(operator.get(f"/v1/metadata/{role}.json")).content
        assert body == getattr(owner, role)


def test_another_owner_cannot_take_the_server_over(operator: httpx.Client, owner: Owner) -> None:
    thief = Owner()
    trust = thief.trust(online_keys(operator))
    problem(send(operator, "PUT", "/v1/trust", trust), 409, "root-version")
    second = signed(thief.make_root(online_keys(operator), version=2), thief.root_key)
    trust = trust.model_copy(update={"root": second.decode()})
    problem(send(operator, "PUT", "/v1/trust", trust), 422, "trust-signature")


def test_the_owner_can_rotate_the_root_and_devices_follow(
    operator: httpx.Client, owner: Owner, device: httpx.Client, tmp_path: Path
) -> None:
    first_root, old_key = owner.root, owner.root_key
    updater = tuf_client(tmp_path / "tuf", device, first_root)
    assert updater.get_targetinfo(manifest_target(MODEL, 1)) is not None
    version = Metadata[Root].from_bytes(owner.root).signed.version + 1
    owner.root_key = CryptoSigner.generate_ed25519()
    root = signed(owner.make_root(online_keys(operator), version), old_key, owner.root_key)
    director = director_key_bytes(public_key(online_keys(operator).director)).decode()
    trust = Trust(root=root.decode(), targets=owner.targets.decode(), director_key=director)
    must(send(operator, "PUT", "/v1/trust", trust), 204)
    owner.root = root

    tuf_client(tmp_path / "tuf", device, first_root)
    assert Metadata[Root].from_file(str(tmp_path / "tuf" / "root.json")).signed.version == version
    must(operator.get(f"/v1/metadata/{version}.root.json"))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda root, keys: setattr(root, "consistent_snapshot", False), "trust-inconsistent"),
        (lambda root, keys: setattr(root, "expires", later(-1)), "trust-expired"),
        (lambda root, keys: root.roles.update(timestamp=root.roles["snapshot"]), "trust-online-keys"),
        (lambda root, keys: root.roles.update(snapshot=Role(root.roles["targets"].keyids, 1)), "trust-online-keys"),
        (
            lambda root, keys: root.roles.update(
                snapshot=Role([*root.roles["snapshot"].keyids, *root.roles["targets"].keyids], 1)
            ),
            "trust-online-keys",
        ),
    ],
)
def test_a_root_that_would_not_work_is_refused(operator: httpx.Client, owner: Owner, change: Any, code: str) -> None:
    online = online_keys(operator)
    version = Metadata[Root].from_bytes(owner.root).signed.version + 1
    root = owner.make_root(online, version)
    change(root.signed, online)
    director = director_key_bytes(public_key(online.director)).decode()
    body = signed(root, owner.root_key).decode()
    trust = Trust(root=body, targets=owner.targets.decode(), director_key=director)
    problem(send(operator, "PUT", "/v1/trust", trust), 422, code)


def test_a_change_of_trust_publishes_nothing_and_names_this_servers_director(
    operator: httpx.Client, owner: Owner
) -> None:
    director = director_key_bytes(public_key(online_keys(operator).director))
    other = director_key_bytes(CryptoSigner.generate_ed25519().public_key)
    current: Metadata[Targets] = Metadata.from_bytes(owner.targets)

    def put(files: dict[str, TargetFile], key: bytes) -> httpx.Response:
        targets = signed(owner.make_targets(current.signed.version + 1, files), owner.publisher)
        trust = Trust(root=owner.root.decode(), targets=targets.decode(), director_key=key.decode())
        return send(operator, "PUT", "/v1/trust", trust)

    files = dict(current.signed.targets)
    problem(put({DIRECTOR_TARGET: files[DIRECTOR_TARGET]}, director), 422, "targets-changed")
    problem(
        put({path: file for path, file in files.items() if path != DIRECTOR_TARGET}, director), 422, "director-target"
    )
    problem(put(files, other), 422, "director-target")
    named = files | {DIRECTOR_TARGET: TargetFile.from_data(DIRECTOR_TARGET, other, ["sha256"])}
    problem(put(named, other), 422, "director-target")


# ---- artifacts for devices


@pytest.fixture(scope="module")
def artifact(operator: httpx.Client, owner: Owner) -> bytes:
    bundle = make_bundle(next_version(owner), size=1_000_000)
    publish(operator, owner, bundle)
    return bundle.ciphertexts[bundle.manifest.variants[0].name]


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [("bytes=0-99", 0, 100), ("bytes=500000-", 500_000, None), ("bytes=-7", -7, None), ("bytes=5-5", 5, 6)],
)
def test_a_device_gets_the_bytes_it_asks_for(
    device: httpx.Client, artifact: bytes, asked: str, start: int, stop: int | None
) -> None:
    answer = must(device.get(ARTIFACTS_PATH + Digest.of(artifact).hex, headers={"Range": asked}), 206)
    assert answer.content == artifact[start:stop]
    first = start % len(artifact)
    assert answer.headers["content-range"] == f"bytes {first}-{first + len(answer.content) - 1}/{len(artifact)}"


def test_a_download_is_resumed_only_on_the_same_bytes(device: httpx.Client, artifact: bytes) -> None:
    path = ARTIFACTS_PATH + Digest.of(artifact).hex
    whole = must(device.get(path))
    assert whole.content == artifact
    assert whole.headers["accept-ranges"] == "bytes"
    tag = whole.headers["etag"]
    same = must(device.get(path, headers={"Range": "bytes=10-19", "If-Range": tag}), 206)
    assert same.content == artifact[10:20]
    assert must(device.get(path, headers={"Range": "bytes=10-19", "If-Range": '"other"'})).content == artifact


def test_a_range_beyond_the_end_is_416_and_an_unreadable_one_is_ignored(device: httpx.Client, artifact: bytes) -> None:
    path = ARTIFACTS_PATH + Digest.of(artifact).hex
    answer = device.get(path, headers={"Range": f"bytes={len(artifact)}-"})
    problem(answer, 416, "range-unsatisfiable")
    assert answer.headers["content-range"] == f"bytes */{len(artifact)}"
    for ignored in ("bytes=9-3", "lines=1-2", "bytes=a-b", "bytes=0-1,5-6"):
        assert must(device.get(path, headers={"Range": ignored})).content == artifact


@pytest.mark.parametrize(
    "path",
    [
        ARTIFACTS_PATH + "0" * 64,
        METADATA_PATH + "99.root.json",
        METADATA_PATH + "..%2F..%2Ffleet.sqlite",
        TARGETS_PATH + "%2e%2e/%2e%2e/keys/kek.bin",
        TARGETS_PATH + "director/key.json",
        TARGETS_PATH + "digits/1/../../../../keys/kek.bin",
    ],
)
def test_what_is_not_published_cannot_be_fetched(device: httpx.Client, path: str) -> None:
    assert device.get(path).status_code == 404


def test_artifact_keys_are_on_the_servers_disk_only_sealed(fleet: Server, operator: httpx.Client, owner: Owner) -> None:
    bundle = make_bundle(next_version(owner), size=1000)
    publish(operator, owner, bundle)
    files = [path for path in fleet.folder.rglob("*") if path.is_file()]
    assert len(files) > 20
    for key in bundle.keys.values():
        assert [path for path in files if key in path.read_bytes()] == []
    for path in (fleet.folder / "keys").iterdir():
        assert path.stat().st_mode & 0o077 == 0
