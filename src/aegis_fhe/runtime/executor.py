"""Runs one device's share of a plan; a single device is world size 1 of the same code."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import torch

from aegis_fhe.ckks.ciphertext import Ciphertext
from aegis_fhe.ckks.evaluator import Evaluator
from aegis_fhe.placement.plan import Plan, ValueTransfer
from aegis_fhe.program.compiled import CompiledProgram
from aegis_fhe.program.interpret import release, run_node, uses
from aegis_fhe.runtime.collectives import Communicator
from aegis_fhe.runtime.gpus import finish
from aegis_fhe.runtime.transfers import Transfer


@dataclass
class Execution:
    """What a device made: its results, and its seconds in each stage (waiting for others included)."""

    results: dict[str, Ciphertext] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)


def execute(
    program: CompiledProgram,
    plan: Plan,
    communicator: Communicator,
    evaluator: Evaluator,
    inputs: Mapping[str, Ciphertext],
    *,
    tokens: int,
    runs: int = 1,
    advance: Callable[[str, float], None] = lambda node, weight: None,
) -> Execution:
    """Computes the blocks of this rank.

    inputs: fresh ciphertexts of its blocks. tokens: length of the text (public). runs: how many runs of the
    plan the communicator has seen, this one included. Its ledger is checked against the plan: a byte more or
    less raises LedgerError.
    """
    rank = communicator.rank
    context = program.context(tokens)
    mine = plan.nodes_of(rank)
    left = _uses(program, plan, rank)
    weights = {name: counts.ntts(program.params) for name, counts in program.node_counts().items()}
    values: dict[str, Ciphertext] = dict(inputs)
    execution = Execution()
    for stage in plan.stages:
        start = time.monotonic()
        if stage.transfers:
            _exchange(stage.name, stage.transfers, communicator, values, left)
        for node in stage.nodes:
            if plan.owner[node.block] != rank:
                continue
            run_node(node, evaluator, values, context)
            release(node, left, values)
            finish(communicator.device)
            advance(stage.name, weights[node.name])
        execution.seconds[stage.name] = execution.seconds.get(stage.name, 0.0) + time.monotonic() - start
    communicator.ledger.check(plan.received_bytes(rank) * runs)
    made = {value for node in mine for value in node.outputs}
    execution.results = {name: values[name] for name in program.graph.results if name in made}
    return execution


def share_of(program: CompiledProgram, plan: Plan, rank: int) -> float:
    """Total progress weight of a rank."""
    counts = program.node_counts()
    return sum(counts[node.name].ntts(program.params) for node in plan.nodes_of(rank))


def _uses(program: CompiledProgram, plan: Plan, rank: int) -> Counter[str]:
    """Uses by this rank's nodes, by results, and by transfers that leave it."""
    left = uses(plan.nodes_of(rank), program.graph.results)
    left.update(t.value for stage in plan.stages for t in stage.transfers if t.source == rank)
    return left


def _exchange(
    name: str,
    transfers: Iterable[ValueTransfer],
    communicator: Communicator,
    values: dict[str, Ciphertext],
    left: Counter[str],
) -> None:
    """Sends and receives whole ciphertexts; scales travel with the plan, and are checked where they leave."""
    rank = communicator.rank
    ordered = list(transfers)
    index = {value: i for i, value in enumerate(dict.fromkeys(t.value for t in ordered))}
    owned: dict[int, torch.Tensor] = {}
    for t in ordered:
        if t.source != rank:
            continue
        value = values[t.value]
        assert tuple(value.parts.shape) == t.shape, t.value
        assert value.scale == t.scale, f"{t.value}: scale {value.scale} differs from the plan's {t.scale}"
        owned[index[t.value]] = value.parts.contiguous()  # a copy only of a view of fewer limbs
    moves = [
        Transfer(index=index[t.value], source=t.source, destination=t.destination, shape=t.shape)
        for t in ordered
    ]
    received = communicator.exchange(name, owned, moves)
    for t in ordered:
        if t.destination == rank:
            values[t.value] = Ciphertext(parts=received[index[t.value]], scale=t.scale)
        if t.source == rank:
            left[t.value] -= 1
            if left[t.value] == 0:
                values.pop(t.value, None)
