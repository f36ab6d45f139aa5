"""A rank by itself does what it does among others: the same nodes, messages and bytes, the same memory."""

from __future__ import annotations

import pytest
import torch

from aegis_fhe.ckks import Parameters
from aegis_fhe.errors import CompatibilityError
from aegis_fhe.placement.mesh import Mesh
from aegis_fhe.runtime.absent_ranks import AbsentRanks
from aegis_fhe.runtime.launch import LaunchOptions, launch
from aegis_fhe.runtime.mesh import MeshCommunicators, MeshExecution
from aegis_fhe.runtime.mesh.replay import ReplayedRank, alone_in, replay_rank

from ..encrypted_layer import TOKENS
from ..together import mesh_together
from .cases import Case, exchanged, random_case
from .test_execute import SEARCH_PATH, name_of

# Values that cross, limbs inside groups, limbs of all devices: each alone and all at once.
CASES = [
    (Mesh(tokens=2), 0),
    (Mesh(tokens=3), 25),
    (Mesh(limbs=3), 0),
    (Mesh(tokens=2, limbs=2), 30),
]


def replayed(case: Case, rank: int) -> ReplayedRank:
    e = case.encrypted
    params = Parameters.from_dict(e.program.params.to_dict())
    return replay_rank(case.program, params, e.keys, rank, e.inputs, e.program.context(TOKENS))


@pytest.mark.parametrize(("mesh", "teams"), CASES, ids=name_of)
def test_every_message_and_every_byte_of_memory_is_that_of_a_run_together(mesh: Mesh, teams: int):
    case = random_case(mesh, 1, teams)

    def body(communicators: MeshCommunicators) -> tuple[MeshExecution, list[list[str | int]]]:
        return case.share(communicators), exchanged(communicators)

    every = list[ReplayedRank]()
    for rank, (execution, messages) in enumerate(mesh_together(mesh, body)):
        found = replayed(case, rank)
        nodes = case.program.schedule.nodes_of(mesh.place(rank)[0])
        assert list(found.node_seconds) == [node.name for node in nodes]
        assert exchanged(found.communicators) == messages
        assert found.communicators.received() == case.traffic.received[rank]
        assert found.received_bytes == case.traffic.total(rank)
        assert found.execution.held == execution.held
        assert set(found.execution.seconds) == set(execution.seconds)
        assert set(found.execution.results) == set(execution.results)
        every.append(found)
    assert sum(one.sent_bytes for one in every) == sum(one.received_bytes for one in every) > 0


@pytest.mark.parametrize(
    ("mesh", "teams", "host_memory"), [(*CASES[0], False), (*CASES[0], True), (*CASES[3], True)], ids=name_of
)
def test_processes_exchange_and_hold_the_same(mesh: Mesh, teams: int, host_memory: bool):
    options = LaunchOptions(
        world_size=mesh.world_size, threads=1, environment={"PYTHONPATH": SEARCH_PATH}, timeout_s=300
    )
    config = {
        "mesh": {"tokens": mesh.tokens, "limbs": mesh.limbs},
        "seed": 1,
        "teams": teams,
        "host_memory": host_memory,
    }
    reports = launch("runtime.mesh.mesh_worker", config, options)
    for rank, report in enumerate(reports):
        found = replayed(random_case(mesh, 1, teams), rank)
        assert exchanged(found.communicators) == report.result["exchanged"]
        assert found.execution.held.by_kind() == report.result["held"]


def test_one_device_has_nobody_to_miss():
    """Its replay is the run, bit for bit."""
    case = random_case(Mesh(), 1)
    found = replayed(case, 0)
    assert set(found.execution.results) == set(case.program.results)
    for name, value in found.execution.results.items():
        assert torch.equal(value.parts, case.expected(name, 0).parts)
    assert found.received_bytes == found.sent_bytes == found.written_seconds == 0


@pytest.mark.parametrize("rank", [-1, 2])
def test_a_rank_that_the_plan_does_not_have_is_refused(rank: int):
    with pytest.raises(CompatibilityError, match=f"rank {rank} of a plan for 2 x 1 devices: .* ranks 0 to 1"):
        replayed(random_case(Mesh(tokens=2), 1), rank)


def test_what_comes_is_valid_modulo_every_prime_and_the_same_each_time():
    params = random_case(Mesh(tokens=2), 1).encrypted.program.params
    modulus, rows = min(*params.q, *params.p), []
    for _ in range(2):
        absent = AbsentRanks(params.degree, modulus)
        communicator = alone_in(Mesh(tokens=2), 0, absent).tokens
        rows.append(communicator.broadcast("stage", None, 1, (2, 3, params.degree)))
        assert communicator.ledger.bytes_received == rows[-1].nbytes
    assert torch.equal(*rows)
    assert 0 <= int(rows[0].min()) < int(rows[0].max()) < modulus
