"""The checkpoints of a job: a file of every rank for each cut, of which two generations are kept at most.

A generation counts when all ranks have it. Only then do they delete the one before, so that whoever is killed
when, all have one in common, or none yet. What not all have is deleted at the next start.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from aegis_fhe.ckks.parameters import Parameters
from aegis_fhe.errors import CapacityError, CompatibilityError, ContainerError
from aegis_fhe.runtime.collectives import Communicator
from aegis_fhe.runtime.mesh import DeviceState, MeshProgram
from aegis_fhe.service.checkpoint_file import CheckpointMark, check_state, load_state, save_state
from aegis_fhe.service.ciphertexts_file import INPUT_KIND
from aegis_fhe.service.container import ContainerReader
from aegis_fhe.service.decoder_file import KIND as DECODER_KIND
from aegis_fhe.service.keys_file import KIND as KEYS_KIND


def digest_of_job(plan: Path, program: Path, inputs: Path, keys: Path) -> str:
    """Of the files that a plan computes with: equal jobs have equal values at every cut.

    Raises ContainerError for a file that is damaged or of another kind.
    """
    parts = [hashlib.sha256(plan.read_bytes()).hexdigest()]
    for path, kind in ((program, DECODER_KIND), (inputs, INPUT_KIND), (keys, KEYS_KIND)):
        with ContainerReader(path, kind) as reader:
            parts.append(reader.digest)
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()


@dataclass(frozen=True)
class RankCheckpoints:
    """Of one rank. folder: exists; all ranks may share it, or each host has one. world: all ranks of the job.
    say: told in one line what was refused, and what could not be written.
    """

    folder: Path
    job: str
    world: Communicator
    say: Callable[[str], None]

    @property
    def mark(self) -> CheckpointMark:
        """Of this rank's files."""
        return CheckpointMark(job=self.job, rank=self.world.rank, world_size=self.world.world_size)

    def newest(self) -> Path | None:
        """This rank's file of the newest cut that all ranks have undamaged; every rank calls it.

        All other files of this rank are deleted but those of other jobs, and what a killed rank left of one.
        """
        for partial in self.folder.glob(f".{self._prefix}*.partial"):
            partial.unlink(missing_ok=True)
        own = dict(self._valid())
        every = self.world.gather_objects("checkpoints", sorted(own))
        common = set.intersection(*(set(one) for one in every))
        newest = own[max(common)] if common else None
        self._delete(path for path in own.values() if path != newest)
        return newest

    def load(self, program: MeshProgram, params: Parameters) -> DeviceState | None:
        """The state at that cut; None where a run has to begin at its beginning. Every rank calls it.

        Raises ContainerError, CompatibilityError for a file that is whole and yet not of this program.
        """
        path = self.newest()
        return None if path is None else load_state(self.mark, program, params, path)

    def save(self, state: DeviceState) -> None:
        """Writes a cut, of all ranks or of none; every rank calls it at the same cut.

        Where one has no room for it, none keeps it, the generation before stays, and the run goes on.
        """
        path, failure = self._path(state.position), ""
        try:
            save_state(self.mark, state, path)
        except (CapacityError, ContainerError) as error:
            failure = str(error)
            self.say(
                f"rank {self.world.rank} could not write a checkpoint, the run goes on without it: {failure}"
            )
        if any(self.world.gather_objects("checkpoint", failure)):
            self._delete([path])
        else:
            self._delete(one for one in self._files() if one != path)

    def _valid(self) -> Iterable[tuple[int, Path]]:
        """By position; what is damaged or of another job is said."""
        for path in self._files():
            try:
                yield check_state(self.mark, path), path
            except (ContainerError, CompatibilityError) as error:
                self.say(f"a checkpoint is not used: {error}")

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob(f"{self._prefix}*.aegis"))

    @property
    def _prefix(self) -> str:
        return f"checkpoint-{self.world.rank}-of-{self.world.world_size}-at-"

    def _path(self, position: int) -> Path:
        return self.folder / f"{self._prefix}{position}.aegis"

    def _delete(self, paths: Iterable[Path]) -> None:
        for path in list(paths):
            path.unlink(missing_ok=True)
