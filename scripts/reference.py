"""Write docs/reference/ from the tables in the code, so that the documentation cannot disagree with it."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterable
from enum import StrEnum
from pathlib import Path
from typing import Final

from edge_contracts.lifecycle import ABORTABLE, MAX_TRANSITIONS, OUTCOMES, diagram
from edge_contracts.reasons import REASONS
from edge_contracts.topics import ROOT, TOPICS
from edge_converters.calls import call
from edge_converters.lesser_shares import PARTS
from edge_converters.lint.findings import HINTS
from edge_converters.lint.operators import REMARKS
from edge_converters.passes.channel_ranking import BLOCKS
from edge_converters.passes.table import PASSES
from edge_converters.recipe_files import as_toml
from edge_converters.recipes import CALIBRATED, COARSE, MIXABLE, Ranges, Recipe, rungs
from edge_converters.robustness.attacks import SIZES
from edge_converters.robustness.checkup import SECONDS
from edge_converters.robustness.corruptions import CORRUPTIONS
from edge_converters.robustness.findings import MARGIN
from edge_profiles.boards import shipped
from edge_profiles.fields import rows as profile_fields
from edge_profiles.schemes import CLASSES, FORMATS, SCHEMES, Scheme
from edge_profiles.template import template
from edge_sdk.cli.failures import EXIT_CODES

FOLDER: Final = Path(__file__).resolve().parent.parent / "docs" / "reference"


def _table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    head = list(head)
    lines = [head, ["---"] * len(head), *([str(cell) for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def reasons() -> str:
    """Every reason code with its sentence, next step and retry."""
    rows = [(f"`{code.value}`", info.sentence, info.hint, info.retry.value) for code, info in REASONS.items()]
    return (
        "# Reason codes\n\nWhy a deployment was refused, failed or was undone. `backoff`: the device tries again by "
        "itself, at most five times; `never`: it does not try this content again.\n\n"
        + _table(("code", "what happened", "what to do", "retry"), rows)
    )


def lifecycle() -> str:
    """The states of a deployment and how it moves between them."""
    outcomes = [(f"`{state.value}`", f"`{outcome.value}`") for state, outcome in OUTCOMES.items()]
    return (
        "# The life of a deployment\n\nAgent and server share this table. Every transition is written to the device's "
        f"journal before it takes effect; a deployment takes at most {MAX_TRANSITIONS}. An abort is followed in "
        + ", ".join(f"`{state.value}`" for state in sorted(ABORTABLE))
        + f".\n\n```mermaid\n{diagram()}```\n\nWhat the last state counts as:\n\n"
        + _table(("last state", "outcome"), outcomes)
    )


def topics() -> str:
    """The MQTT topics."""
    rows = [
        (
            f"`{ROOT}/{{tenant}}/{{device}}/{topic.suffix}`",
            f"`{topic.message.__name__}`",
            topic.direction.value,
            topic.qos,
            "yes" if topic.retain else "no",
            "never" if topic.expiry is None else f"{topic.expiry} s",
        )
        for topic in TOPICS
    ]
    return (
        "# MQTT topics\n\nMQTT 5 over TLS with client certificates; a device may use its own topics only. Payloads are "
        "canonical CBOR with a schema version, deflated when that is shorter.\n\n"
        + _table(("topic", "message", "direction", "QoS", "retained", "expires"), rows)
    )


def exit_codes() -> str:
    """The exit codes of `edge-sdk`."""
    rows = [(str(code), meaning) for code, meaning in EXIT_CODES.items()]
    told = "With any of 3 to 7, standard error says in one sentence what happened and in one what to do"
    return f"# Exit codes of edge-sdk\n\nThe same in every version. {told}, and nothing was half-written.\n\n" + _table(
        ("code", "meaning"), rows
    )


def _member_docs(kind: type[StrEnum]) -> dict[str, str]:
    """The string under each member of an enumeration, by the member's value."""
    (tree,) = ast.parse(inspect.getsource(kind)).body
    assert isinstance(tree, ast.ClassDef)
    found = {}
    for member, text in zip(tree.body, tree.body[1:], strict=False):
        if isinstance(member, ast.Assign) and isinstance(text, ast.Expr):
            found[ast.literal_eval(member.value)] = " ".join(ast.literal_eval(text.value).split())
    return found


def profiles() -> str:
    """The format of hardware profiles, field by field, and those that come with the product."""
    fields = [(f"`{row.key}`", row.kind, row.needed, row.meaning) for row in profile_fields()]
    pairs = [
        (engine, accelerator, CLASSES[accelerator], FORMATS[engine], ", ".join(schemes))
        for (engine, accelerator), schemes in SCHEMES.items()
    ]
    schemes = [(f"`{scheme}`", text) for scheme, text in _member_docs(Scheme).items()]
    boards = [
        (f"`{board.name}`", board.title, board.profile_class, f"{board.engine}, {board.accelerator}", board.schemes[0])
        for board in shipped()
    ]
    return (
        "# Hardware profiles\n\nA kind of target, as a TOML file: what it is, runs and holds. Those that come with the "
        "product are used by name, your own by its file: `--profile ./boards/mine.toml`. `edge-sdk profiles template` "
        "prints one to start from, `edge-sdk profiles validate FILE` says everything that is wrong with yours, and "
        "`edge-sdk profiles show NAME` prints a whole one with the source of each figure.\n\n## Fields\n\nA figure is "
        "`{ value = ..., unit = ..., source = ... }`: its source is a document with the place in it, or `a choice: "
        "why`, or `assumed: why`. A field of a table is needed where the table is.\n\n"
        + _table(("field", "what it holds", "needed (else)", "meaning"), fields)
        + "\n## Engines and accelerators\n\n"
        + _table(("engine", "accelerator", "class", "format", "schemes it runs"), pairs)
        + "\n## Schemes\n\n"
        + _table(("scheme", "how numbers are kept"), schemes)
        + "\n## Shipped\n\n"
        + _table(("name", "what it is", "class", "runs on", "first scheme"), boards)
        + f"\n## Template\n\n```toml\n{template()}```\n"
    )


def robustness() -> str:
    """What `--robustness` checks."""
    rows = [
        (kind, corruption.name, ", ".join(f"{level:g}" for level in corruption.levels), corruption.unit)
        for kind, corruptions in CORRUPTIONS.items()
        for corruption in corruptions
    ]
    sizes = ", ".join(f"{size:g}" for size in SIZES)
    return (
        "# What `--robustness` checks\n\n`edge-sdk convert --robustness` answers samples of the evaluation data with "
        "each judged variant and with its float model, in the same engine: as they are, and made worse. The report "
        f"tells what each lost, and flags a variant that is shown to lose over {MARGIN * 100:g} points more than its "
        "float model ([the rule](../decisions/0013-brittle-by-evidence.md)). It changes no verdict. `--input-kind` "
        "says what inputs show, if their shape tells it wrong.\n\n"
        + _table(("input", "made worse by", "strengths", "in"), rows)
        + f"\nSmall steps that mislead, each element by at most {sizes} of the range: by the source's own gradients "
        "where it is a Keras file or a SavedModel (FGSM; PGD), else guessed from each model's answers (SPSA). "
        "Confidence in inputs that show nothing. How far answers move with each part of the input. The difference of "
        f"the answers, and the calibration error of both models. A variant is given {SECONDS:g} seconds; what they did "
        "not suffice for is named in the report.\n"
    )


def recipes() -> str:
    """The passes that recipes are made of, the form of a recipe file, and what is tried for each shipped profile."""
    rows = [(f"`{name}`", each.does, each.source) for name, each in PASSES.items()]
    parameters = [
        (f"`{name}`", f"`{key}`", value.meaning, value.allowed, "needed" if value.default is None else value.default)
        for name, each in PASSES.items()
        for key, value in each.parameters.items()
    ]
    named = (", ".join(f"`{scheme}`" for scheme in sorted(each)) for each in (CALIBRATED, MIXABLE, COARSE))
    ranged, mixable, coarse = named
    ladders = [(f"`{board.name}`", "<br>".join(map(str, rungs(board)))) for board in shipped()]
    return (
        "# Recipes and their passes\n\nA recipe is the passes that are done to the float model, in order, and the "
        "scheme in which its numbers are then kept. `edge-sdk convert` tries a profile's recipes one after the other "
        "and takes the first that keeps the accuracy on the ranking split; `--recipe FILE` puts your own in their "
        "place, `--search TRIALS` looks for others.\n\n## Passes\n\n"
        + _table(("pass", "what it does", "described by"), rows)
        + "\n## Parameters\n\n"
        + _table(("pass", "parameter", "meaning", "allowed", "else"), parameters)
        + f"\n## What taking weights away brings\n\n{_LESS}"
        + "\n## A recipe file\n\n`edge-sdk recipes show PROFILE` prints one to start from, `edge-sdk recipes validate "
        "FILE` says what is wrong with yours. `ranges` is `min-max` (what calibration shows) or `best` (what leaves "
        f"the readers of a tensor the least error), of {ranged}. `keep` names layers that stay float, of {mixable} on "
        f"processors. `coarse = true` gives dense layers whose channels are alike one scale, of {coarse}.\n\n"
        f"```toml\n{as_toml(_EXAMPLE)}```\n\n## What is tried for the shipped profiles\n\n"
        + _table(("profile", "in order"), ladders)
    )


def lint() -> str:
    """Every code of a finding with what to do, and the operators that are told."""
    hints = [(f"`{code}`", hint) for code, hint in HINTS.items()]
    remarks = [
        (f"`{remark.code}`", str(remark.severity), remark.why, form, ", ".join(sorted(operators)))
        for remark in REMARKS
        for form, operators in remark.operators.items()
    ]
    return (
        "# What a lint finds\n\n`edge-sdk lint MODEL...` reads models without running them and tells what is wrong, by "
        "operator, tensor and parameter; with `--profile` also what a target makes of them. `edge-sdk convert` does it "
        "first, and refuses a model that has an error. No Python code of a model file is ever run.\n\n## Codes\n\n"
        + _table(("code", "what to do"), hints)
        + "\n## Operators\n\nThose that depend on no input are computed ahead, and nothing is said of them.\n\n"
        + _table(("code", "severity", "why", "form", "operators"), remarks)
    )


_LESS: Final = (
    "Of a recipe with `prune-channels`, `prune` or `factorise` that was judged, passed or not, the report says which "
    "share of the multiplications and weights went, the drop beside that of the same recipe without these passes, and "
    "the time beside it, measured in turns. It is called a speed-up at equal guard only if the variant passed and is "
    "faster beyond the A/A spread; else the report says that none is to be had. Where a share of channels did not "
    f"pass, {', '.join(f'{part:g}' for part in PARTS)} of it are tried on the ranking split, and the first that keeps "
    "the accuracy there is named: channels are ranked once for every share, so that this takes seconds. Channels go "
    f"in blocks ({', '.join(f'of {block} from tensors of {least} or more' for least, block in BLOCKS)}), as kernels "
    "work: odd numbers of them made int8 slower than all channels. Zeros one by one save no multiplication in the "
    "kernels of these engines.\n"
)
_EXAMPLE: Final = Recipe(
    Scheme.INT8, (call("prune", {"sparsity": 0.5}), call("equalise", {})), Ranges.BEST, ("functional_1/conv2d/BiasAdd",)
)

PAGES: Final[dict[str, Callable[[], str]]] = {
    "exit-codes.md": exit_codes,
    "lint.md": lint,
    "reasons.md": reasons,
    "lifecycle.md": lifecycle,
    "topics.md": topics,
    "profiles.md": profiles,
    "recipes.md": recipes,
    "robustness.md": robustness,
}


def main() -> None:
    """Write every page."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page())


if __name__ == "__main__":
    main()
