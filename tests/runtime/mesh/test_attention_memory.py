"""How memory of attention grows with the text: measured in the arenas of devices that run it encrypted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pytest

from aegis_fhe.circuits.symbolic import Symbol, SymbolicBackend
from aegis_fhe.ckks import EvaluationKeys, Parameters, SlotVector, presets
from aegis_fhe.ckks.secret import SecretKey, encrypt, evaluation_keys
from aegis_fhe.placement.limbs import LimbPlacement
from aegis_fhe.placement.mesh import Mesh
from aegis_fhe.placement.prediction import Prediction, device_memories, predict
from aegis_fhe.placement.schedule import Assignment
from aegis_fhe.placement.shape_memory import DeviceMemory
from aegis_fhe.program.graph import Graph
from aegis_fhe.program.interpret import run_graph
from aegis_fhe.program.long.context import GridContext
from aegis_fhe.program.long.divide import Division, divide, part_of
from aegis_fhe.program.long.grid_builder import GridBuilder
from aegis_fhe.program.long.group_graph import GroupGraph
from aegis_fhe.program.long.shape import Degrees, LayerRanges, LayerShape
from aegis_fhe.program.long.shape_program import Ones, Packing, plan_layer
from aegis_fhe.program.operators import Input
from aegis_fhe.ring import native
from aegis_fhe.runtime.mesh import MeshCommunicators, MeshDevice, MeshProgram

from ..together import mesh_together

SHAPE = LayerShape.encoder(features=2, heads=1, hidden=2)
DEGREES = Degrees(exponential=1, squarings=0, reciprocal=1, newton_steps=0, inverse_sqrt=3, activation=3)
LOG_DEGREE, BLOCK_TOKENS = 11, 64
TEXTS = (256, 512, 1024)


@dataclass(frozen=True)
class Variant:
    """An attention on Q, K and V. most_scores: as `LayerPlan`. levels: of its inputs, which it uses up."""

    levels: int
    rounds: int = 0
    most_scores: int | None = 0
    division: Division | None = None
    devices: int = 1

    @property
    def params(self) -> Parameters:
        return presets.insecure(LOG_DEGREE, self.levels, digit_size=10)

    def graph(self, tokens: int) -> Graph:
        """The nodes that a layer has for it."""
        plan = plan_layer(
            SHAPE,
            slots=1 << (LOG_DEGREE - 1),
            tokens=tokens,
            ranges=LayerRanges.assumed(self.rounds),
            degrees=replace(DEGREES, rounds=((1, 0),) * self.rounds),
            packing=Packing(block_tokens=BLOCK_TOKENS),
        )
        builder, columns = GridBuilder(frozenset()), range(SHAPE.head_dim)
        builder.stage = "input"
        qkv = (
            [
                tuple(builder.one(f"{role}.{c}", Input(self.levels), p) for c in columns)
                for p in range(plan.layout.blocks)
            ]
            for role in "qkv"
        )
        plan = replace(plan, most_scores=self.most_scores)
        divided = GroupGraph(plan, builder, 0).attended(*qkv)
        graph = builder.build(tuple(name for grid in divided for name in grid))
        return graph if self.division is None else divide(graph, self.division)


# What one device runs by default; what devices share; and both ways of a round of normalise-and-square.
STREAMING = {
    "single": Variant(levels=5),
    "windows": Variant(levels=5, division=Division(giants=2, babies=True, chunks=4, parts=2), devices=2),
    "made again": Variant(levels=9, rounds=1),
}
RESIDENT = Variant(levels=9, rounds=1, most_scores=None)


@dataclass(frozen=True)
class Run:
    """One variant on one text, its nodes on devices by the numbers of their parts."""

    variant: Variant
    tokens: int

    @cached_property
    def graph(self) -> Graph:
        return self.variant.graph(self.tokens)

    @cached_property
    def params(self) -> Parameters:
        return self.variant.params

    @property
    def context(self) -> GridContext:
        return GridContext(constants=Ones(), scale=self.params.scale, tokens=self.tokens)

    @property
    def inputs(self) -> dict[str, Symbol]:
        names = (node.outputs[0] for node in self.graph.nodes if isinstance(node.operator, Input))
        return dict.fromkeys(names, Symbol(self.variant.levels, self.params.scale))

    @property
    def limbs(self) -> LimbPlacement:
        return LimbPlacement(world_size=1, limbs=len(self.params.q), specials=len(self.params.p))

    @cached_property
    def predicted(self) -> Prediction:
        mesh = Mesh(tokens=self.variant.devices)
        where = {node.name: (part_of(node) % mesh.tokens,) for node in self.graph.nodes}
        assignment = Assignment(mesh=mesh, where=where)
        return predict(self.graph, self.context, self.inputs, self.params, assignment, self.limbs)

    def memories(self) -> list[DeviceMemory]:
        """Of every device, predicted."""
        plan, context = self.predicted.plan, self.context
        return device_memories(self.graph, context, self.inputs, self.params, plan, self.limbs)

    def measured(self) -> list[DeviceMemory]:
        """Of every device, each with an arena of its own."""
        params, context, names = self.params, self.context, self.inputs
        counted = SymbolicBackend(params.q, params.slots)
        run_graph(self.graph, counted, self.inputs, context)
        secret = SecretKey.generate(params, seed=b"attention")
        requests = counted.counts.key_requests()
        keys = EvaluationKeys.collect(params, evaluation_keys(secret, requests, seed=b"keys"))
        values = SlotVector(np.full(params.slots, 0.1))
        x = encrypt(secret, values, level=self.variant.levels, seed=b"values")
        facts, plan = self.predicted.facts, self.predicted.plan
        program = MeshProgram(schedule=plan, limbs=self.limbs, facts=facts, results=self.graph.results)

        def body(communicators: MeshCommunicators) -> DeviceMemory:
            own = Parameters.from_dict(params.to_dict())
            device = MeshDevice(program, own, keys, communicators)
            inputs = {name: x.expand(own) for name in names if device.reads(name)}
            return device.run(inputs, context).held

        return mesh_together(plan.mesh, body)


def peaks(variant: Variant) -> list[int]:
    """Bytes besides keys on the fullest device, by text; those of every device are as predicted, to 5 %."""
    found = []
    for tokens in TEXTS:
        run = Run(variant, tokens)
        measured = run.measured()
        for own, predicted in zip(measured, run.memories(), strict=True):
            assert own.by_kind() == pytest.approx(predicted.by_kind(), rel=0.05, abs=0.005 * own.total)
        most = max(measured, key=lambda held: held.total)
        assert most.total == pytest.approx(run.predicted.memory.total, rel=0.05)
        found.append(most.total - most.keys)
    return found


def above_middle(peaks: list[int]) -> float:
    """By how much the line through the ends lies above the middle point, over that point."""
    first, middle, last = np.array(peaks, dtype=float)
    line = np.interp(TEXTS[1], [TEXTS[0], TEXTS[2]], [first, last])
    return float(line / middle - 1)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Threads cost more than they bring on a ring as small as this."""
    before = native.get_threads()
    native.set_threads(1)
    yield
    native.set_threads(before)


@pytest.mark.parametrize("name", STREAMING)
def test_memory_grows_linearly_where_scores_stream(name: str):
    """256, 512 and 1024 tokens in 4, 8 and 16 blocks: measured peaks lie on a line, to 2 %."""
    found = peaks(STREAMING[name])
    assert found == sorted(found)
    assert abs(above_middle(found)) < 0.02


def test_memory_grows_quadratically_where_scores_stay():
    """What does not stream is a round of normalise-and-square whose scores stay from one pass to the next.

    It is the program of "made again" but for `most_scores`. `single`, the strategy of one device, is no
    such program here: it streams, and is among those above. Twice the text has four times the scores: from
    512 to 1024 tokens memory grows by more than three times what it grew from 256 to 512, where a line grows
    by twice as much.
    """
    first, middle, last = found = peaks(RESIDENT)
    assert above_middle(found) > 0.2
    assert (last - middle) / (middle - first) > 3.0
