"""One layer on ciphertexts with bootstraps: how long it takes, and how far it is from exact."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from aegis_fhe.bench.ring_benchmark import threads_set
from aegis_fhe.ckks.ciphertext import Ciphertext
from aegis_fhe.ckks.evaluator import Evaluator
from aegis_fhe.ckks.keys import EvaluationKeys
from aegis_fhe.ckks.secret import SecretKey, decrypt, encapsulation_keys, encrypt, evaluation_keys
from aegis_fhe.ckks.slots import SlotVector
from aegis_fhe.program.graph import Node
from aegis_fhe.program.long.compile import LongProgram
from aegis_fhe.program.operators import Refresh
from aegis_fhe.runtime.gpus import finish
from aegis_fhe.runtime.memory import peak_bytes

Array = NDArray[np.float64]

# Of expanded key halves: the values take the memory, and each key serves only a stage or two.
EXPANDED_BYTES = 256 << 20


@dataclass(frozen=True, eq=False)
class LayerText:
    """Hidden states [tokens, features] of one text before the layer, and what it exactly makes of them."""

    states: Array
    exact: Array


def measure_layer(
    program: LongProgram,
    texts: Sequence[LayerText],
    *,
    threads: int,
    say: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Facts and times of one encrypted run for each text, all with the same keys.

    Errors are the largest of an encrypted token's features over the root mean square of the exact result's:
    error of the decrypted result, approximation_error of the same program in float64, noise_error of the one
    to the other. seconds: of the run on ciphertexts; stages: the same, by stage of the graph.
    processor_seconds: of all threads together, which other work on the machine hardly changes.
    """
    params, bootstrap = program.params, program.bootstrap
    assert bootstrap is not None, "a program without bootstraps is no measure of a layer"
    with threads_set(threads):
        start = time.perf_counter()
        secret, requests = SecretKey.generate(params), program.key_requests()
        sparse = encapsulation_keys(secret, bootstrap.weight)
        keys = EvaluationKeys.collect(params, evaluation_keys(secret, requests), sparse)
        key_seconds = time.perf_counter() - start
        say(f"{len(requests)} keys: {key_seconds:.0f} s")
        evaluator = Evaluator(params, keys, expanded_bytes=EXPANDED_BYTES)
        runs = [_run(program, text, secret, evaluator, say) for text in texts]
    stored = sum(key.stored_bytes for key in (keys.relin, *keys.rotations.values()) if key is not None)
    return {
        "tokens": len(texts[0].states),
        "log_n": params.log_degree,
        "threads": threads,
        "bootstraps": sum(isinstance(node.operator, Refresh) for node in program.graph.nodes),
        "keys": len(requests),
        "key_bytes": stored + sparse.stored_bytes,
        "key_seconds": key_seconds,
        "texts": runs,
        "peak_memory_bytes": peak_bytes(),
        "arena_peak_bytes": params.ring.arena.bytes().peak_held,
    }


def _run(
    program: LongProgram,
    text: LayerText,
    secret: SecretKey,
    evaluator: Evaluator,
    say: Callable[[str], None],
) -> dict[str, Any]:
    tokens, stages = len(text.states), _Stages(say, program.params.ring.device)
    inputs = {
        name: encrypt(secret, SlotVector(values), level=program.input_level).expand(program.params)
        for name, values in program.pack(text.states).items()
    }
    stages.start()
    before = time.process_time()
    results = program.run(evaluator, inputs, tokens, observe=stages.done)
    processor_seconds = time.process_time() - before
    decrypted = {name: decrypt(secret, value).values.real for name, value in results.items()}
    found, clear = program.unpack(decrypted, tokens), program.run_clear(text.states)
    encrypted = slice(program.public_tokens, None)
    rms = float(np.sqrt((text.exact[encrypted] ** 2).mean()))

    def error(x: Array, y: Array) -> float:
        return float(np.abs(x[encrypted] - y[encrypted]).max()) / rms

    facts = {
        "error": error(found, text.exact),
        "approximation_error": error(clear, text.exact),
        "noise_error": error(found, clear),
        "rms": rms,
        "seconds": sum(stages.seconds.values()),
        "processor_seconds": processor_seconds,
        "stages": dict(stages.seconds),
    }
    say(f"{facts['seconds']:.0f} s, largest error / rms {facts['error']:.2e}")
    return facts


class _Stages:
    """Seconds of each stage, said when the next begins."""

    def __init__(self, say: Callable[[str], None], device: torch.device) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._say, self._last, self._stage = say, 0.0, ""
        self._device = device

    def start(self) -> None:
        finish(self._device)
        self._last = time.perf_counter()

    def done(self, node: Node, values: Sequence[Ciphertext]) -> None:
        finish(self._device)
        now = time.perf_counter()
        self.seconds[node.stage] += now - self._last
        if node.stage != self._stage:
            self._say(f"{node.stage}: {now - self._last:.1f} s, {peak_bytes() / 2**30:.2f} GiB at most")
        self._last, self._stage = now, node.stage
