"""Next tokens of texts by a compiled language model, in one of three modes, beside the clear model's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from aegis_fhe.cli.encrypted_run import make_folder
from aegis_fhe.cli.modes import Mode
from aegis_fhe.cli.seed import seed_key, seed_number, warn_of_seed
from aegis_fhe.cli.session_bars import print_worker_line, run_under_bars, session_facts, warn_of_security
from aegis_fhe.errors import CompatibilityError
from aegis_fhe.models.decoder_model import DecoderModel
from aegis_fhe.models.decoders import load_decoder
from aegis_fhe.observe.table import format_bytes, format_seconds, results_table
from aegis_fhe.program.long.decoder_program import DecoderProgram
from aegis_fhe.service.client import Client
from aegis_fhe.service.compiled_folder import CompiledFolder
from aegis_fhe.service.decoder_file import open_decoder
from aegis_fhe.service.session import SessionResult, run_decoder_session

Array = NDArray[np.float64]

SHOWN = 5


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """As the options of `aegis run`."""

    mode: Mode
    seed: str | None
    keep: Path | None
    quiet: bool


def next_tokens(folder: CompiledFolder, texts: Sequence[str], options: RunOptions) -> dict[str, Any]:
    """For each text the likeliest next tokens, and what PyTorch says of the same layers.

    Where the program has only the model's first layers, both predict from what these leave. Raises
    CompatibilityError for another model than was compiled, RangeError for a text too long, WorkerError.
    """
    source = folder.source()
    language = load_decoder(source.kind, source.folder)
    if language.fingerprint() != source.fingerprint:
        raise CompatibilityError(
            f"{source.folder or source.kind} holds other weights than {folder.path} was compiled from"
        )
    ids = [language.token_ids(text) for text in texts]
    with open_decoder(folder.program) as program:
        for one in ids:
            program.check_tokens(len(one))
        hidden = [language.embed(one) for one in ids]
        facts: dict[str, Any] = {
            "mode": options.mode.value,
            "tokens": [len(one) for one in ids],
            "layers": len(program.layers),
            "model_layers": len(language.layers),
            "security_bits": program.params.security_bits,
        }
        states, taken = _states(program, folder, hidden, options)
        exact = [language.states_after(one, len(program.layers)) for one in ids]
        rows = zip(states, exact, strict=True)
        facts["texts"] = [_compared(language, found, own, program.public_tokens) for found, own in rows]
    return facts | taken


def _states(
    program: DecoderProgram, folder: CompiledFolder, hidden: list[Array], options: RunOptions
) -> tuple[list[Array], dict[str, Any]]:
    """Hidden states after the program's layers, and what an encrypted run took."""
    if options.mode is Mode.CLEAR:
        return [program.run_clear(one).hidden for one in hidden], {}
    if options.mode is Mode.SIMULATE:
        number = seed_number(options.seed)
        return [program.run_simulated(one, seed=number).hidden for one in hidden], {}
    session = _encrypted(program, folder, hidden, options)
    return [result.hidden for result in session.results], _facts(program, session)


def _encrypted(
    program: DecoderProgram, folder: CompiledFolder, hidden: list[Array], options: RunOptions
) -> SessionResult:
    warn_of_security(program.params)
    if options.keep is not None:
        make_folder(options.keep)
    client = Client(program, seed=seed_key(options.seed))
    session = run_under_bars(
        program.params,
        program.key_requests(),
        program.counts().ntts(program.params),
        lambda advance_keys, on_progress: run_decoder_session(
            program,
            client,
            hidden,
            folder=options.keep,
            stored=folder.program,
            advance_keys=advance_keys,
            on_progress=on_progress,
            on_output=print_worker_line,
        ),
        quiet=options.quiet,
    )
    warn_of_seed(options.seed)
    return session


def _facts(program: DecoderProgram, session: SessionResult) -> dict[str, Any]:
    own = {"parameters": program.params.name, "kernels": session.report.kernels[0]}
    return session_facts(session) | own


def _compared(language: DecoderModel, found: Array, exact: Array, public: int) -> dict[str, Any]:
    """Of one text: the last token's predictions, and how far its hidden states are from PyTorch's."""
    mine, clear = (language.probabilities(states[-1:])[0] for states in (found, exact))
    error = np.abs(found[public:] - exact[public:]).max()
    return {
        "next": _top(language, mine),
        "clear_next": _top(language, clear),
        "agrees": bool(mine.argmax() == clear.argmax()),
        "largest_probability_difference": float(np.abs(mine - clear).max()),
        "hidden_error": float(error / np.sqrt((exact[public:] ** 2).mean())),
    }


def _top(language: DecoderModel, probabilities: Array) -> list[dict[str, Any]]:
    chosen = np.argsort(probabilities)[::-1][:SHOWN]
    return [
        {"id": int(i), "token": language.tokenizer.decode([int(i)]), "probability": float(probabilities[i])}
        for i in chosen
    ]


def _shown(token: dict[str, Any]) -> tuple[str, str]:
    return repr(token["token"]), f"{token['probability']:.4f}"


def print_next_tokens(console: Console, texts: Sequence[str], facts: dict[str, Any]) -> None:
    """A table for each text: the program's tokens, and the clear model's beside them."""
    part = f", {facts['layers']} of {facts['model_layers']} layers"
    for text, result in zip(texts, facts["texts"], strict=True):
        pairs = zip(result["next"], result["clear_next"], strict=True)
        rows = [(*_shown(mine), *_shown(own)) for mine, own in pairs]
        title = f"{text if len(text) <= 40 else '...' + text[-37:]!r}, {facts['mode']}{part}"
        columns = ("next token", "probability", "in PyTorch", "probability ")
        console.print(results_table(title, columns, rows))
        console.print(f"largest error of hidden states: {result['hidden_error']:.2e} of their rms")
    for name, size in facts.get("file_bytes", {}).items():
        console.print(f"file {name}: {format_bytes(size)}")
    for name, seconds in facts.get("seconds_by_stage", {}).items():
        console.print(f"worker, {name}: {format_seconds(seconds)}")
    console.print(f"everything: {format_seconds(facts['seconds'])}")
