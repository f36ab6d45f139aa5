"""Memory is known before anything is allocated: exact for keys, never below what must be alive at once."""

from __future__ import annotations

import dataclasses

import pytest

from aegis_fhe.ckks import EvaluationKeys, presets
from aegis_fhe.ckks.secret import SecretKey, evaluation_keys
from aegis_fhe.placement import estimate_memory, plan_tokens
from aegis_fhe.placement.memory import PROCESS_BYTES, ciphertext_bytes
from aegis_fhe.program import CompiledProgram
from program.tiny import tiny_program


@pytest.fixture(scope="module")
def program() -> CompiledProgram:
    return tiny_program(32, 10)[2]


def test_keys_bytes_are_those_of_the_expanded_keys(program):
    """Both halves of every key, as generated."""
    params = program.params
    keys = EvaluationKeys.collect(params, evaluation_keys(SecretKey.generate(params), program.key_requests()))
    assert keys.relin is not None
    expected = sum(
        half.numel() * half.element_size()
        for key in (keys.relin, *keys.rotations.values())
        for half in (key.b, key.a)
    )
    for world in (1, 3):
        assert estimate_memory(program, plan_tokens(program, world), 0).keys_bytes == expected


def test_weights_and_total_are_sums(program):
    estimate = estimate_memory(program, plan_tokens(program, 1), 0)
    assert estimate.weights_bytes == sum(constant.size * 8 for constant in program.constants.values())
    parts = (
        estimate.keys_bytes,
        estimate.weights_bytes,
        estimate.values_bytes,
        estimate.workspace_bytes,
    )
    assert estimate.total_bytes == PROCESS_BYTES + sum(parts)


def test_ciphertext_bytes_of_a_real_ciphertext(program):
    """Components x limbs x N x 8."""
    params = presets.insecure(11, 3, 2)
    assert ciphertext_bytes(params, 3) == 2 * 4 * 2048 * 8
    assert ciphertext_bytes(params, 0, 3) == 3 * 2048 * 8


def live_bytes(program: CompiledProgram, world: int, rank: int) -> int:
    """The most bytes of values alive at once on a device, by brute force.

    Received values lie there from the start of their stage, sent ones until it.
    """
    plan, symbols = plan_tokens(program, world), program.symbols()
    steps: list[tuple[set[str], set[str]]] = []
    for stage in plan.stages:
        received = {t.value for t in stage.transfers if t.destination == rank}
        sent = {t.value for t in stage.transfers if t.source == rank}
        steps.append((received | sent, received))
        for node in stage.nodes:
            if plan.owner[node.block] == rank:
                steps.append(({*node.inputs, *node.outputs}, set(node.outputs)))
    born = {value: i for i, (_, made) in enumerate(steps) for value in made}
    last = {value: i for i, (touched, _) in enumerate(steps) for value in touched}
    last.update({value: len(steps) for value in program.graph.results})
    sizes = {v: ciphertext_bytes(program.params, symbols[v].level, symbols[v].components) for v in born}
    return max(sum(sizes[v] for v in born if born[v] <= i <= last[v]) for i in range(len(steps)))


@pytest.mark.parametrize("world", [1, 2, 3, 4])
def test_estimate_is_not_below_what_must_be_alive(program, world):
    """And not far above it: operators hold no more than a few dozen ciphertexts besides."""
    plan = plan_tokens(program, world)
    largest = ciphertext_bytes(program.params, program.params.max_level)
    for rank in range(world):
        estimate, needed = estimate_memory(program, plan, rank), live_bytes(program, world, rank)
        assert needed <= estimate.values_bytes + estimate.workspace_bytes <= needed + 80 * largest


def test_more_devices_never_need_more_each(program):
    totals = [
        max(estimate_memory(program, plan_tokens(program, world), rank).total_bytes for rank in range(world))
        for world in (1, 2, 4)
    ]
    assert totals == sorted(totals, reverse=True)
    assert totals[0] > totals[-1]


def test_longer_chains_and_larger_rings_need_more():
    """Everything that scales with N or with limbs does."""
    program = tiny_program()[2]
    levels = program.params.max_level
    small, longer = (
        dataclasses.replace(program, params=presets.insecure(11, levels + extra, 10)) for extra in (0, 1)
    )
    first, second = (estimate_memory(p, plan_tokens(p, 1), 0) for p in (small, longer))
    assert second.keys_bytes > first.keys_bytes
    assert second.values_bytes + second.workspace_bytes > first.values_bytes + first.workspace_bytes
