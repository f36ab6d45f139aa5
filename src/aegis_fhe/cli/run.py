"""`aegis run`: a compiled folder on texts."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from aegis_fhe.cli.classification import classifications, print_classifications
from aegis_fhe.cli.embedding import embeddings, print_embeddings
from aegis_fhe.cli.modes import Mode, ModeOptions
from aegis_fhe.cli.next_tokens import RunOptions, next_tokens, print_next_tokens
from aegis_fhe.errors import CompatibilityError
from aegis_fhe.models.classifier import TextClassifier
from aegis_fhe.models.decoders import KINDS
from aegis_fhe.models.text_model import load_text_model
from aegis_fhe.ring import native
from aegis_fhe.runtime.garbage import no_collection
from aegis_fhe.runtime.launch import LaunchOptions
from aegis_fhe.service.compiled_folder import CompiledFolder


def run(
    folder: Annotated[Path, typer.Argument(help="What `aegis compile` wrote.")],
    text: Annotated[list[str], typer.Option(help="A text; say it again for more.")],
    mode: Annotated[
        Mode, typer.Option(help="With ciphertexts, with drawn noise, or without.")
    ] = Mode.ENCRYPTED,
    devices: Annotated[int, typer.Option(min=1, help="Worker processes that share the tokens.")] = 1,
    seed: Annotated[
        str | None, typer.Option(help="Reproducible keys, ciphertexts, noise: never for real data.")
    ] = None,
    keep: Annotated[Path | None, typer.Option(help="Keep the files of the run in this folder.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars.")] = False,
) -> None:
    """Run a compiled folder on texts, client and workers on this machine."""
    start = time.monotonic()
    native.set_threads(LaunchOptions().threads_per_worker)
    compiled = CompiledFolder(folder)
    if compiled.source().kind in KINDS:
        if devices > 1:
            raise CompatibilityError(f"{folder} holds a language model: it runs on one device")
        run_options = RunOptions(mode=mode, seed=seed, keep=keep, quiet=quiet or as_json)
        facts = next_tokens(compiled, text, run_options)
        _finish(facts, start, as_json, text, print_next_tokens)
        return
    with no_collection():
        program, source = compiled.load()
        encoder = load_text_model(source.folder)
        if encoder.fingerprint() != source.fingerprint:
            raise CompatibilityError(f"{encoder.folder} holds other weights than {folder} was compiled from")
        ids = [encoder.token_ids(one) for one in text]
    options = ModeOptions(mode=mode, devices=devices, seed=seed, keep=keep, quiet=quiet or as_json)
    if isinstance(encoder, TextClassifier):
        facts = classifications(encoder, program, ids, options)
        _finish(facts, start, as_json, text, print_classifications)
    else:
        facts = embeddings(encoder, program, ids, options)
        _finish(facts, start, as_json, text, print_embeddings)


def _finish(
    facts: dict[str, Any],
    start: float,
    as_json: bool,
    texts: list[str],
    show: Callable[[Console, Sequence[str], dict[str, Any]], None],
) -> None:
    facts["seconds"] = round(time.monotonic() - start, 3)
    if as_json:
        typer.echo(json.dumps(facts))
    else:
        show(Console(), texts, facts)
