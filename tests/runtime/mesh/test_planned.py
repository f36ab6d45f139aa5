"""The planner's own plans, executed: the predicted bytes exactly, the bits of one device, memory to 5 %."""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import pytest
import torch

from aegis_fhe.circuits.bootstrap import BootstrapPlan
from aegis_fhe.placement.choose import Choices, Planning, Prices
from aegis_fhe.placement.compare import Comparison
from aegis_fhe.placement.cost import Link, Network, load_device, load_network
from aegis_fhe.placement.evaluate import Evaluation, Machine, evaluate
from aegis_fhe.placement.facts import nothing_seen
from aegis_fhe.placement.mesh import Mesh
from aegis_fhe.placement.mesh_limbs import MeshLimbs
from aegis_fhe.placement.planner import Choice
from aegis_fhe.placement.schedule import TEAM
from aegis_fhe.placement.strategies import Rendering, tokens
from aegis_fhe.placement.strategies.tokens import whole
from aegis_fhe.placement.workload import Objective, Workload
from aegis_fhe.program.long.shape_program import Packing, ShapeProgram
from runtime.encrypted_layer import TOKENS, bootstrap

from ..together import mesh_together
from .rendered import DEGREES, SHAPE, case_of

FAST = Network(link=Link(name="fast", bytes_per_second=1e15, latency_seconds=0.0, share=1.0))


@cache
def plan() -> BootstrapPlan:
    return bootstrap()


@cache
def program(block_tokens: int) -> ShapeProgram:
    packing = Packing(block_tokens=block_tokens, giant_steps=4)
    return ShapeProgram.of(SHAPE, plan(), tokens=TOKENS, packing=packing, degrees=DEGREES)


@cache
def choices(groups: int, block_tokens: int, network: Network = FAST) -> Choices:
    limbs, mesh = whole(plan().params), Mesh(tokens=groups)
    seen, team = (nothing_seen(plan().params, p) for p in (limbs, MeshLimbs(mesh, limbs).team))
    prices = Prices(program(block_tokens), mesh, limbs, load_device("a100"), network, seen, team)
    return Choices.of(prices, Packing(block_tokens=block_tokens, giant_steps=4), 2)


def check(rendering: Rendering) -> None:
    """Run by threads, each a device."""
    case = case_of(rendering)
    found = mesh_together(case.mesh, lambda c: (case.share(c), c.received()))
    for rank, (execution, received) in enumerate(found):
        assert received == case.traffic.received[rank]
        for name, value in execution.results.items():
            assert torch.equal(value.parts, case.expected(name, rank).parts)
    case.check_memory([execution for execution, _ in found])


@pytest.mark.parametrize("objective", ["time", "bytes"])
@pytest.mark.parametrize(("groups", "block_tokens"), [(3, 16), (4, 4)])
def test_plans_run_as_predicted(groups: int, block_tokens: int, objective: Objective):
    own = choices(groups, block_tokens)
    check(own.rendering(own.best(objective), objective))


def test_every_way_runs_as_predicted():
    """Each way of each operator once, the others as they are in the plan of least time."""
    own = choices(2, 4)
    for number in range(max(len(ways) for ways in own.ways)):
        options = tuple(min(number, len(ways) - 1) for ways in own.ways)
        cost = own.problem.cost(options)
        assert cost is not None
        check(own.rendering(Choice(options=options, cost=cost), f"way {number}"))


def test_statistics_share_limbs_where_links_cost_nothing():
    """What is one ciphertext keeps one device busy while others wait; over a slow link it stays there."""
    fast, slow = choices(4, 16), choices(4, 16, load_network("ethernet-100g"))
    shared = [name for name, way in fast.names(fast.best("time")).items() if "by limbs" in way]
    assert any("norm" in name for name in shared)
    rendering = fast.rendering(fast.best("time"), "")
    graph = program(16).divided(rendering.division).graph
    assert any(rendering.rule(node) is TEAM for node in graph.nodes)
    assert not any("by limbs" in way for way in slow.names(slow.best("time")).values())


def test_the_front_leads_from_the_fastest_to_the_fewest_bytes():
    own = choices(2, 4)
    points = [choice.cost for choice in own.front()]
    assert all(a.seconds < b.seconds and a.bytes > b.bytes for a, b in pairwise(points))
    assert points[0].seconds == pytest.approx(own.best("time").cost.seconds)
    assert points[-1].bytes == pytest.approx(own.best("bytes").cost.bytes)


def workload(devices: int, memory_bytes: int, network: Network) -> Workload:
    return Workload(
        shape=SHAPE,
        degrees=DEGREES,
        tokens=TOKENS,
        bootstrap=plan(),
        machine=Machine(device=load_device("a100"), network=network),
        devices=devices,
        memory_bytes=memory_bytes,
    )


@pytest.fixture
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """So few tokens are not worth a search otherwise."""
    monkeypatch.setattr(tokens, "LEAST_BLOCK_TOKENS", 4)


def planned(devices: int, memory_bytes: int, network: Network) -> list[Evaluation]:
    comparison = Comparison(workload(devices, memory_bytes, network))
    return list(Planning(comparison.workload, comparison.program, comparison.seen_by).evaluations())


@pytest.mark.usefixtures("_small_blocks")
def test_no_strategy_is_faster_than_the_plan():
    """The designs for accelerators also sum before they round, the planner does not: below 0.1 %."""
    comparison = Comparison(workload(2, 1 << 40, FAST))
    best = comparison.verdict("aegis").best.timeline.seconds
    for name in ("limb_parallel", "replicated", "tensor_parallel", "token"):
        assert best <= comparison.verdict(name).best.timeline.seconds * 1.001, name


@pytest.mark.usefixtures("_small_blocks")
def test_keys_that_do_not_fit_whole_are_shared_by_limbs():
    """On a link with latency M = 1 is faster, with whole keys on every device; less memory leaves M > 1."""
    network = load_network("a100-nvlink")
    roomy = planned(4, 1 << 40, network)
    assert min(roomy, key=lambda e: e.timeline.seconds).plan.mesh.limbs == 1
    keys = min(e.memory.keys for e in roomy if e.plan.mesh.limbs == 1)
    tight = [e for e in planned(4, keys, network) if e.memory.total <= keys]
    assert tight
    assert all(e.plan.mesh.limbs > 1 for e in tight)


@pytest.mark.usefixtures("_small_blocks")
def test_a_short_text_shares_limbs_on_a_fast_link():
    """Its hidden states are one bootstrap, which keeps one device busy: limbs are all that can be shared."""
    best = min(planned(4, 1 << 40, FAST), key=lambda e: e.timeline.seconds)
    assert best.plan.mesh.limbs == 4


def test_what_was_chosen_costs_what_was_said():
    """The additive model and the exact run differ by what overlaps between operators alone."""
    own = choices(4, 16)
    choice = own.best("time")
    prices = own.prices
    found = evaluate(
        own.rendering(choice, ""),
        prices.program,
        Machine(device=prices.device, network=prices.network),
        prices.seen,
        prices.team_seen,
    )
    assert found.timeline.seconds == pytest.approx(choice.cost.seconds, rel=0.1)
    assert found.traffic.most <= choice.cost.bytes
