"""A variant that passed, as it is shipped: the manifest's entry with its figures, and the files beside it."""

from __future__ import annotations

import numpy as np

from edge_contracts.ids import Digest, VariantName
from edge_contracts.manifest import Accuracy, EngineNeeds, Figure, FileRef, Limits, Variant
from edge_contracts.payload import Payload, pack_payload
from edge_converters import golden
from edge_converters.answers import count_answers
from edge_converters.bundles import GOLDEN_FILE, VARIANTS_FOLDER
from edge_converters.checks import QUANTISED
from edge_converters.drafts import Draft, Workshop
from edge_converters.files import ModelFile, stored_inputs
from edge_converters.guard import Judgement
from edge_converters.latency import Timing
from edge_converters.tensors import to_stored
from edge_converters.timings import describe
from edge_profiles.profile import Profile


def pack(
    profile: Profile, draft: Draft, judgement: Judgement, figures: dict[str, Figure], shop: Workshop
) -> tuple[Variant, dict[str, bytes]]:
    """The manifest's entry, and the files by their places in the bundle. Golden samples are of those tried."""
    name = VariantName(f"{profile.name}-{draft.scheme}")
    data, reference = shop.data, shop.floats.reference
    picked = golden.choose(reference, shop.metric.task == "classification", shop.tried)
    rows = shop.tried[picked]
    model = (draft.trial.replaces or draft.file.path).read_bytes()
    inputs = stored_inputs(draft.file, data.model_input(data.evaluation.x[rows]), "golden")
    own = draft.trial.real or {name: values[shop.tried] for name, values in draft.real.items()}
    answers = [to_stored(spec, own[spec.name][picked]) for spec in draft.file.outputs]
    packed = golden.pack(np.load(inputs), answers)
    payload = pack_payload(Payload(model, packed))
    budgets = profile.budgets
    variant = Variant(
        name=name,
        profile=profile.name,
        profile_class=profile.profile_class,
        format=profile.format,
        scheme=draft.scheme,
        needs=_needs(profile),
        model=_reference(model),
        golden=_reference(packed),
        payload=_reference(payload),
        inputs=draft.file.inputs,
        outputs=draft.file.outputs,
        tolerance=golden.tolerance(draft.real, draft.scheme in QUANTISED, draft.trial.difference),
        limits=Limits(
            latency_p99_ms=budgets.latency.value if budgets.latency else None,
            memory_bytes=int(budgets.memory.value) if budgets.memory else None,
        ),
        accuracy=Accuracy(
            metric=shop.metric.name,
            source_value=judgement.source,
            variant_value=judgement.variant,
            n=judgement.n,
            drop_upper_bound=judgement.upper_bound,
        ),
        figures=figures,
        recipe_digest=draft.recipe.digest,
        answers=count_answers(shop.metric, draft.real),
    )
    folder = f"{VARIANTS_FOLDER}/{name}"
    files = {f"{folder}/model.{profile.format}": model, f"{folder}/{GOLDEN_FILE}": packed}
    return variant, files | {f"{folder}/{file}": content for file, content in draft.trial.attachments.items()}


def _needs(profile: Profile) -> EngineNeeds:
    return EngineNeeds(
        engine=profile.engine,
        accelerator=profile.accelerator,
        fallback=profile.fallback,
        coverage_floor=profile.coverage_floor,
        threads=profile.threads,
        arena_bytes=int(profile.memory.arena.value) if profile.memory.arena else None,
    )


def figures_of(draft: Draft, base: ModelFile, timing: Timing | None) -> dict[str, Figure]:
    """Sizes, the latencies where they could be measured, and what the trial found."""
    figures = {
        "size": Figure(value=draft.file.size, unit="byte", kind="measured", source="the model file"),
        "float_size": Figure(value=base.size, unit="byte", kind="measured", source=f"the float {base.format} file"),
    }
    if draft.recipe.prunes:
        asked = draft.steps[-1]
        source = f"the model file; after the passes {asked.zeros / asked.weights:.1%}"
        share = draft.file.zeros / draft.file.weight_count
        figures["zero_weights"] = Figure(value=share, unit="share", kind="measured", source=source)
    if timing is not None:
        figures |= _latencies(timing)
    return {**figures, **draft.trial.figures}


def _latencies(timing: Timing) -> dict[str, Figure]:
    """All measured on this machine; the ratio only where it says something."""
    figures = {}
    for name, latency in (("latency", timing.variant), ("float_latency", timing.base)):
        for part in ("p50", "p90", "p99", "mad"):
            value = getattr(latency, part)
            figures[f"{name}_{part}"] = Figure(
                value=value, unit="ms", kind="measured", source=timing.where, n=latency.n
            )
    if timing.comparison is not None:
        source = f"{describe(timing.comparison)}; {timing.where}"
        figures["latency_ratio"] = Figure(
            value=timing.comparison.ratio, unit="of the float model's", kind="measured", source=source
        )
    return figures


def _reference(content: bytes) -> FileRef:
    return FileRef(digest=Digest.of(content), length=len(content))
