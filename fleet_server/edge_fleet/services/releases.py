"""Releases: taken in whole when the publisher has signed exactly what was uploaded, and never changed again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from edge_contracts.ids import Digest, ModelName, VariantName
from edge_contracts.manifest import FileRef, Manifest, read_manifest
from edge_contracts.operations import NewArtifact, NewRelease, ReleaseView
from edge_fleet.domain import releases as rules
from edge_fleet.domain import trust
from edge_fleet.errors import Conflict, NotFound, Rejected
from edge_fleet.ports import ArtifactStore, Clock, Transactions
from edge_fleet.records.releases import ArtifactRow, ReleaseRow
from edge_fleet.services import audit
from edge_fleet.services.assignments import Vault
from edge_fleet.services.changes import Changes
from edge_fleet.services.repository import SignedRepository


@dataclass(frozen=True)
class _Submission:
    """A release as it was sent, parsed and paired."""

    request: NewRelease
    manifest: Manifest
    file: FileRef
    artifacts: dict[VariantName, NewArtifact]


class Releases:
    """Publishing, and what is published."""

    def __init__(
        self,
        database: Transactions,
        repository: SignedRepository,
        artifacts: ArtifactStore,
        vault: Vault,
        clock: Clock,
        changes: Changes,
    ) -> None:
        self._database = database
        self._repository = repository
        self._artifacts = artifacts
        self._vault = vault
        self._clock = clock
        self._changes = changes

    def publish(self, request: NewRelease, actor: str) -> tuple[ReleaseView, bool]:
        """The release and whether it is new; the same request again changes nothing and gets the same answer.

        Raises:
            Malformed: the manifest is not readable.
            Rejected: what was signed, sent and uploaded do not agree.
            Conflict: another release has this version, or somebody published in between.
        """
        # 1. the request is complete in itself
        manifest = read_manifest(request.manifest)
        artifacts = rules.pair_artifacts(manifest, request.artifacts)
        file = FileRef(digest=Digest.of(request.manifest), length=len(request.manifest))
        submission = _Submission(request, manifest, file, artifacts)
        # 2. it is not here yet
        before = self._published(submission)
        if before is not None:
            return before, False
        # 3. what was uploaded is what the manifest describes
        self._check_artifacts(submission)
        # 4. what was signed is what was sent; then all of it becomes visible at once
        self._commit(submission, actor)
        self._changes.notify("releases", "audit")
        return self.show(manifest.model, manifest.version), True

    def models(self, after: str | None, limit: int) -> Sequence[ModelName]:
        """Names of models with releases, those after `after`."""
        wanted = select(ReleaseRow.model).distinct().order_by(ReleaseRow.model).limit(limit)
        if after is not None:
            wanted = wanted.where(ReleaseRow.model > after)
        with self._database.read() as session:
            return session.scalars(wanted).all()

    def of_model(self, model: ModelName, below: int | None, limit: int) -> list[ReleaseView]:
        """Releases of a model, newest first, those below version `below`.

        Raises:
            NotFound: the model has none.
        """
        with self._database.read() as session:
            if session.scalar(select(ReleaseRow.version).where(ReleaseRow.model == model).limit(1)) is None:
                raise NotFound("model-unknown", f"There is no model {model}", "See `edge-sdk releases list`.")
            wanted = select(ReleaseRow).where(ReleaseRow.model == model)
            if below is not None:
                wanted = wanted.where(ReleaseRow.version < below)
            rows = session.scalars(wanted.order_by(ReleaseRow.version.desc()).limit(limit)).all()
            return [_view(session, row) for row in rows]

    def show(self, model: ModelName, version: int) -> ReleaseView:
        """One release. Raises NotFound."""
        with self._database.read() as session:
            row = session.get(ReleaseRow, (model, version))
            if row is None:
                raise NotFound(
                    "release-unknown", f"There is no release {model} {version}", "See `edge-sdk releases list`."
                )
            return _view(session, row)

    def _published(self, submission: _Submission) -> ReleaseView | None:
        manifest = submission.manifest
        with self._database.read() as session:
            row = session.get(ReleaseRow, (manifest.model, manifest.version))
            if row is None:
                return None
            view = _view(session, row)
        digests = {name: artifact.digest for name, artifact in submission.artifacts.items()}
        if row.manifest != submission.request.manifest or view.artifacts != digests:
            message = f"The release {manifest.model} {manifest.version} is published with other content"
            raise Conflict("release-exists", message, "Releases never change: publish under the next version.")
        return view

    def _check_artifacts(self, submission: _Submission) -> None:
        for name, artifact in submission.artifacts.items():
            size = self._artifacts.size(artifact.digest)
            if size is None:
                hint = f"Upload it with PUT /v1/artifacts/{artifact.digest.hex}."
                raise Rejected("artifact-missing", f"The artifact of {name} is not uploaded", hint)
            if size != artifact.length:
                message = f"The artifact of {name} has {size} bytes, not {artifact.length}"
                raise Rejected("artifact-length", message, "Build the bundle again, then publish it.")
            variant = submission.manifest.variant(name)
            assert variant is not None, "paired by name"
            rules.check_opens(variant, self._artifacts.mapped(artifact.digest), artifact.key)

    def _commit(self, submission: _Submission, actor: str) -> None:
        manifest, now = submission.manifest, self._clock()
        targets = trust.read_targets(submission.request.targets.encode())
        with self._repository.publication() as session:
            current = self._repository.replace_targets(session, targets, submission.request.targets.encode())
            added = rules.added_targets(manifest, submission.file, submission.artifacts)
            trust.check_added(targets, current, added)
            release = ReleaseRow(
                model=manifest.model,
                version=manifest.version,
                manifest=submission.request.manifest,
                published=now,
                published_by=actor,
                targets_version=targets.signed.version,
            )
            session.add(release)
            session.flush()
            session.add_all(self._artifact_row(manifest, artifact) for artifact in submission.artifacts.values())
            subject = f"{manifest.model} {manifest.version}"
            audit.record(session, now, actor, "release.publish", subject, f"manifest {submission.file.digest}")

    def _artifact_row(self, manifest: Manifest, artifact: NewArtifact) -> ArtifactRow:
        return ArtifactRow(
            model=manifest.model,
            version=manifest.version,
            variant=artifact.variant,
            digest=artifact.digest,
            length=artifact.length,
            sealed_key=self._vault.seal(artifact.key, artifact.digest),
        )


def _view(session: Session, row: ReleaseRow) -> ReleaseView:
    same = (ArtifactRow.model == row.model) & (ArtifactRow.version == row.version)
    artifacts = session.execute(select(ArtifactRow.variant, ArtifactRow.digest).where(same)).all()
    return ReleaseView(
        model=row.model,
        version=row.version,
        published=row.published,
        manifest=read_manifest(row.manifest),
        artifacts={str(variant): digest for variant, digest in artifacts},
    )
