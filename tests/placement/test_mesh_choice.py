"""Where the planner lets devices share limbs, and why: real parameters and the counts of BERT-base."""

from __future__ import annotations

from functools import cache

import pytest

from aegis_fhe.circuits.bootstrap import presets
from aegis_fhe.placement.choose import Planning
from aegis_fhe.placement.choose.trials import FIRST
from aegis_fhe.placement.compare import Comparison
from aegis_fhe.placement.cost import load_device, load_network
from aegis_fhe.placement.evaluate import Evaluation, Machine
from aegis_fhe.placement.mesh import Mesh
from aegis_fhe.placement.model_shapes import MODELS
from aegis_fhe.placement.workload import Workload

GIB = 1 << 30
SHORT = 128
SHORTER = 64


def workload(memory: int, device: str, link: str, *, tokens: int) -> Workload:
    model = MODELS["bert-base"]
    return Workload(
        shape=model.layer,
        degrees=model.degrees,
        tokens=tokens,
        bootstrap=presets.n16(),
        machine=Machine(device=load_device(device), network=load_network(link)),
        devices=4,
        memory_bytes=memory,
    )


@cache
def planned(memory: int, link: str, tokens: int = SHORT) -> tuple[Comparison, tuple[Evaluation, ...]]:
    """One short text on four A100s: all that the planner evaluated."""
    comparison = Comparison(workload(memory, "a100", link, tokens=tokens))
    planning = Planning(comparison.workload, comparison.program, comparison.seen_by)
    return comparison, tuple(planning.evaluations())


def best(memory: int, link: str, tokens: int = SHORT) -> Evaluation:
    comparison, found = planned(memory, link, tokens)
    return min((e for e in found if e.memory.total <= memory), key=comparison.cost)


def of_whole_ciphertexts(memory: int, link: str, tokens: int = SHORT) -> list[Evaluation]:
    return [e for e in planned(memory, link, tokens)[1] if e.plan.mesh.limbs == 1]


def test_keys_that_do_not_fit_whole_are_shared():
    """With 8 GiB a device: no plan of whole ciphertexts has room for anything but its keys."""
    chosen = best(8 * GIB, "a100-nvlink")
    assert chosen.plan.mesh == Mesh(tokens=1, limbs=4)
    assert chosen.memory.keys < 3 * GIB
    others = of_whole_ciphertexts(8 * GIB, "a100-nvlink")
    assert others
    assert min(e.memory.keys for e in others) > 6 * GIB
    assert all(e.memory.total > 8 * GIB for e in others)


def test_a_short_text_has_too_few_ciphertexts_for_four_devices():
    """With memory for everything: two ciphertexts in, which two groups divide evenly and four do not."""
    chosen = best(80 * GIB, "a100-nvlink", SHORTER)
    assert chosen.plan.mesh == Mesh(tokens=2, limbs=2)
    others = of_whole_ciphertexts(80 * GIB, "a100-nvlink", SHORTER)
    assert all(e.memory.total <= 80 * GIB for e in others)
    assert all(e.timeline.seconds > chosen.timeline.seconds for e in others)
    # What all four groups compute alike, or one while others wait, weighs more than exchanges of limbs.
    busiest = min(others, key=lambda e: e.timeline.seconds)
    assert sum(busiest.timeline.busy.values()) > sum(chosen.timeline.busy.values())
    assert sum(chosen.timeline.exposed.values()) > sum(busiest.timeline.exposed.values())


def test_over_a_slow_link_ciphertexts_stay_whole():
    """Exchanges of limbs inside every key switch would take longer than they save."""
    assert best(80 * GIB, "ethernet-100g").plan.mesh == Mesh(tokens=4)


@pytest.mark.parametrize(("link", "shared"), [("h200-nvlink", True), ("ethernet-100g", False)])
def test_statistics_of_a_norm_are_shared_where_the_link_is_fast_enough(link: str, shared: bool):
    """They are one ciphertext: one device computes them while three wait, or all, each its limbs."""
    comparison = Comparison(workload(80 * GIB, "h200", link, tokens=1024))
    planning = Planning(comparison.workload, comparison.program, comparison.seen_by)
    trials = next(planning._trials(lambda mesh, bound: mesh == Mesh(tokens=4)))
    choices = trials._choices(FIRST)
    ways = choices.names(choices.best("time"))
    statistics = {run: way for run, way in ways.items() if "variance" in run or "norm" in run}
    assert any("by limbs" in way for way in statistics.values()) is shared
