"""Arm's Vela: compiles an int8 TFLite file for Ethos-U and says what runs where, at which estimated cost."""

from __future__ import annotations

import contextlib
import csv
import io
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

from ethosu.vela import vela

from edge_converters.errors import CheckFailed

CONFIGURATION = "Arm/vela.ini"


def compile_model(
    model: str, output: str, accelerator_config: str, system_config: str, memory_mode: str
) -> dict[str, Any]:
    """Write the compiled file to `output`; returns operators per processor, Vela's text and its summary's columns."""
    printed = io.StringIO()
    with tempfile.TemporaryDirectory() as folder:
        arguments = [
            *(model, "--output-dir", folder, "--config", CONFIGURATION, "--show-cpu-operations"),
            *("--accelerator-config", accelerator_config),
            *("--system-config", system_config, "--memory-mode", memory_mode),
        ]
        try:
            with contextlib.redirect_stdout(printed):
                vela.main(arguments)
        except SystemExit as error:
            if error.code:
                raise _refused(printed.getvalue()) from error
        (compiled,) = Path(folder).glob("*_vela.tflite")
        (summary,) = Path(folder).glob("*_summary_*.csv")
        shutil.copyfile(compiled, output)
        columns = next(csv.DictReader(summary.open()))
    text = printed.getvalue()
    return {"cpu": _count("CPU", text), "npu": _count("NPU", text), "text": text, "summary": columns}


def _count(processor: str, text: str) -> int:
    found = re.search(rf"{processor} operators = (\d+)", text)
    if found is None:
        raise _refused(text)
    return int(found[1])


def _refused(text: str) -> CheckFailed:
    words = " / ".join(line.strip() for line in text.splitlines() if line.strip())[-300:]
    return CheckFailed(f"Vela did not compile the model: {words}", "See Vela's supported operators.")
