"""`aegis run`: a compiled folder on texts."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from aegis_fhe.cli.classification import classifications, print_classifications
from aegis_fhe.cli.embedding import embeddings, print_embeddings
from aegis_fhe.cli.modes import Mode, ModeOptions
from aegis_fhe.errors import CompatibilityError
from aegis_fhe.models.classifier import TextClassifier
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
    with no_collection():
        program, source = compiled.load()
        encoder = load_text_model(source.folder)
        if encoder.fingerprint() != source.fingerprint:
            raise CompatibilityError(f"{encoder.folder} holds other weights than {folder} was compiled from")
        ids = [encoder.token_ids(one) for one in text]
    options = ModeOptions(mode=mode, devices=devices, seed=seed, keep=keep, quiet=quiet or as_json)
    classifier = encoder if isinstance(encoder, TextClassifier) else None
    if classifier is None:
        facts = embeddings(encoder, program, ids, options)
    else:
        facts = classifications(classifier, program, ids, options)
    facts["seconds"] = round(time.monotonic() - start, 3)
    if as_json:
        typer.echo(json.dumps(facts))
    elif classifier is None:
        print_embeddings(Console(), text, facts)
    else:
        print_classifications(Console(), text, facts)
