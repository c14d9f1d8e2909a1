"""What a cohort's answers are compared with: its variant's own, where one variant runs that tells them."""

from __future__ import annotations

from edge_contracts.manifest import Answers, Manifest, read_manifest, write_manifest
from tests.support import releases

OWN = Answers(classes=(30, 70), confidence=(100,) + (0,) * 63)


def two_variants() -> Manifest:
    made, _ = releases.variant(next(iter(releases.KINDS)))
    telling = made.model_copy(update={"name": "telling", "answers": OWN})
    return releases.manifest(telling, made.model_copy(update={"name": "silent", "answers": None}))


def test_a_variants_own_answers_are_expected_of_it_and_the_inputs_of_the_release():
    manifest = read_manifest(write_manifest(two_variants()))
    expected = manifest.baseline_of({"telling"})

    assert (expected.classes, expected.confidence) == (OWN.classes, OWN.confidence)
    assert (expected.n, expected.features) == (manifest.baseline.n, manifest.baseline.features)


def test_without_one_variant_that_tells_the_sources_answers_are_expected():
    manifest = two_variants()

    for names in ({"silent"}, {"telling", "silent"}, {"unknown"}, set()):
        assert manifest.baseline_of(names) == manifest.baseline
    assert b'"answers"' not in write_manifest(manifest).split(b'"silent"')[1]
