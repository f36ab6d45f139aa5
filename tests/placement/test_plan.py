"""Token placement: exactly the transfers that a formula predicts, and one result on any number of devices."""

from __future__ import annotations

import numpy as np
import pytest

from aegis_fhe.errors import AegisError
from aegis_fhe.placement.plan import Plan, plan_tokens
from aegis_fhe.program import CompiledProgram
from aegis_fhe.program.clear import ClearBackend, ClearValue
from aegis_fhe.program.interpret import run_node
from program.tiny import reference, tiny_program

WORLDS = [1, 2, 3, 4]


@pytest.fixture(scope="module")
def program() -> CompiledProgram:
    """Four token blocks, two key groups of two zones, one anchored head."""
    program = tiny_program(32, 10)[2]
    assert (program.blocks, program.layout.zones) == (4, 2)
    return program


def blocks_of(plan: Plan, rank: int) -> list[int]:
    return [block for block, owner in enumerate(plan.owner) if owner == rank]


def ciphertext_bytes(program: CompiledProgram, level: int) -> int:
    """Two components, level + 1 limbs, N residues of 8 bytes."""
    return 2 * (level + 1) * program.params.degree * 8


@pytest.mark.parametrize("world", WORLDS)
def test_shares_are_contiguous_and_even(program, world):
    owner = plan_tokens(program, world).owner
    assert list(owner) == sorted(owner)
    sizes = [owner.count(rank) for rank in range(world)]
    assert sum(sizes) == 4
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("world", WORLDS)
def test_exactly_the_expected_values_move(program, world):
    """To each device: keys and values of every foreign block, the moved key of the block before its first.

    Their owner sheared them and put them into their places; values of odd blocks come out of the shear there.
    """
    plan = plan_tokens(program, world)
    expected = set()
    for rank in range(world):
        mine = blocks_of(plan, rank)
        for block in set(range(4)) - set(mine):
            for name in ("keys.placed", "values.sheared" if block % 2 else "values.placed"):
                expected.add((f"{name}[{block}]", plan.owner[block], rank))
        if mine[0] > 0:
            expected.add((f"k.moved[{mine[0] - 1}]", plan.owner[mine[0] - 1], rank))
    transfers = [t for stage in plan.stages for t in stage.transfers]
    assert {(t.value, t.source, t.destination) for t in transfers} == expected
    assert len(transfers) == len(expected)


@pytest.mark.parametrize("world", WORLDS)
def test_bytes_follow_from_the_formula(program, world):
    """2 (level + 1) N 8 bytes each: keys and values two levels below the input, moved keys one."""
    plan, top = plan_tokens(program, world), program.params.max_level
    total = 0
    for rank in range(world):
        foreign = 4 - len(blocks_of(plan, rank))
        expected = 2 * foreign * ciphertext_bytes(program, top - 2)
        expected += ciphertext_bytes(program, top - 1) if rank else 0
        assert sum(size for _, size in plan.received_bytes(rank)) == expected
        total += expected
    assert plan.bytes_between_devices() == total
    assert (total == 0) == (world == 1)


@pytest.mark.parametrize("world", WORLDS)
def test_transfers_carry_the_verified_shape_and_scale(program, world):
    symbols = program.symbols()
    for stage in plan_tokens(program, world).stages:
        for transfer in stage.transfers:
            symbol = symbols[transfer.value]
            assert transfer.shape == (2, symbol.level + 1, program.params.degree)
            assert transfer.scale == symbol.scale


def test_one_exchange_is_enough(program):
    """All transfers happen before one stage; nothing else waits for another device."""
    for world in (2, 3, 4):
        stages = plan_tokens(program, world).stages
        assert [stage.name for stage in stages if stage.transfers] == ["exchange"]
        received = plan_tokens(program, world).received_bytes(0)
        assert [name for name, _ in received] == ["exchange"]


def test_every_node_has_one_device_and_keeps_its_order(program):
    for world in WORLDS:
        plan = plan_tokens(program, world)
        shares = [plan.nodes_of(rank) for rank in range(world)]
        assert sorted(node.name for share in shares for node in share) == sorted(
            node.name for node in program.graph.nodes
        )
        position = {node.name: i for i, node in enumerate(program.graph.nodes)}
        for share in shares:
            assert [position[node.name] for node in share] == sorted(position[node.name] for node in share)


@pytest.mark.parametrize("world", [0, -1, 5])
def test_impossible_worlds_are_refused(program, world):
    with pytest.raises(AegisError, match=rf"4 token blocks cannot be shared by {world} devices: use 1 to 4"):
        plan_tokens(program, world)


def run_on_devices(program: CompiledProgram, world: int, hidden: np.ndarray) -> np.ndarray:
    """Each device sees its inputs, what it makes, and what the plan sends it; nothing else."""
    plan, params = plan_tokens(program, world), program.params
    backend, context = ClearBackend(params.q, params.slots), program.context(len(hidden))
    memory: list[dict[str, ClearValue]] = [{} for _ in range(world)]
    for block, (name, slots) in enumerate(zip(program.input_names(), program.pack(hidden), strict=True)):
        memory[plan.owner[block]][name] = backend.encode(slots, params.max_level, params.scale)
    for stage in plan.stages:
        for transfer in stage.transfers:
            memory[transfer.destination][transfer.value] = memory[transfer.source][transfer.value]
        for node in stage.nodes:
            run_node(node, backend, memory[plan.owner[node.block]], context)
    results = [memory[plan.owner[p]][name].slots for p, name in enumerate(program.graph.results)]
    return program.unpack(results, len(hidden))


@pytest.mark.parametrize("world", WORLDS)
def test_every_world_computes_the_same_bits(program, world):
    module, hidden, _ = tiny_program(32, 10)
    rows = hidden[:27]
    found = run_on_devices(program, world, rows)
    np.testing.assert_array_equal(found, program.run_clear(rows).hidden)
    assert np.abs(found - reference(module, rows)).max() < 5e-6


def test_without_anchors_no_previous_key_travels():
    program = tiny_program(16, 11, 0.0)[2]
    plan = plan_tokens(program, 2)
    moved = {t.value for stage in plan.stages for t in stage.transfers}
    assert moved == {"keys.placed[0]", "values.placed[0]", "keys.placed[1]", "values.sheared[1]"}
