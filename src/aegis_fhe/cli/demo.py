"""`aegis demo`: client, keys, workers and results, on two real sentences and real weights."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console

from aegis_fhe.cli.encrypted_run import EncryptedRun
from aegis_fhe.cli.range_warnings import warn_of_ranges
from aegis_fhe.cli.sample_lines import sample_lines
from aegis_fhe.errors import RangeError
from aegis_fhe.models.minilm import TOKENS, compile_sentence_encoder
from aegis_fhe.models.text_encoder import TextEncoder
from aegis_fhe.ring import native
from aegis_fhe.runtime.garbage import no_collection
from aegis_fhe.runtime.launch import LaunchOptions

Array = NDArray[np.float64]

TEXTS = [
    "The night train left the harbour city an hour late, and the old woman by the window wrote a letter.",
    "A passenger was writing letters while the delayed train pulled out of the port after dark.",
]

# Below this, it is not noise: the text left the ranges that the approximations were calibrated for.
COSINE_LIMIT = 0.995


def demo(
    text: Annotated[
        list[str], typer.Option(help=f"A text of up to {TOKENS} tokens; twice, for two.")
    ] = TEXTS,
    devices: Annotated[int, typer.Option(min=1, help="Worker processes that share the tokens.")] = 1,
    model: Annotated[Path | None, typer.Option(help="BERT: a folder, or owner/name of the hub.")] = None,
    calibration: Annotated[
        Path | None, typer.Option(help="Sample texts, one per line, for weights without shipped ranges.")
    ] = None,
    seed: Annotated[
        str | None,
        typer.Option(help="Reproducible keys and ciphertexts from this word: never for real data."),
    ] = None,
    kernels: Annotated[
        str | None, typer.Option(help="Kernel path, slower than the best one but equal (see aegis doctor).")
    ] = None,
    keep: Annotated[Path | None, typer.Option(help="Keep the files of the run in this folder.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Keys and operation counts too.")] = False,
) -> None:
    """Embed two sentences with an encrypted Transformer and compare them."""
    start = time.monotonic()
    native.set_threads(LaunchOptions().threads_per_worker)
    samples = sample_lines(calibration)
    if len(text) != 2:
        raise RangeError(f"two texts are compared, {len(text)} given: say --text twice")
    with no_collection():
        encoder = TextEncoder.load(model)
        ids = [encoder.token_ids(one) for one in text]
        program = compile_sentence_encoder(encoder, calibration=samples).with_kernels(kernels)
        for one in ids:
            program.context(len(one))
        hidden = [encoder.embed(one) for one in ids]
        references = [encoder.sentence(one) for one in hidden]
        run = EncryptedRun.prepare(program, devices, hidden, keep=keep, quiet=quiet or as_json)
    outside = warn_of_ranges(encoder, program, hidden)
    run.announce(Console(stderr=True, quiet=quiet), [len(one) for one in ids])
    session = run.run(hidden, seed)
    results = [result.hidden[0] for result in session.results]
    clear = [program.run_clear(one).hidden[0] for one in hidden]
    facts = _facts(results, clear, references)
    facts |= {"tokens": [len(one) for one in ids], "outside_ranges": outside}
    facts["seconds"] = round(time.monotonic() - start, 3)
    facts |= run.facts(session)
    if as_json:
        typer.echo(json.dumps(facts))
        return
    console = Console()
    run.print_facts(console, facts, _rows(facts))
    if facts["cosine_min"] < COSINE_LIMIT:
        console.print(
            f"A cosine is below {COSINE_LIMIT}: a text lies outside the calibrated ranges, do not use the "
            "result."
        )
    if verbose:
        run.print_costs(console)


def cosine(x: Array, y: Array) -> float:
    """Of the angle between two vectors."""
    return float(x @ y / (np.linalg.norm(x) * np.linalg.norm(y)))


def _facts(results: Sequence[Array], clear: Sequence[Array], references: Sequence[Array]) -> dict[str, Any]:
    """Decrypted against PyTorch, and against the same approximations without noise."""
    pairs = list(zip(results, references, strict=True))
    return {
        "similarity": cosine(results[0], results[1]),
        "similarity_clear": cosine(references[0], references[1]),
        "cosine_min": min(cosine(x, y) for x, y in pairs),
        "max_abs_error": max(float(np.abs(x - y).max()) for x, y in pairs),
        "max_abs_error_of_noise": max(
            float(np.abs(x - y).max()) for x, y in zip(results, clear, strict=True)
        ),
    }


def _rows(facts: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        ("similarity of the two texts, encrypted", f"{facts['similarity']:.4f}"),
        ("the same in PyTorch float32, in clear", f"{facts['similarity_clear']:.4f}"),
        ("cosine of an embedding to PyTorch's, worst", f"{facts['cosine_min']:.6f}"),
        ("largest absolute error", f"{facts['max_abs_error']:.2e}"),
        ("of which encryption noise", f"{facts['max_abs_error_of_noise']:.2e}"),
    ]
