"""`aegis embed`: sentence embeddings, encrypted end to end, or by the same program without ciphertexts."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from aegis_fhe.cli.embedding import embeddings, print_embeddings
from aegis_fhe.cli.modes import Mode, ModeOptions
from aegis_fhe.cli.sample_lines import sample_lines
from aegis_fhe.models.minilm import TOKENS, compile_sentence_encoder
from aegis_fhe.models.text_encoder import TextEncoder
from aegis_fhe.ring import native
from aegis_fhe.runtime.garbage import no_collection
from aegis_fhe.runtime.launch import LaunchOptions


def embed(
    texts: Annotated[list[str], typer.Argument(help="One text or several; they share keys and workers.")],
    mode: Annotated[
        Mode, typer.Option(help="With ciphertexts, with drawn noise, or without.")
    ] = Mode.ENCRYPTED,
    tokens: Annotated[int, typer.Option(min=3, help="Longest text, in tokens.")] = TOKENS,
    devices: Annotated[int, typer.Option(min=1, help="Worker processes that share the tokens.")] = 1,
    model: Annotated[Path | None, typer.Option(help="BERT: a folder, or owner/name of the hub.")] = None,
    calibration: Annotated[
        Path | None, typer.Option(help="Sample texts, one per line, for weights without shipped ranges.")
    ] = None,
    seed: Annotated[
        str | None, typer.Option(help="Reproducible keys, ciphertexts, noise: never for real data.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars.")] = False,
) -> None:
    """Embed texts with a sentence encoder: encrypted, simulated or in clear."""
    start = time.monotonic()
    native.set_threads(LaunchOptions().threads_per_worker)
    samples = sample_lines(calibration)
    with no_collection():
        encoder = TextEncoder.load(model)
        ids = [encoder.token_ids(text) for text in texts]
        program = compile_sentence_encoder(encoder, tokens=tokens, calibration=samples)
    options = ModeOptions(mode=mode, devices=devices, seed=seed, keep=None, quiet=quiet or as_json)
    facts = embeddings(encoder, program, ids, options)
    facts["seconds"] = round(time.monotonic() - start, 3)
    if as_json:
        typer.echo(json.dumps(facts))
    else:
        print_embeddings(Console(), texts, facts)
