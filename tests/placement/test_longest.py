"""The longest text that fits: least memory is that of a whole evaluation, and no plan takes less."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aegis_fhe.errors import AegisError
from aegis_fhe.placement.choose import Planning
from aegis_fhe.placement.compare import AEGIS, Comparison
from aegis_fhe.placement.evaluate import evaluate
from aegis_fhe.placement.longest import Lengths, lengths_up_to
from aegis_fhe.placement.peak_memory import peak_memory
from aegis_fhe.program.long.attention import StreamingAttention

from .small_workload import PLENTY, small_workload

TRIED = (64, 96, 128, 192)


@pytest.fixture(scope="module")
def lengths() -> Lengths:
    return Lengths(small_workload(), TRIED)


@pytest.mark.parametrize("name", ["single", "limb_parallel", "replicated", "tensor_parallel", "token"])
@pytest.mark.parametrize("most", [None, 1])
@pytest.mark.parametrize("tokens", [64, 96])
def test_three_giant_steps_hold_what_all_do(name: str, most: int | None, tokens: int):
    """Part by part, in every packing; in texts that fill their blocks and in one that does not."""
    comparison = Comparison(small_workload(tokens=tokens))
    steps = set[int]()
    for rendering in comparison.strategies()[name]():
        one = rendering.with_babies(most)
        program = comparison.program(one.packing)
        whole = evaluate(one, program, comparison.workload.machine)
        assert peak_memory(one, program) == whole.memory
        operators = (node.operator for node in whole.plan.nodes_of(0))
        steps.update(len(x.giant_steps) for x in operators if isinstance(x, StreamingAttention))
    assert most is None or max(steps) > 3


@pytest.mark.parametrize("devices", [1, 2, 4])
def test_no_evaluation_takes_less(lengths: Lengths, devices: int):
    """With memory for everything and with none, where planners take the leanest that they know."""
    names = Comparison(small_workload(devices=devices)).names
    for limit, name in ((limit, name) for limit in (PLENTY, 0) for name in names):
        least = lengths.least(name, devices, 128)
        assert least is not None
        comparison = Comparison(small_workload(tokens=128, devices=devices, memory_bytes=limit))
        assert least.memory.total <= comparison.verdict(name).best.memory.total


@pytest.mark.parametrize("devices", [1, 2, 4])
def test_no_choice_of_ways_takes_less_than_sharing_all_limbs(lengths: Lengths, devices: int):
    """Every mesh and packing, in 1, 8 and 32 chunks, of least time and of least bytes."""
    workload = small_workload(devices=devices)
    comparison, least = Comparison(workload), lengths.least(AEGIS, devices, 64)
    planning = Planning(workload, comparison.program, comparison.seen_by)
    found = [
        trials._plan(chunks, trials._choices(chunks).best(objective)).evaluation.memory.total
        for trials in planning._trials(lambda mesh, bound: True)
        for chunks in (1, 8, 32)
        for objective in ("time", "bytes")
    ]
    assert least is not None
    assert least.memory.total <= min(found)


@pytest.mark.parametrize("name", ["single", "token", AEGIS])
def test_the_found_length_fits_and_longer_ones_do_not(lengths: Lengths, name: str):
    needed = {n: lengths.least(name, 2, n) for n in TRIED}
    for tokens, one in needed.items():
        assert one is not None
        limit = one.memory.total
        found = lengths.longest(name, 2, limit)
        assert found is not None
        assert found >= tokens
        assert all(x is not None and x.memory.total > limit for n, x in needed.items() if n > found)
        assert Comparison(small_workload(tokens=found, memory_bytes=limit)).verdict(name).fits
    assert lengths.longest(name, 2, 1) is None


@pytest.mark.parametrize("devices", [1, 2, 4])
def test_no_strategy_takes_longer_texts_than_the_planner(lengths: Lengths, devices: int):
    names = Comparison(small_workload(devices=devices)).names
    limits = {x.memory.total for n in TRIED for s in names if (x := lengths.least(s, devices, n))}
    for limit in limits:
        own = lengths.longest(AEGIS, devices, limit) or 0
        assert all((lengths.longest(name, devices, limit) or 0) <= own for name in names)


def test_a_strategy_without_a_rendering_fits_nothing(lengths: Lengths):
    """64 tokens have two blocks of 32, not four."""
    assert lengths.least("token", 4, 64) is None


def test_a_plan_under_the_tightest_limit_shares_limbs(lengths: Lengths):
    least = lengths.least(AEGIS, 2, 64)
    assert least is not None
    tight = small_workload(memory_bytes=least.memory.total)
    found = Comparison(tight).verdict(AEGIS)
    assert found.fits
    assert found.best.rendering.limbs.world_size == 2
    front = Comparison(tight).front()
    assert front
    assert all(len(one.ways) > 10 for one in front)
    assert not Comparison(replace(tight, memory_bytes=least.memory.total - 1)).verdict(AEGIS).fits


def test_lengths_are_powers_of_two_and_three_halves_of_them():
    assert lengths_up_to(600) == (128, 192, 256, 384, 512)
    assert lengths_up_to(768)[-1] == 768
    with pytest.raises(AegisError, match="at least 128"):
        lengths_up_to(127)
