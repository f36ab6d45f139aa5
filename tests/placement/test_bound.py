"""Bounds: never above what a plan takes, and no use if far below it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aegis_fhe.circuits.bootstrap import presets
from aegis_fhe.placement.choose import Planning
from aegis_fhe.placement.choose.bound import total
from aegis_fhe.placement.choose.trials import FIRST
from aegis_fhe.placement.compare import Comparison
from aegis_fhe.placement.cost import Link, Network
from aegis_fhe.placement.evaluate import Machine
from aegis_fhe.placement.facts import graph_facts, nothing_seen
from aegis_fhe.placement.limb_traffic import exchanges_of_operation
from aegis_fhe.placement.limbs import LimbPlacement, rows_received
from aegis_fhe.placement.workload import Objective
from aegis_fhe.program.long.shape import Degrees, LayerShape
from aegis_fhe.program.long.shape_program import ShapeProgram

from .small_workload import small_workload

FREE = Network(link=Link(name="free", bytes_per_second=1e15, latency_seconds=0.0, share=1.0))


@pytest.mark.parametrize("devices", [2, 4])
def test_no_plan_beats_its_bound(devices: int):
    """On links that cost nothing: what is left is how evenly operators divide."""
    small = small_workload()
    machine = Machine(device=small.machine.device, network=FREE)
    workload = replace(small, devices=devices, machine=machine)
    comparison = Comparison(workload)
    planning = Planning(workload, comparison.program, comparison.seen_by)
    ratios = []
    for trials in planning._trials(lambda mesh, bound: True):
        packing, mesh = trials.packing, trials.prices.mesh
        bound = total(planning._bound(packing, mesh).values()).seconds
        ratios += [p.evaluation.timeline.seconds / bound for p in trials.best("time")]
    assert min(ratios) > 0.95  # pieces are not quite equal
    assert min(ratios) < 1.6


@pytest.mark.parametrize("objective", ["time", "bytes"])
def test_no_choice_beats_the_least_of_every_operator(objective: Objective):
    """What planning asks before it chooses and evaluates: with all operators priced, nothing costs less."""
    workload = replace(small_workload(), devices=4)
    comparison = Comparison(workload)
    planning = Planning(workload, comparison.program, comparison.seen_by)
    for trials in planning._trials(lambda mesh, bound: True):
        choices = trials._choices(FIRST)
        floors = list(choices.floors(trials.bounds))
        assert len(floors) == len(choices.runs)
        cost = choices.best(objective).cost
        assert 0 < floors[-1].seconds <= cost.seconds
        assert floors[-1].bytes <= cost.bytes
        if trials.prices.mesh.limbs == 1:  # exchanges of limbs are counted a little high or low
            assert floors[0].seconds < 1.05 * floors[-1].seconds


@pytest.mark.parametrize("placed", ["replicated", "split"])
def test_exchanges_of_counted_operations_are_those_of_the_run(placed: str):
    """But for the limb of a rescale that goes with a key switch."""
    shape = LayerShape.encoder(features=40, heads=2, hidden=72)
    degrees = Degrees(
        exponential=15, squarings=0, reciprocal=15, newton_steps=0, inverse_sqrt=15, activation=15
    )
    program = ShapeProgram.of(shape, presets.insecure(9, levels_left=14), tokens=16, degrees=degrees)
    params = program.bootstrap.params
    limbs = LimbPlacement(world_size=3, limbs=len(params.q), specials=len(params.p), placed=placed)
    facts = graph_facts(program.graph, program.context, program.symbols, nothing_seen(params, limbs))
    for rank in range(3):
        received = expected = 0.0
        for node in facts.nodes.values():
            received += sum(one.received[rank] for one in node.collectives)
            for (operation, level), times in node.counts.by_level.items():
                for moves, components in exchanges_of_operation(limbs, operation, level):
                    expected += times * components * rows_received(moves, limbs.world_size)[rank]
        assert 0.9 * received < expected <= received
