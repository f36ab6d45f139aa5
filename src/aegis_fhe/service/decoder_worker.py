"""The worker of a decoder: reads its program layer by layer, keys and ciphertexts, writes results.

Knows no secret.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from aegis_fhe.runtime.garbage import no_collection
from aegis_fhe.runtime.worker import WorkerContext, run_worker
from aegis_fhe.service.worker import FORBIDDEN, WorkerConfig, report

if TYPE_CHECKING:
    from aegis_fhe.program.graph import Node
    from aegis_fhe.program.long.decoder_program import DecoderProgram

# Of expanded key halves: the values take the memory, and each key serves only a stage or two.
EXPANDED_BYTES = 256 << 20


def work(context: WorkerContext) -> Any:
    """The whole job. Returns its seconds by stage and its (empty) ledger."""
    with no_collection():
        from aegis_fhe.ckks.evaluator import Evaluator
        from aegis_fhe.ring import native
        from aegis_fhe.service.ciphertexts_file import load_input, save_results
        from aegis_fhe.service.decoder_file import open_decoder
        from aegis_fhe.service.keys_file import load_keys

    config = msgspec.convert(context.config, WorkerConfig)
    communicator = context.connect(config.kernels)
    native.set_threads(context.threads)
    start = time.monotonic()
    context.report("load", 0.0)
    with open_decoder(Path(config.program)) as stored:
        program = stored.with_kernels(context.kernels)
        jobs = [load_input(program, Path(path)) for path in config.inputs]
        keys = load_keys(
            program.params,
            program.key_requests(),
            Path(config.keys),
            sparse_weight=program.bootstrap.weight,
        )
        evaluator = Evaluator(program.params, keys, expanded_bytes=EXPANDED_BYTES)
        work_of = program.counts().ntts(program.params)
        stages = _Stages(program, context.progress(work_of * len(jobs)).advance)
        stages.seconds["load"] = time.monotonic() - start
        for job, (path,) in zip(jobs, config.results, strict=True):
            inputs = {name: block.expand(program.params) for name, block in job.blocks.items()}
            stages.start()
            results = program.run(evaluator, inputs, job.facts.tokens, observe=stages.done)
            save_results(job.facts, results, Path(path))
    return report(program.params, communicator, stages.seconds, [])


class _Stages:
    """Seconds of each stage over all layers, and progress: a stage's weight is shared out over its nodes."""

    def __init__(self, program: DecoderProgram, advance: Callable[[str, float], None]) -> None:
        self.seconds: dict[str, float] = {}
        self._advance, self._last = advance, 0.0
        self._weights = [
            {
                stage: counts.ntts(program.params) / max(1, nodes[stage])
                for stage, counts in cost.stages.items()
            }
            for cost, nodes in zip(
                program.costs,
                (Counter(node.stage for node in layer.graph.nodes) for layer in program.layers),
                strict=True,
            )
        ]

    def start(self) -> None:
        self._last = time.monotonic()

    def done(self, layer: int, node: Node, values: Sequence[Any]) -> None:
        now = time.monotonic()
        self.seconds[node.stage] = self.seconds.get(node.stage, 0.0) + now - self._last
        self._last = now
        self._advance(f"layer {layer}: {node.stage}", self._weights[layer].get(node.stage, 0.0))


if __name__ == "__main__":
    run_worker(work, forbidden=FORBIDDEN)
