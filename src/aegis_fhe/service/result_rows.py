"""Results of devices that share limbs: a file of rows from each, and the whole ciphertexts in all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from aegis_fhe.ckks.ciphertext import Ciphertext
from aegis_fhe.errors import CompatibilityError
from aegis_fhe.program.served import ServedProgram
from aegis_fhe.runtime.mesh import MeshProgram
from aegis_fhe.service.ciphertexts_file import (
    RESULT_KIND,
    JobFacts,
    ciphertext_facts,
    job_facts,
    save_results,
)
from aegis_fhe.service.container import ContainerReader
from aegis_fhe.service.residues import check_residues


def save_rows(facts: JobFacts, results: Mapping[str, Ciphertext], path: Path) -> None:
    """What one device has of the results; nothing of those of which it has no limb."""
    save_results(facts, {name: x for name, x in results.items() if x.parts.numel()}, path)


def join_rows(program: ServedProgram, mesh: MeshProgram, paths: Sequence[Path]) -> dict[str, Ciphertext]:
    """paths: of all ranks, in order. Several groups may have computed the same result: their bits are equal.

    Raises ContainerError, and CompatibilityError for rows that are not the plan's, that differ or are
    missing.
    """
    made = {
        name: _Joined(mesh, name, torch.full(_shape(program, mesh, name), -1, dtype=torch.int64))
        for name in mesh.results
    }
    for rank, path in enumerate(paths):
        with ContainerReader(path, RESULT_KIND) as reader:
            job_facts(program, reader.metadata, path)
            for name, tensors, metadata in reader:
                what = f"{path}: {name}"
                if name not in made or set(tensors) != {"parts"}:
                    raise CompatibilityError(f"{what} is no result of the program")
                if ciphertext_facts(metadata, path, name).scale != mesh.symbols[name].scale:
                    raise CompatibilityError(f"{what} has another scale than the plan says")
                limbs = made[name].limbs(rank)
                check_residues(tensors["parts"], program.params, limbs, (2,), what)
                made[name].put(tensors["parts"], limbs, what)
    return {name: one.whole() for name, one in made.items()}


class _Joined:
    """One result; parts: -1 where no row has come yet."""

    def __init__(self, mesh: MeshProgram, name: str, parts: Tensor) -> None:
        self.mesh, self.name, self.parts = mesh, name, parts

    def limbs(self, rank: int) -> tuple[int, ...]:
        """Those that a rank has if its group, or the team, computes the result."""
        return self.mesh.layout.held(self.mesh.forms[self.name], self.mesh.symbols[self.name].level, rank)

    def put(self, rows: Tensor, limbs: Sequence[int], what: str) -> None:
        """Rows in their places."""
        known = self.parts[:, list(limbs)]
        if not torch.equal(known, rows) and bool((known >= 0).any()):
            raise CompatibilityError(f"{what} has other bits than another group's: one of them failed")
        self.parts[:, list(limbs)] = rows

    def whole(self) -> Ciphertext:
        """Once all have come."""
        if bool((self.parts < 0).any()):
            raise CompatibilityError(f"limbs of result {self.name} are missing: a worker did not finish")
        return Ciphertext(parts=self.parts, scale=self.mesh.symbols[self.name].scale)


def _shape(program: ServedProgram, mesh: MeshProgram, name: str) -> tuple[int, int, int]:
    return 2, mesh.symbols[name].level + 1, program.params.degree
