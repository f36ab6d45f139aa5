"""Renderings of a small layer on two devices, from strategies and from the planner, as files hold them."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from aegis_fhe.circuits.bootstrap import presets
from aegis_fhe.placement.choose import Choices, Prices
from aegis_fhe.placement.compare import Comparison
from aegis_fhe.placement.evaluate import Evaluation, evaluate
from aegis_fhe.placement.facts import nothing_seen
from aegis_fhe.placement.mesh import Mesh
from aegis_fhe.placement.mesh_limbs import MeshLimbs
from aegis_fhe.placement.plan_file import StoredPlan, plan_document, read_plan_file
from aegis_fhe.placement.plan_storing import stored_plan
from aegis_fhe.placement.planned_layer import PlannedLayer
from aegis_fhe.placement.planner import Choice
from aegis_fhe.placement.report import plan_facts
from aegis_fhe.placement.strategies.tokens import whole
from aegis_fhe.placement.workload import Workload
from aegis_fhe.program.long.shape_program import Packing

from .small_workload import small_workload

MODEL = "small"


@cache
def workload() -> Workload:
    return small_workload(bootstrap=presets.tiny(10))


@cache
def comparison() -> Comparison:
    return Comparison(workload())


def layer(devices: int = 2) -> PlannedLayer:
    w = workload()
    return PlannedLayer(
        model=MODEL,
        shape=w.shape,
        degrees=w.degrees,
        tokens=w.tokens,
        devices=devices,
        bootstrap=w.bootstrap,
    )


def of_strategies() -> Iterator[Evaluation]:
    """Every rendering of every strategy."""
    found = comparison()
    for renderings in found.strategies().values():
        for one in renderings():
            yield evaluate(one, found.program(one.packing), workload().machine)


def of_planner(count: int, seed: int = 1) -> Iterator[Evaluation]:
    """Ways drawn at random for every operator, in two blocks and in four; some are of the team."""
    rng, machine = random.Random(seed), workload().machine
    for size in (32, 16):
        packing, limbs, mesh = Packing(block_tokens=size), whole(workload().bootstrap.params), Mesh(tokens=2)
        program, params = comparison().program(packing), workload().bootstrap.params
        seen, team = (nothing_seen(params, p) for p in (limbs, MeshLimbs(mesh, limbs).team))
        prices = Prices(program, mesh, limbs, machine.device, machine.network, seen, team)
        own = Choices.of(prices, packing, chunks=2)
        for number in range(count):
            options = tuple(rng.randrange(len(ways)) for ways in own.ways)
            cost = own.problem.cost(options)
            assert cost is not None
            rendering = own.rendering(Choice(options=options, cost=cost), f"drawn {number}")
            yield evaluate(rendering, program, machine, seen, team)


@cache
def figures() -> dict[str, Any]:
    """Of some plan: nothing reads them."""
    verdict = comparison().verdict("single")
    return plan_facts(MODEL, 1, workload(), {"single": verdict}, comparison().one_device)


def written(found: Evaluation, path: Path) -> StoredPlan:
    """Through a file."""
    path.write_text(plan_document(figures(), {"single": stored_plan(layer(), found)}))
    return read_plan_file(path).plan()


def document(path: Path) -> dict[str, Any]:
    """A file with the planner's plan of least time, as plain data."""
    best = comparison().verdict("aegis").best
    written(best, path)
    found: dict[str, Any] = json.loads(path.read_text())
    return found
