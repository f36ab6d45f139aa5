"""Client and workers on one machine, in a folder of their own.

The shortest way from data to decrypted result.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aegis_fhe.program.compiled import CompiledProgram
from aegis_fhe.program.long.decoder_program import DecoderProgram
from aegis_fhe.runtime.events import ProgressEvent
from aegis_fhe.runtime.memory_estimate import MemoryEstimate
from aegis_fhe.service.client import Client, DecryptedResult
from aegis_fhe.service.decoder_file import save_decoder
from aegis_fhe.service.job import JobFiles, JobReport, require_memory, run_decoder_job, run_job
from aegis_fhe.service.program_file import save_program

Array = NDArray[np.float64]


@dataclass(frozen=True)
class SessionResult:
    """The decrypted results of all texts, the workers' report, and the seconds of every step (the client's
    included).
    """

    results: list[DecryptedResult]
    report: JobReport
    seconds: dict[str, float]
    file_bytes: dict[str, int]

    @property
    def result(self) -> DecryptedResult:
        """Of the first text."""
        return self.results[0]


def run_session(
    program: CompiledProgram,
    client: Client,
    hidden: Array | Sequence[Array],
    *,
    devices: int = 1,
    threads: int | None = None,
    folder: Path | None = None,
    estimates: Sequence[MemoryEstimate] | None = None,
    advance_keys: Callable[[str, float], None] = lambda name, weight: None,
    on_progress: Callable[[ProgressEvent], None] | None = None,
    on_output: Callable[[int, str], None] | None = None,
) -> SessionResult:
    """Writes program, keys and ciphertexts, runs `devices` workers on them, decrypts.

    hidden: of one text [tokens, features], or of several, which share keys and workers. threads: of each
    worker, by default cores // devices. folder: where the files go when all went well; by default, and after
    an error, they are removed; only there the keys are synced to the disk. Memory is checked before any work,
    by `estimates` of `require_memory` where they are given. Raises RangeError or LayoutError for hidden
    states that the program does not take, CapacityError, WorkerError.
    """
    texts = [hidden] if isinstance(hidden, np.ndarray) else list(hidden)
    for text in texts:
        program.context(len(text))
    estimates = require_memory(program, devices, estimates)

    def run(files: JobFiles) -> JobReport:
        return run_job(
            program,
            files,
            devices,
            threads=threads,
            estimates=estimates,
            on_progress=on_progress,
            on_output=on_output,
        )

    return _exchanged(
        client,
        texts,
        folder,
        devices=devices,
        save=lambda path: save_program(program, path),
        run=run,
        advance_keys=advance_keys,
    )


def run_decoder_session(
    program: DecoderProgram,
    client: Client,
    texts: Sequence[Array],
    *,
    threads: int | None = None,
    folder: Path | None = None,
    stored: Path | None = None,
    advance_keys: Callable[[str, float], None] = lambda name, weight: None,
    on_progress: Callable[[ProgressEvent], None] | None = None,
    on_output: Callable[[int, str], None] | None = None,
) -> SessionResult:
    """As `run_session`, on one worker.

    stored: the program's file where there is one already; it is linked or copied, not written again. Raises
    RangeError or LayoutError for hidden states that the program does not take, WorkerError.
    """
    for text in texts:
        program.check_tokens(len(text))

    def save(path: Path) -> None:
        if stored is None:
            save_decoder(program, path)
        else:
            _link(stored, path)

    def run(files: JobFiles) -> JobReport:
        return run_decoder_job(program, files, threads=threads, on_progress=on_progress, on_output=on_output)

    return _exchanged(client, texts, folder, devices=1, save=save, run=run, advance_keys=advance_keys)


def _exchanged(
    client: Client,
    texts: Sequence[Array],
    folder: Path | None,
    *,
    devices: int,
    save: Callable[[Path], None],
    run: Callable[[JobFiles], JobReport],
    advance_keys: Callable[[str, float], None],
) -> SessionResult:
    """What client and workers do in turn, in a folder of their own."""
    with tempfile.TemporaryDirectory(prefix="aegis-", dir=folder) as temporary:
        files = JobFiles(folder=Path(temporary), texts=len(texts))
        clock = _Clock()
        save(files.program)
        for text, path in zip(texts, files.inputs, strict=True):
            client.write_input(text, path)
        clock.lap("encrypt")
        client.write_keys(files.keys, advance=advance_keys, durable=folder is not None)
        clock.lap("keys")
        report = run(files)
        clock.lap("workers")
        results = [
            client.read_results(paths, len(text))
            for paths, text in zip(files.results(devices), texts, strict=True)
        ]
        clock.lap("decrypt")
        written = sorted(files.folder.iterdir())
        sizes = {path.name: path.stat().st_size for path in written}
        if folder is not None:
            for path in written:
                path.replace(folder / path.name)
    return SessionResult(results, report, clock.seconds, sizes)


def _link(source: Path, path: Path) -> None:
    """The same file under another name; a copy where that is another disk."""
    try:
        os.link(source, path)
    except OSError:
        shutil.copyfile(source, path)


class _Clock:
    """Seconds between laps."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.monotonic()

    def lap(self, name: str) -> None:
        now = time.monotonic()
        self.seconds[name] = now - self._last
        self._last = now
