"""Rows of results from every device make the whole ciphertexts, or are refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from aegis_fhe.ckks import Ciphertext
from aegis_fhe.errors import CompatibilityError, ContainerError
from aegis_fhe.placement.mesh import Mesh
from aegis_fhe.program.long.decoder_program import DecoderProgram
from aegis_fhe.runtime.mesh import rows_of
from aegis_fhe.service.ciphertexts_file import JobFacts
from aegis_fhe.service.result_rows import join_rows, save_rows
from runtime.encrypted_layer import TOKENS
from runtime.mesh.cases import Case, random_case

MESHES = [Mesh(), Mesh(tokens=3), Mesh(limbs=3), Mesh(tokens=2, limbs=2)]


def program_of(case: Case) -> DecoderProgram:
    return DecoderProgram.single(case.encrypted.program, "test")


def written(
    case: Case, folder: Path, change: Callable[[int, str, Ciphertext], Ciphertext] = lambda r, n, x: x
) -> list[Path]:
    """What devices would write that computed without fault; change: of (rank, name, rows)."""
    program, mesh = program_of(case), case.program
    facts = JobFacts(program=program.fingerprint, parameters=program.params.fingerprint(), tokens=TOKENS)
    paths = []
    for rank in range(case.mesh.world_size):
        made = {v for n in mesh.schedule.nodes_of(case.mesh.place(rank)[0]) for v in n.outputs}
        rows = {
            name: change(rank, name, rows_of(mesh, x, mesh.forms[name], rank))
            for name, x in case.encrypted.results.items()
            if name in made
        }
        paths.append(folder / f"{rank}.aegis")
        save_rows(facts, rows, paths[-1])
    return paths


@pytest.mark.parametrize("mesh", MESHES, ids=str)
@pytest.mark.parametrize("teams", [0, 60])
def test_rows_make_whole_results(mesh: Mesh, teams: int, tmp_path: Path):
    case = random_case(mesh, 1, teams)
    found = join_rows(program_of(case), case.program, written(case, tmp_path))
    assert list(found) == list(case.program.results)
    for name, whole in case.encrypted.results.items():
        assert torch.equal(found[name].parts, whole.parts)
        assert found[name].scale == whole.scale


def test_a_device_that_wrote_nothing(tmp_path: Path):
    case = random_case(MESHES[2], 1)
    paths = written(case, tmp_path)
    with pytest.raises(CompatibilityError, match="are missing: a worker did not finish"):
        join_rows(program_of(case), case.program, [paths[0]])
    paths[1].write_bytes(paths[1].read_bytes()[:-1])
    with pytest.raises(ContainerError):
        join_rows(program_of(case), case.program, paths)


def everywhere() -> tuple[Case, str]:
    """A layer with a result that several groups compute."""
    for seed in range(1, 9):
        case = random_case(MESHES[1], seed)
        for node in case.encrypted.program.graph.nodes:
            shared = set(node.outputs) & set(case.program.results)
            if shared and len(case.program.schedule.assignment.groups(node)) > 1:
                return case, min(shared)
    raise AssertionError("no such result was drawn")


def test_groups_that_differ(tmp_path: Path):
    case, name = everywhere()
    maker = next(n for n in case.encrypted.program.graph.nodes if name in n.outputs)
    last = case.program.schedule.assignment.groups(maker)[-1]

    def wrong(rank: int, of: str, x: Ciphertext) -> Ciphertext:
        return replace(x, parts=x.parts.roll(1, dims=2)) if (rank, of) == (last, name) else x

    with pytest.raises(CompatibilityError, match="other bits than another group's"):
        join_rows(program_of(case), case.program, written(case, tmp_path, wrong))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: replace(x, parts=x.parts[:, :1].contiguous()), "has shape"),
        (lambda x: replace(x, parts=x.parts + (1 << 60)), "holds residues outside"),
        (lambda x: replace(x, scale=x.scale * 2), "another scale than the plan says"),
    ],
)
def test_rows_that_are_not_the_plans(
    change: Callable[[Ciphertext], Ciphertext], message: str, tmp_path: Path
):
    case = random_case(MESHES[2], 1)
    paths = written(case, tmp_path, lambda rank, name, x: change(x) if rank == 1 else x)
    with pytest.raises(CompatibilityError, match=message):
        join_rows(program_of(case), case.program, paths)
