"""`aegis bench decoder-layer`: a layer of a real language model, encrypted, beside its exact result."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from aegis_fhe.bench.decoder_sample import decoder_sample
from aegis_fhe.bench.layer_benchmark import measure_layer
from aegis_fhe.bench.result_rows import record_facts
from aegis_fhe.circuits.bootstrap import presets
from aegis_fhe.cli.circumstances import circumstances
from aegis_fhe.cli.sample_lines import sample_lines
from aegis_fhe.errors import ParameterError
from aegis_fhe.observe.table import format_bytes, results_table

DEGREES = range(9, 17)
LEVELS_LEFT = 14
MODEL = "SmolLM2-135M-Instruct"


def bench_decoder_layer(
    *,
    n: int,
    threads: int,
    runs: int,
    texts: Path | None,
    model: Path | None,
    layer: int,
    tokens: int,
    calibration: int,
    device: str | None,
    output: Path | None,
    record: bool,
    as_json: bool,
) -> None:
    """Measures at degree 2^n, below 2^16 an insecure one; one run for each of `runs` texts."""
    if n not in DEGREES:
        raise ParameterError(f"--n {n}: a layer with bootstraps takes {DEGREES.start} to {DEGREES.stop - 1}")
    if texts is None:
        raise ParameterError("decoder-layer needs --texts: a file of sample texts like yours, one per line")
    found = presets.n16(LEVELS_LEFT) if n == 16 else presets.insecure(n, levels_left=LEVELS_LEFT)
    plan = replace(found, params=replace(found.params, kernel_path=device))
    sample = decoder_sample(
        model,
        sample_lines(texts),
        layer=layer,
        tokens=tokens,
        calibration=calibration,
        texts=runs,
        bootstrap=plan,
        say=_say,
    )
    facts = {
        "model": MODEL if model is None else model.name,
        "layer": layer,
        "calibration_texts": calibration,
        "outside": list(sample.outside),
        **measure_layer(sample.program, sample.texts, threads=threads, say=_say),
    }
    if record:
        record_facts("decoder-layer", output, facts | circumstances("decoder-layer", plan.params), _say)
    if as_json:
        print(json.dumps(facts))
    else:
        _print(facts, plan.params.describe_security())


def _print(facts: Mapping[str, Any], security: str) -> None:
    columns = ["", *(f"text {i + 1}" for i in range(len(facts["texts"])))]
    rows = [
        (label, *(form(text[name]) for text in facts["texts"]))
        for label, name, form in (
            ("largest error / rms", "error", "{:.2e}".format),
            ("of the approximations", "approximation_error", "{:.2e}".format),
            ("of the encryption", "noise_error", "{:.2e}".format),
            ("seconds of processors", "processor_seconds", "{:.0f}".format),
            ("seconds", "seconds", "{:.0f}".format),
        )
    ]
    stages = dict.fromkeys(stage for text in facts["texts"] for stage in text["stages"])
    rows += [(f"  {s}", *(f"{text['stages'][s]:.1f}" for text in facts["texts"])) for s in stages]
    console = Console()
    title = f"Layer {facts['layer']} of {facts['model']}, {facts['tokens']} tokens, N = 2^{facts['log_n']}"
    console.print(results_table(title, columns, rows))
    lines = [
        f"{security}; {facts['bootstraps']} bootstraps, threads: {facts['threads']}.",
        f"{facts['keys']} keys, {format_bytes(facts['key_bytes'])}, made in {facts['key_seconds']:.0f} s; "
        f"{format_bytes(facts['peak_memory_bytes'])} of memory at most.",
        *(f"Outside the calibrated ranges: {message}." for message in facts["outside"]),
    ]
    for line in lines:
        console.print(line, markup=False, highlight=False)


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)
