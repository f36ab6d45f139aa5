"""A run that stops at cuts and one that begins at a cut: the bits, bytes and memory of one without."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest
import torch

from aegis_fhe.errors import CompatibilityError
from aegis_fhe.placement.cuts import alive_at, choose_cuts
from aegis_fhe.placement.mesh import Mesh
from aegis_fhe.runtime.mesh import Checkpoints, DeviceState, MeshCommunicators, MeshExecution

from ..together import mesh_together
from .cases import Case, random_case

COUNT = 3
LIMBS, TOKENS = Mesh(limbs=2), Mesh(tokens=2)


def cuts_of(case: Case, count: int = COUNT) -> tuple[int, ...]:
    program, params = case.program, case.encrypted.program.params
    return choose_cuts(program.schedule, program.facts, params, program.layout, program.results, count)


Shares = list[tuple[MeshExecution, dict[tuple[str, str, str], int]]]


def run(case: Case, begin: list[DeviceState] | None = None) -> tuple[Shares, list[list[DeviceState]]]:
    """What each rank made and received, and its states."""
    states: list[list[DeviceState]] = [[] for _ in range(case.mesh.world_size)]

    def body(communicators: MeshCommunicators) -> tuple[MeshExecution, dict[tuple[str, str, str], int]]:
        rank = communicators.rank
        begins = None if begin is None else begin[rank]
        checkpoints = Checkpoints(cuts=cuts_of(case), save=states[rank].append, begin=begins)
        return case.share(communicators, checkpoints), communicators.received()

    return mesh_together(case.mesh, body), states


@cache
def whole_run(mesh: Mesh, teams: int) -> tuple[Shares, list[list[DeviceState]]]:
    """With cuts, from the beginning."""
    return run(random_case(mesh, 1, teams))


def taken(state: DeviceState) -> DeviceState:
    """For a run that takes its values out of it."""
    return replace(state, values={form: dict(own) for form, own in state.values.items()})


@pytest.mark.parametrize(("mesh", "teams"), [(LIMBS, 0), (TOKENS, 40)], ids=str)
def test_bits_bytes_and_memory_of_a_run_that_begins_at_a_cut(mesh: Mesh, teams: int):
    """Also where a plan has one round alone, on devices that share limbs."""
    case = random_case(mesh, 1, teams)
    whole, states = whole_run(mesh, teams)
    check(case, whole)
    for own in states:
        assert [state.position for state in own] == list(cuts_of(case))
    first = [own[0] for own in states]
    found, again = run(case, [taken(state) for state in first])
    check(case, found)
    assert [[state.position for state in own] for own in again] == [list(cuts_of(case)[1:]) for _ in states]
    for (execution, _), (before, _), state in zip(found, whole, first, strict=True):
        assert execution.held.total <= 1.001 * before.held.total
        for stage, seconds in state.measured.seconds.items():
            assert execution.seconds[stage] >= seconds


def check(case: Case, shares: Shares) -> None:
    made = set()
    for rank, (execution, received) in enumerate(shares):
        for name, value in execution.results.items():
            assert torch.equal(value.parts, case.expected(name, rank).parts)
            made.add(name)
        assert received == case.traffic.received[rank]
    assert made == set(case.program.results)
    case.check_memory([execution for execution, _ in shares])


def test_bytes_at_a_cut_are_those_that_it_was_chosen_for():
    case = random_case(TOKENS, 1, 40)
    program, params = case.program, case.encrypted.program.params
    _, states = whole_run(TOKENS, 40)
    for rank, own in enumerate(states):
        alive = alive_at(program.schedule, program.facts, params, program.layout, rank, program.results)
        for state in own:
            values = [parts for held in state.values.values() for parts in held.values()]
            stored = {x.untyped_storage().data_ptr(): x.untyped_storage().nbytes() for x in values}
            assert sum(stored.values()) == alive[state.position]


def test_cuts_divide_the_work():
    case = random_case(TOKENS, 1, 40)
    assert cuts_of(case, 0) == ()
    nodes = [node for one in case.program.schedule.rounds for node in one.nodes]
    work = [case.program.facts.nodes[n.name].counts.ntts(case.encrypted.program.params) for n in nodes]
    for count in (1, 3, 7):
        cuts = cuts_of(case, count)
        assert len(cuts) == count
        for number, cut in enumerate(cuts, 1):
            done = sum(work[:cut]) / sum(work) * (count + 1)
            assert number - 0.25 <= done <= number + 0.25


def test_a_state_of_another_plan_is_refused():
    _, states = whole_run(TOKENS, 40)
    first = [taken(own[0]) for own in states]
    for state in first:
        own = next(own for own in state.values.values() if own)
        own.popitem()
    with pytest.raises(CompatibilityError, match="other values than the plan"):
        run(random_case(TOKENS, 1, 40), first)
