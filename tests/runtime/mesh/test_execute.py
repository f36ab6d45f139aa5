"""One encrypted layer on meshes: the bits of one device, and exactly the bytes that were predicted."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

import aegis_fhe
from aegis_fhe.ckks import Evaluator
from aegis_fhe.errors import CompatibilityError
from aegis_fhe.placement.mesh import Mesh
from aegis_fhe.program.operators import Refresh
from aegis_fhe.runtime.collectives import Communicator
from aegis_fhe.runtime.launch import LaunchOptions, launch
from aegis_fhe.runtime.mesh import MeshCommunicators, MeshExecution, connect_mesh, execute_schedule

from ..encrypted_layer import TOKENS
from ..together import mesh_together
from .cases import Case, digest, random_case

SEARCH_PATH = os.pathsep.join([str(Path(__file__).parents[2]), str(Path(aegis_fhe.__file__).parents[1])])
MESHES = [
    Mesh(),
    Mesh(tokens=2),
    Mesh(tokens=3),
    Mesh(tokens=4),
    Mesh(limbs=3),
    Mesh(tokens=2, limbs=2),
]


WIDE = [*MESHES[1:4], MESHES[5]]


def name_of(value: Mesh | int) -> str:
    return f"{value.tokens}x{value.limbs}" if isinstance(value, Mesh) else str(value)


@pytest.mark.parametrize(("mesh", "seed"), [*((m, 1) for m in MESHES), (MESHES[5], 2)], ids=name_of)
def test_any_assignment_gives_the_bits_of_one_device(mesh: Mesh, seed: int):
    """Places are drawn at random: what a plan may say is more than any strategy says."""
    check(random_case(mesh, seed))


@pytest.mark.parametrize(
    ("mesh", "seed", "teams"),
    [*((mesh, 1, 25) for mesh in [*MESHES[:1], *WIDE]), (MESHES[4], 2, 60), (MESHES[5], 2, 100)],
    ids=name_of,
)
def test_some_nodes_by_all_devices_together(mesh: Mesh, seed: int, teams: int):
    """A value goes between whole on groups and shared by the team, in every order that chance brings."""
    case = random_case(mesh, seed, teams)
    check(case)
    plan = case.program.schedule
    kinds = {(axis, kind) for one in case.traffic.received for axis, _, kind in one}
    bootstraps = {plan.assignment.form(n) for n in plan.nodes_of(0) if isinstance(n.operator, Refresh)}
    assert "shared" in bootstraps
    assert (("team", "all_gather") in kinds) == (mesh.world_size > 1)
    mixed = mesh.tokens > 1 and teams < 100
    assert ({("token", "scatter"), ("token", "gather")} <= kinds) == mixed


def check(case: Case) -> None:
    """Every result has its bits on every device, and every device received and held what was predicted."""

    def body(communicators: MeshCommunicators) -> tuple[MeshExecution, dict[tuple[str, str, str], int]]:
        return case.share(communicators), communicators.received()

    made: set[str] = set()
    found = mesh_together(case.mesh, body)
    case.check_memory([execution for execution, _ in found])
    for rank, (execution, received) in enumerate(found):
        for name, value in execution.results.items():
            assert torch.equal(value.parts, case.expected(name, rank).parts)
            made.add(name)
        assert received == case.traffic.received[rank]
        stages = {node.stage for node in case.program.schedule.nodes_of(case.mesh.place(rank)[0])}
        assert stages <= set(execution.seconds)
    assert made == set(case.program.results)
    assert (case.traffic.most == 0) == (case.mesh.world_size == 1)


@pytest.mark.parametrize(("mesh", "teams"), [(MESHES[2], 0), (MESHES[5], 0), (MESHES[5], 30)], ids=name_of)
def test_over_real_processes(mesh: Mesh, teams: int):
    options = LaunchOptions(
        world_size=mesh.world_size, threads=1, environment={"PYTHONPATH": SEARCH_PATH}, timeout_s=300
    )
    case = random_case(mesh, 1, teams)
    config = {"mesh": {"tokens": mesh.tokens, "limbs": mesh.limbs}, "seed": 1, "teams": teams}
    reports = launch("runtime.mesh.mesh_worker", config, options)
    for rank, report in enumerate(reports):
        expected = {name: digest(case.expected(name, rank)) for name in report.result["digests"]}
        assert report.result["digests"] == expected
        received = {tuple(key): count for *key, count in report.result["received"]}
        assert received == case.traffic.received[rank]


def test_a_plan_for_the_team_needs_its_evaluator():
    case = random_case(MESHES[0], 1, 25)
    e = case.encrypted
    alone = MeshCommunicators(
        mesh=MESHES[0], tokens=Communicator(), limbs=Communicator(), team=Communicator()
    )
    evaluator = Evaluator(e.program.params, e.keys)
    with pytest.raises(CompatibilityError, match="give the evaluator of the team"):
        execute_schedule(case.program, evaluator, alone, dict(e.inputs), e.program.context(TOKENS))


def test_a_plan_of_another_size_is_refused():
    with pytest.raises(CompatibilityError, match="2 x 2 devices cannot run on 1"):
        connect_mesh(Communicator(), Mesh(tokens=2, limbs=2))
