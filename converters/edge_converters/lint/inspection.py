"""The lint of a source: it is read in a child, the rules are applied, and for each profile the way there is tried."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from edge_converters.errors import ConverterError, NotConvertible
from edge_converters.files import INSPECT
from edge_converters.floats import DESCRIBE
from edge_converters.lint.facts import Facts, from_json
from edge_converters.lint.findings import Code, Finding, error, errors_of, refusal
from edge_converters.lint.rules import examine
from edge_converters.lint.targets import examine_for
from edge_converters.routes import travel
from edge_converters.sources import Source, SourceKind
from edge_converters.tasks import Task
from edge_converters.workers import Worker
from edge_profiles.profile import Profile
from edge_profiles.schemes import Format

SURVEY: Final[dict[SourceKind, Task]] = {
    SourceKind.KERAS: Task.SURVEY_KERAS,
    SourceKind.SAVED_MODEL: Task.SURVEY_SAVED_MODEL,
    SourceKind.ONNX: Task.SURVEY_ONNX,
    SourceKind.TFLITE: Task.SURVEY_TFLITE,
}


def check_source(source: Source, worker: Worker) -> tuple[Finding, ...]:
    """The warnings about a source that can be converted.

    Raises:
        BadInput: the file is damaged, or no model.
        NotConvertible: the model holds what is not converted; both name it.
    """
    findings = examine(survey(source, worker))
    refused = refusal(source.path.name, findings)
    if refused is not None:
        raise refused
    return findings


def lint(source: Source, profiles: Sequence[Profile], folder: Path, worker: Worker) -> tuple[Finding, ...]:
    """All that is found in a source, and what each profile makes of it; `folder` takes the float files of the way."""
    try:
        facts = survey(source, worker)
    except ConverterError as problem:
        return (_refused(problem, Code.UNREADABLE),)
    findings = examine(facts)
    if errors_of(findings):
        return findings
    try:
        worker.call(DESCRIBE[source.kind], source=str(source.path), kind=source.kind)
    except ConverterError as problem:
        code = Code.INPUT if isinstance(problem, NotConvertible) else Code.UNREADABLE
        return (*findings, _refused(problem, code))
    operators = {kind: _operators(source, kind, folder, worker) for kind in {each.format for each in profiles}}
    for profile in profiles:
        findings += (*examine_for(facts, profile), *_for_target(operators[profile.format], profile))
    return findings


def survey(source: Source, worker: Worker) -> Facts:
    """What is in the file, read without running any of it."""
    return from_json(worker.call(SURVEY[source.kind], source=str(source.path)))


def _operators(source: Source, kind: Format, folder: Path, worker: Worker) -> tuple[str, ...] | ConverterError:
    """Of the float file in this format; or why there is none."""
    try:
        path = travel(source, kind, folder, worker)
        return tuple(worker.call(INSPECT[kind], model=str(path))["operators"])
    except ConverterError as problem:
        return problem


def _for_target(operators: tuple[str, ...] | ConverterError, profile: Profile) -> tuple[Finding, ...]:
    if isinstance(operators, ConverterError):
        return (_refused(operators, Code.NO_ROUTE, profile.name),)
    missing = set() if profile.operators is None else set(operators) - set(profile.operators.allow)
    return tuple(
        error(Code.NOT_ON_TARGET, f"{profile.name} has no kernel for {name}", profile.name) for name in sorted(missing)
    )


def _refused(problem: ConverterError, code: Code, profile: str | None = None) -> Finding:
    return error(code, str(problem), profile, problem.hint)
