"""The executor computes its device's share of the plan, no more, and holds its ledger against the plan."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
import torch

from aegis_fhe.ckks import Ciphertext, EvaluationKeys, Evaluator, SlotVector
from aegis_fhe.ckks.secret import SecretKey, encrypt, evaluation_keys
from aegis_fhe.errors import AegisError, RangeError
from aegis_fhe.placement.plan import Plan, plan_tokens
from aegis_fhe.program import CompiledProgram
from aegis_fhe.program.graph import Node
from aegis_fhe.program.interpret import run_graph
from aegis_fhe.runtime import executor
from aegis_fhe.runtime.collectives import Communicator
from aegis_fhe.runtime.executor import Execution, execute, share_of
from aegis_fhe.runtime.ledger import Entry, LedgerError
from aegis_fhe.runtime.memory_estimate import estimate_memory
from aegis_fhe.runtime.transfers import Transfer
from program.tiny import tiny_program

TOKENS = 13


@dataclass(frozen=True)
class Run:
    """The tiny program, its ciphertexts, and every value that a plain run of the graph makes."""

    program: CompiledProgram
    evaluator: Evaluator
    inputs: dict[str, Ciphertext]
    values: dict[str, Ciphertext]

    def on(self, communicator: Communicator, plan: Plan, **options: object) -> Execution:
        """One rank of `plan`, with the inputs of its blocks only."""
        names = zip(self.program.input_names(), plan.owner, strict=True)
        mine = {name: self.inputs[name] for name, owner in names if owner == communicator.rank}
        return execute(
            self.program, plan, communicator, self.evaluator, mine, **{"tokens": TOKENS, **options}
        )


@pytest.fixture(scope="module")
def run() -> Run:
    _, hidden, program = tiny_program(16, 10)
    params = program.params
    secret = SecretKey.generate(params)
    evaluator = Evaluator(
        params, EvaluationKeys.collect(params, evaluation_keys(secret, program.key_requests()))
    )
    packed = zip(program.input_names(), program.pack(hidden[:TOKENS]), strict=True)
    inputs = {name: encrypt(secret, SlotVector(v)).expand(params) for name, v in packed}
    values: dict[str, Ciphertext] = {}
    run_graph(
        program.graph,
        evaluator,
        inputs,
        program.context(TOKENS),
        observe=lambda node, made: values.update(zip(node.outputs, made, strict=True)),
    )
    return Run(program, evaluator, inputs, values)


class Recorded(Communicator):
    """One rank of two; its peer has sent what a plain run made, and what it sends itself is only noted."""

    def __init__(self, run: Run, plan: Plan, rank: int) -> None:
        super().__init__(rank=rank, world_size=2, group=object())  # type: ignore[arg-type]
        self.run, self.plan = run, plan
        self.sent: dict[str, torch.Tensor] = {}

    def exchange(
        self, node: str, owned: dict[int, torch.Tensor], transfers: list[Transfer]
    ) -> dict[int, torch.Tensor]:
        """As `Communicator.exchange`; values by their number in the stage's transfers."""
        (stage,) = [stage for stage in self.plan.stages if stage.name == node]
        names = list(dict.fromkeys(t.value for t in stage.transfers))
        received = {
            t.index: self.run.values[names[t.index]].parts for t in transfers if t.destination == self.rank
        }
        out = [t for t in transfers if t.source == self.rank]
        self.sent.update({names[t.index]: owned[t.index] for t in out})
        self.ledger.add(
            Entry(
                node=node,
                operation="exchange",
                axis=self.axis,
                bytes_received=sum(block.nbytes for block in received.values()),
                bytes_sent=sum(owned[t.index].nbytes for t in out),
                start=0.0,
                end=0.0,
                rank=self.rank,
            )
        )
        return received


def equal(x: Ciphertext, y: Ciphertext) -> bool:
    return x.scale == y.scale and torch.equal(x.parts, y.parts)


def test_one_device_computes_all_results(run: Run) -> None:
    plan = plan_tokens(run.program, 1)
    told: list[tuple[str, float]] = []
    communicator = Communicator()
    execution = run.on(communicator, plan, advance=lambda *event: told.append(event))
    assert list(execution.results) == list(run.program.graph.results)
    assert all(equal(result, run.values[name]) for name, result in execution.results.items())
    assert communicator.ledger.bytes_received == 0
    assert [stage for stage, _ in told] == [node.stage for node in run.program.graph.nodes]
    assert sum(weight for _, weight in told) == pytest.approx(share_of(run.program, plan, 0))
    assert list(execution.seconds) == list(dict.fromkeys(node.stage for node in run.program.graph.nodes))


@pytest.mark.parametrize("rank", [0, 1])
def test_each_device_computes_and_sends_its_own_share(rank: int, run: Run) -> None:
    plan = plan_tokens(run.program, 2)
    communicator = Recorded(run, plan, rank)
    told: list[float] = []
    execution = run.on(communicator, plan, advance=lambda stage, weight: told.append(weight))
    blocks = [name for block, name in enumerate(run.program.graph.results) if plan.owner[block] == rank]
    assert list(execution.results) == blocks
    assert all(equal(execution.results[name], run.values[name]) for name in blocks)
    leaving = {t.value for stage in plan.stages for t in stage.transfers if t.source == rank}
    assert leaving
    assert set(communicator.sent) == leaving
    assert all(torch.equal(parts, run.values[name].parts) for name, parts in communicator.sent.items())
    assert communicator.ledger.by_node() == dict(plan.received_bytes(rank))
    assert len(told) == len(plan.nodes_of(rank))
    assert sum(told) == pytest.approx(share_of(run.program, plan, rank))


def test_shares_add_up(run: Run) -> None:
    whole = share_of(run.program, plan_tokens(run.program, 1), 0)
    plan = plan_tokens(run.program, 2)
    assert share_of(run.program, plan, 0) + share_of(run.program, plan, 1) == pytest.approx(whole)
    assert min(share_of(run.program, plan, rank) for rank in (0, 1)) > 0.3 * whole


class Padded(Recorded):
    """Counts one byte more than the plan."""

    def exchange(
        self, node: str, owned: dict[int, torch.Tensor], transfers: list[Transfer]
    ) -> dict[int, torch.Tensor]:
        received = super().exchange(node, owned, transfers)
        self.ledger.entries[-1] = replace(
            self.ledger.entries[-1], bytes_received=self.ledger.entries[-1].bytes_received + 1
        )
        return received


@pytest.fixture
def replay(run: Run, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Ciphertext]]:
    """Nodes take their values from the plain run, at no cost; the values held after each node."""
    held: list[dict[str, Ciphertext]] = []

    def running(node: Node, backend: object, values: dict[str, Ciphertext], context: object) -> None:
        values.update({name: run.values[name] for name in node.outputs})
        held.append(dict(values))

    monkeypatch.setattr(executor, "run_node", running)
    return held


def test_one_byte_more_than_planned_is_an_error(run: Run, replay: list[dict[str, Ciphertext]]) -> None:
    plan = plan_tokens(run.program, 2)
    run.on(Recorded(run, plan, 0), plan)
    with pytest.raises(LedgerError, match="exchange: predicted"):
        run.on(Padded(run, plan, 0), plan)


def test_a_value_of_another_scale_does_not_leave(run: Run) -> None:
    plan = plan_tokens(run.program, 2)
    stages = [
        replace(stage, transfers=tuple(replace(t, scale=t.scale * 2) for t in stage.transfers))
        for stage in plan.stages
    ]
    with pytest.raises(AssertionError, match="differs from the plan's"):
        run.on(Recorded(run, plan, 0), replace(plan, stages=tuple(stages)))


def test_a_missing_input_is_named(run: Run) -> None:
    plan = plan_tokens(run.program, 1)
    with pytest.raises(AegisError, match=r"node x\[1\]: the input of token block 1 was not given"):
        execute(run.program, plan, Communicator(), run.evaluator, {"x[0]": run.inputs["x[0]"]}, tokens=TOKENS)


def test_a_text_that_is_too_long_is_refused_before_any_node(run: Run) -> None:
    with pytest.raises(RangeError, match="compiled for 1 to 16"):
        execute(run.program, plan_tokens(run.program, 1), Communicator(), run.evaluator, {}, tokens=17)


@pytest.mark.parametrize("world_size", [1, 2])
def test_values_are_released_after_their_last_use(
    world_size: int, run: Run, replay: list[dict[str, Ciphertext]]
) -> None:
    """A fraction of all values is held at a time, and never more bytes than the estimate of memory allows."""
    plan = plan_tokens(run.program, world_size)
    run.on(Communicator() if world_size == 1 else Recorded(run, plan, 0), plan)
    fullest = max(sum(value.size_bytes for value in values.values()) for values in replay)
    everything = sum(value.size_bytes for value in run.values.values())
    assert everything / 20 < fullest < everything / 3
    estimate = estimate_memory(run.program, plan, 0)
    assert fullest <= estimate.arena_bytes
