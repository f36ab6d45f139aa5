"""One encrypted layer on meshes: the bits of one device, and exactly the bytes that were predicted."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

import aegis_fhe
from aegis_fhe.errors import CompatibilityError
from aegis_fhe.placement.mesh import Mesh
from aegis_fhe.runtime.collectives import Communicator
from aegis_fhe.runtime.launch import LaunchOptions, launch
from aegis_fhe.runtime.mesh import MeshCommunicators, MeshExecution, connect_mesh

from ..together import mesh_together
from .cases import digest, random_case

SEARCH_PATH = os.pathsep.join([str(Path(__file__).parents[2]), str(Path(aegis_fhe.__file__).parents[1])])
MESHES = [
    Mesh(),
    Mesh(tokens=2),
    Mesh(tokens=3),
    Mesh(tokens=4),
    Mesh(limbs=3),
    Mesh(tokens=2, limbs=2),
]


def name_of(value: Mesh | int) -> str:
    return f"{value.tokens}x{value.limbs}" if isinstance(value, Mesh) else str(value)


@pytest.mark.parametrize(("mesh", "seed"), [*((m, 1) for m in MESHES), (MESHES[5], 2)], ids=name_of)
def test_any_assignment_gives_the_bits_of_one_device(mesh: Mesh, seed: int):
    """Places are drawn at random: what a plan may say is more than any strategy says."""
    case = random_case(mesh, seed)

    def body(communicators: MeshCommunicators) -> tuple[MeshExecution, dict[tuple[str, str, str], int]]:
        return case.share(communicators), communicators.received()

    made: set[str] = set()
    for rank, (execution, received) in enumerate(mesh_together(mesh, body)):
        group, device = mesh.place(rank)
        for name, value in execution.results.items():
            assert torch.equal(value.parts, case.expected(name, device).parts)
            made.add(name)
        assert received == case.traffic.received[rank]
        stages = {node.stage for node in case.program.schedule.nodes_of(group)}
        assert stages <= set(execution.seconds)
    assert made == set(case.program.results)
    assert (case.traffic.most == 0) == (mesh.world_size == 1)


@pytest.mark.parametrize("mesh", [MESHES[2], MESHES[5]], ids=name_of)
def test_over_real_processes(mesh: Mesh):
    options = LaunchOptions(
        world_size=mesh.world_size, threads=1, environment={"PYTHONPATH": SEARCH_PATH}, timeout_s=300
    )
    case = random_case(mesh, 1)
    config = {"mesh": {"tokens": mesh.tokens, "limbs": mesh.limbs}, "seed": 1}
    reports = launch("runtime.mesh.mesh_worker", config, options)
    for rank, report in enumerate(reports):
        device = mesh.place(rank)[1]
        expected = {name: digest(case.expected(name, device)) for name in report.result["digests"]}
        assert report.result["digests"] == expected
        received = {tuple(key): count for *key, count in report.result["received"]}
        assert received == case.traffic.received[rank]


def test_a_plan_of_another_size_is_refused():
    with pytest.raises(CompatibilityError, match="2 x 2 devices cannot run on 1"):
        connect_mesh(Communicator(), Mesh(tokens=2, limbs=2))
