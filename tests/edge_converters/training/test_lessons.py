"""What a user sees of training: pruned nets regain what they lost, students are small, rounding is borne."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge_converters.backends import tflite_network
from edge_converters.cache import Cache
from edge_converters.conversion import convert
from edge_converters.datasets import Samples, digest_of, make_data, make_training
from edge_converters.errors import BadInput, NotConvertible
from edge_converters.guard import Guard, Verdict
from edge_converters.job import Method, Proof
from edge_converters.record import RECORD_FILE
from edge_converters.reports import Conversion
from edge_converters.retraining import train
from edge_converters.sources import recognise
from edge_converters.tasks import Task
from edge_converters.training import Distil, FineTune, Lesson, Prune, RoundAware, Training, describe
from tests.edge_converters.conftest import Shared, own_profile
from tests.edge_converters.training.conftest import SEED, School

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def float_file(model: Path, folder: Path, school: School) -> Path:
    """The model as a float TFLite file."""
    saved, path = folder / "saved", folder / "float.tflite"
    school.worker.call(Task.PREPARE_TENSORFLOW, source=str(model), kind="keras", saved_model=str(saved))
    school.worker.call(Task.TFLITE_FROM_SAVED_MODEL, saved_model=str(saved), output=str(path))
    return path


def int8_accuracy(model: Path, folder: Path, school: School) -> float:
    """Of the int8 file that ranges of the calibration data alone give, in its own engine."""
    folder.mkdir()
    calibration, path = folder / "calibration.npy", folder / "int8.tflite"
    np.save(calibration, school.data.calibration.x)
    school.worker.call(
        Task.MAKE_TFLITE,
        model=str(float_file(model, folder, school)),
        scheme="int8",
        calibration=str(calibration),
        output=str(path),
    )
    inspected = school.worker.call(Task.INSPECT_TFLITE, model=str(path))
    stored = inspected["inputs"][0]["quantization"]
    x = np.rint(school.data.evaluation.x / stored["scale"]) + stored["zero_point"]
    np.save(folder / "x.npy", np.clip(x, -128, 127).astype(np.int8))
    answers = folder / "answers.npz"
    school.worker.call(Task.RUN_LITERT, model=str(path), inputs=str(folder / "x.npy"), outputs=str(answers), threads=1)
    with np.load(answers) as arrays:
        return float(np.mean(arrays["output_0"].argmax(axis=1) == school.data.evaluation.y))


def test_a_pruned_net_regains_what_it_lost_and_its_zeros_stay(school: School, tmp_path: Path) -> None:
    """Nine tenths of the weights go. In the file that devices run as many are zero, exactly."""
    (tmp_path / "again").mkdir()

    pruned, (lesson,) = school.teach("plain.keras", tmp_path, Prune(0.9, epochs=12, rate=2e-3))
    again, _ = school.teach("plain.keras", tmp_path / "again", Prune(0.9, epochs=12, rate=2e-3))

    before = school.accuracy(school.folder / "plain.keras", tmp_path)
    assert lesson.before - lesson.changed > 0.1, "pruning alone costs more than ten points"
    assert lesson.after > lesson.changed + 0.7 * (lesson.before - lesson.changed)
    assert school.accuracy(pruned, tmp_path) > before - 0.03
    assert lesson.zeros == round(0.9 * lesson.weights)
    network = tflite_network.read(float_file(pruned, tmp_path, school).read_bytes())
    assert sum(int((layer.weight == 0).sum()) for layer in network.weighted_layers) == lesson.zeros
    answers, repeated = (school.answers(each, tmp_path) for each in (pruned, again))
    assert all((answers[name] == repeated[name]).all() for name in answers), "training gave something else again"


def test_a_student_half_as_wide_is_a_third_of_the_size_and_nearly_as_good(school: School, tmp_path: Path) -> None:
    source = school.folder / "plain.keras"

    student, (lesson,) = school.teach("plain.keras", tmp_path, Distil(0.5, epochs=25))

    assert school.accuracy(student, tmp_path) >= school.accuracy(source, tmp_path) - 0.02
    (tmp_path / "source").mkdir()
    sizes = [
        float_file(model, folder, school).stat().st_size
        for model, folder in ((student, tmp_path), (source, tmp_path / "source"))
    ]
    assert sizes[0] < 0.45 * sizes[1]
    assert lesson.after >= lesson.changed


def test_a_net_that_int8_ruins_learns_to_bear_it(school: School, tmp_path: Path) -> None:
    """A few channels are so large that nothing is left of the others beside them."""
    source = school.folder / "hostile.keras"

    trained, (lesson,) = school.teach("hostile.keras", tmp_path, RoundAware(epochs=12))

    before, after = (
        int8_accuracy(model, tmp_path / name, school) for name, model in (("before", source), ("after", trained))
    )
    assert before < 0.6
    assert after > 0.9
    assert abs(after - lesson.after) < 0.08, "what training saw is what int8 does"


def test_steps_follow_each_other_through_residuals_and_depthwise_layers(school: School, tmp_path: Path) -> None:
    """Asked for in the wrong order, on a net with batch normalisation, dropout, a concatenation and a softmax layer."""
    steps = (RoundAware(1, rate=1e-4), Prune(of=4, keep=2, epochs=2, rate=1e-3), Distil(0.6, epochs=5, rate=3e-3))

    trained, lessons = school.teach("branched.keras", tmp_path, *steps)

    assert [lesson.step for lesson in lessons] == ["distil=0.6", "prune=2:4", "qat"]
    assert lessons[0].weights < 0.7 * weights_of(school.folder / "branched.keras", tmp_path / "source", school)
    assert lessons[1].zeros == lessons[2].zeros > 0.3 * lessons[1].weights
    network = tflite_network.read(float_file(trained, tmp_path, school).read_bytes())
    assert sum(layer.weight.size for layer in network.weighted_layers) == lessons[2].weights
    assert all(np.abs(values.sum(axis=1) - 1).max() < 1e-5 for values in school.answers(trained, tmp_path).values())


def weights_of(model: Path, folder: Path, school: School) -> int:
    folder.mkdir()
    return tflite_network.read(float_file(model, folder, school).read_bytes()).weight_count


def test_training_that_cannot_help_changes_nothing(school: School, tmp_path: Path) -> None:
    trained, (lesson,) = school.teach("plain.keras", tmp_path, FineTune(epochs=1, rate=0.5))

    assert lesson.best == 0
    assert "kept as it was: none of 1 epochs helped" in describe(lesson)
    (before,) = school.answers(school.folder / "plain.keras", tmp_path).values()
    (after,) = school.answers(trained, tmp_path).values()
    assert (before == after).all()


def test_a_file_of_keras_2_learns_from_the_sources_own_answers(shared: Shared, school: School, tmp_path: Path) -> None:
    """A wake word without labels: rounded to int8 it learns what it said of real spectrograms at various loudness."""
    with np.load(shared / "streaming_wakeword/calibration_samples.npz") as arrays:
        real, rng = arrays["specs"].astype(np.float32), np.random.default_rng(0)
    louder = np.concatenate([real * rng.uniform(0.85, 1.1, (45, 1, 1, 1)).astype(np.float32) for _ in range(8)])
    data = make_data(Samples(real, None), Samples(louder[:90], None))
    training = Training(make_training(Samples(louder[90:], None), data), (RoundAware(epochs=3),))
    source = recognise(shared / "streaming_wakeword/str_ww_ref_model.h5")

    _, (lesson,) = train(source, training, data, tmp_path, SEED, school.worker)

    assert lesson.measure == "agreement with the source"
    assert lesson.before == 1
    assert lesson.after >= 0.95
    assert lesson.best > 0


def test_what_is_not_trained_is_refused_by_name(school: School, tmp_path: Path) -> None:
    with pytest.raises(NotConvertible, match="the layer 'twice' is used more than once") as refusal:
        school.teach("shared.keras", tmp_path, FineTune())
    assert "each used once" in refusal.value.hint

    wrong = replace(school, samples=replace(school.samples, y=school.samples.y + 5))
    with pytest.raises(BadInput, match="holds classes 5 to 14, the model tells 10 apart"):
        wrong.teach("plain.keras", tmp_path, FineTune())

    with pytest.raises(NotConvertible, match=r"at 0\.9999 of its width no channel of the model can go"):
        school.teach("plain.keras", tmp_path, Distil(0.9999))


def test_a_trained_variant_is_compared_with_the_model_as_it_was_given(school: School, tmp_path: Path) -> None:
    """Accuracy before, size and latency are the source's own; what training did is in the report and the record."""
    source, cache = school.folder / "plain.keras", Cache(tmp_path / "cache")
    training = Training(school.samples, (Distil(0.5, epochs=6, rate=3e-3),))
    board = own_profile("pi", "rpi4-litert", "int8", tmp_path)

    def converted(output: Path) -> Conversion:
        proof, method = Proof(Guard(max_drop=0.1, slack=0.1)), Method(training=training, latency=False)
        return convert(source, [board], school.data, output=output, proof=proof, method=method, cache=cache)

    outcome, again = (converted(tmp_path / name) for name in ("bundle", "again"))

    (report,) = outcome.reports
    assert outcome.verdict is Verdict.PASS
    assert report.float_bytes == pytest.approx(float_file(source, tmp_path, school).stat().st_size, rel=0.05)
    assert report.best.size_bytes < 0.2 * report.float_bytes
    assert report.best.judgement.source == pytest.approx(school.accuracy(source, tmp_path), abs=0.02)
    (lesson,) = outcome.lessons
    assert (lesson.step, lesson.epochs) == ("distil=0.5", 6)
    assert outcome.samples["training"] == 900
    record = json.loads((tmp_path / "bundle" / RECORD_FILE).read_text())
    assert record["lessons"][0]["settings"]["width"] == 0.5
    assert record["data"]["digests"]["training"] == digest_of(school.samples)
    assert again.lessons == outcome.lessons
    assert again.reports[0].from_cache is not None


def test_lessons_are_told_in_a_sentence() -> None:
    lesson = Lesson("prune=0.8", {}, "accuracy", 135, 0.98, 0.7, 0.97, 20, 15, 1000, 800)

    assert describe(lesson) == (
        "prune=0.8: accuracy 98.00% -> 70.00% untrained -> 97.00% on 135 held-back training samples "
        "(epoch 15 of 20); 1,000 weights, 80.0% of them zero"
    )
