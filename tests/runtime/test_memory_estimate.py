"""Memory is known before anything is allocated: exact for keys, within 5 % for what a run takes."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from aegis_fhe.ckks import EvaluationKeys, Evaluator, KeySwitchKey, Parameters, SlotVector, presets
from aegis_fhe.ckks.key_shape import half_bytes
from aegis_fhe.ckks.secret import SecretKey, encrypt, evaluation_keys
from aegis_fhe.placement.plan import plan_tokens
from aegis_fhe.program import CompiledProgram
from aegis_fhe.ring.arena import SLACK_BYTES
from aegis_fhe.runtime.collectives import Communicator
from aegis_fhe.runtime.executor import execute
from aegis_fhe.runtime.memory_estimate import PROCESS_BYTES, ciphertext_bytes, estimate_memory
from program.tiny import tiny_program


@pytest.fixture(scope="module")
def program() -> CompiledProgram:
    return tiny_program(32, 10)[2]


def fresh(params: Parameters) -> Parameters:
    """Equal parameters with a ring, and so an arena, of their own."""
    return Parameters.from_dict(params.to_dict())


def generate(program: CompiledProgram, params: Parameters) -> tuple[SecretKey, EvaluationKeys]:
    """Keys as a worker has them: generated elsewhere, the uniform halves not expanded."""
    secret = SecretKey.generate(program.params)
    keys = evaluation_keys(secret, program.key_requests())
    mine = [KeySwitchKey(params=params, request=key.request, b=key.b, seed=key.seed) for key in keys]
    return secret, EvaluationKeys.collect(params, mine)


def test_stored_keys_bytes_are_those_of_generated_keys(program):
    _, keys = generate(program, program.params)
    assert keys.relin is not None
    expected = sum(key.b.nbytes for key in (keys.relin, *keys.rotations.values()))
    for world in (1, 3):
        assert estimate_memory(program, plan_tokens(program, world), 0).stored_keys_bytes == expected


def test_weights_and_total_are_sums(program):
    estimate = estimate_memory(program, plan_tokens(program, 1), 0)
    assert estimate.weights_bytes == sum(constant.size * 8 for constant in program.constants.values())
    assert estimate.inputs_bytes == program.blocks * ciphertext_bytes(
        program.params, program.params.max_level, 1
    )
    parts = (
        estimate.stored_keys_bytes,
        estimate.weights_bytes,
        estimate.inputs_bytes,
        estimate.tables_bytes,
        estimate.arena_bytes,
    )
    assert estimate.total_bytes == PROCESS_BYTES + sum(parts)


def test_estimate_is_what_an_encrypted_run_takes():
    """The arena of a real run, with real keys, holds at its fullest moment what was predicted, within 5 %."""
    compiled = tiny_program(16, 13)[2]
    params = fresh(compiled.params)
    program = dataclasses.replace(compiled, params=params)
    plan = plan_tokens(program, 1)
    secret, keys = generate(compiled, params)
    blocks = {
        name: encrypt(secret, SlotVector.of(np.linspace(-1, 1, params.slots)))
        for name in program.input_names()
    }
    mine = {name: block.expand(params) for name, block in blocks.items()}
    execute(program, plan, Communicator(), Evaluator(params, keys), mine, tokens=program.max_tokens)
    predicted, held = estimate_memory(program, plan, 0).arena_bytes, params.ring.arena.bytes()
    assert held.peak_held == pytest.approx(predicted, rel=0.05)
    assert held.peak_in_use <= predicted


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
    """And not far above it: a few dozen ciphertexts in operators, the keys, and what the arena caches."""
    plan = plan_tokens(program, world)
    largest = ciphertext_bytes(program.params, program.params.max_level)
    for rank in range(world):
        estimate, needed = estimate_memory(program, plan, rank), live_bytes(program, world, rank)
        expanded = sum(half_bytes(program.params, request.level) for request in program.key_requests())
        assert needed <= estimate.arena_bytes <= needed + expanded + 80 * largest + SLACK_BYTES


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
    assert second.stored_keys_bytes > first.stored_keys_bytes
    assert second.tables_bytes > first.tables_bytes
    assert second.arena_bytes > first.arena_bytes
