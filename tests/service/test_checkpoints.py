"""Checkpoints of a job: what was saved comes back bit for bit, and what is not whole is not used."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import pytest
import torch

from aegis_fhe.ckks import Parameters
from aegis_fhe.errors import CapacityError, CompatibilityError, ContainerError
from aegis_fhe.placement.cuts import choose_cuts
from aegis_fhe.runtime.mesh import Checkpoints, DeviceState, MeshCommunicators, MeshExecution
from aegis_fhe.service import container_writer
from aegis_fhe.service.checkpoint_file import CheckpointMark, check_state, load_state, save_state
from aegis_fhe.service.checkpoints import RankCheckpoints
from runtime.mesh.cases import Case
from runtime.mesh.rendered import case_of, over_processes
from runtime.together import mesh_together

MARK = CheckpointMark(job="ab" * 32, rank=0, world_size=2)


@cache
def case() -> Case:
    return case_of(over_processes()["tensor_parallel"])


def cuts() -> tuple[int, ...]:
    program = case().program
    params = case().encrypted.program.params
    return choose_cuts(program.schedule, program.facts, params, program.layout, program.results, 3)


class StoppedError(Exception):
    """What a test ends a run with."""


@dataclass
class Run:
    """Of all ranks on checkpoints in one folder. said: all lines. begun: where each rank began."""

    folder: Path
    job: str = MARK.job

    def __post_init__(self) -> None:
        self.said: list[str] = []
        self.begun: list[int | None] = [None, None]

    def __call__(self, stop: Callable[[int, DeviceState], None] = lambda rank, state: None) -> None:
        """stop: told rank and state after each checkpoint. Results are checked."""

        def body(communicators: MeshCommunicators) -> MeshExecution:
            rank, params = communicators.rank, fresh()
            checkpoints = RankCheckpoints(self.folder, self.job, communicators.team, self.said.append)
            begin = checkpoints.load(case().program, params)
            self.begun[rank] = None if begin is None else begin.position

            def save(state: DeviceState) -> None:
                checkpoints.save(state)
                stop(rank, state)

            saved = Checkpoints(cuts=cuts(), save=save, begin=begin)
            execution = case().share(communicators, saved, params)
            for name, value in execution.results.items():
                assert torch.equal(value.parts, case().expected(name, rank).parts)
            assert communicators.received() == case().traffic.received[rank]
            return execution

        case().check_memory(mesh_together(case().mesh, body))

    def until(self, position: int) -> None:
        """A run that ends after a checkpoint, on all ranks."""

        def stop(rank: int, state: DeviceState) -> None:
            if state.position == position:
                raise StoppedError

        with pytest.raises(StoppedError):
            self(stop)

    def positions(self) -> list[list[int]]:
        """Of each rank's files."""
        found: list[list[int]] = [[], []]
        for path in self.folder.iterdir():
            _, rank, _, _, _, position = path.stem.split("-")
            found[int(rank)].append(int(position))
        return [sorted(one) for one in found]


def file_of(folder: Path, rank: int) -> Path:
    (path,) = folder.glob(f"checkpoint-{rank}-of-2-*.aegis")
    return path


def test_a_run_goes_on_from_the_newest_cut_and_keeps_one_generation(tmp_path: Path):
    run = Run(tmp_path)
    run.until(cuts()[1])
    assert run.positions() == [[cuts()[1]], [cuts()[1]]]
    run()
    assert run.begun == [cuts()[1]] * 2
    assert run.positions() == [[cuts()[2]], [cuts()[2]]]
    assert run.said == []


def test_a_rank_that_missed_the_newest_cut_decides_for_all(tmp_path: Path):
    """Rank 1 is lost before it writes the second: rank 0 keeps two, and both go on from the first."""
    run = Run(tmp_path)
    run.until(cuts()[0])
    first = {rank: file_of(tmp_path, rank) for rank in (0, 1)}
    kept = {path: path.read_bytes() for path in first.values()}
    run.until(cuts()[1])
    file_of(tmp_path, 1).unlink()
    for path, data in kept.items():
        path.write_bytes(data)
    (tmp_path / f".{first[1].name}.ab12.partial").write_bytes(b"half")
    assert [path for path in tmp_path.iterdir() if path.suffix == ".partial"]
    run.until(cuts()[2])
    assert run.begun == [cuts()[0]] * 2
    assert run.positions() == [[cuts()[2]], [cuts()[2]]]


@pytest.mark.parametrize("damage", ["flip", "cut short", "another job"])
def test_what_is_not_whole_is_said_and_not_used(tmp_path: Path, damage: str):
    run = Run(tmp_path)
    run.until(cuts()[0])
    if damage == "another job":
        run = Run(tmp_path, job="cd" * 32)
    else:
        path = file_of(tmp_path, 1)
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data[: len(data) - 9 if damage == "cut short" else len(data)])
    run.until(cuts()[0])
    assert run.begun == [None, None]
    expected = {"flip": "is damaged", "cut short": "truncated", "another job": "of another job"}[damage]
    assert any(line.startswith("a checkpoint is not used: ") and expected in line for line in run.said)
    assert run.positions() == [[cuts()[0]], [cuts()[0]]]


def test_a_full_disk_leaves_the_checkpoint_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """One rank finds no room at the second cut: both keep the first, and the run ends as if nothing was."""
    run, write, lock = Run(tmp_path), container_writer.write_at, threading.Lock()
    run.until(cuts()[0])
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def full(file: int, data: memoryview, offset: int) -> int:
        with lock:
            name = os.readlink(f"/proc/self/fd/{file}")
        if f"checkpoint-1-of-2-at-{cuts()[1]}" in name and offset > 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(file, data, offset)

    monkeypatch.setattr(container_writer, "write_at", full)
    run.until(cuts()[1])
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    (line,) = run.said
    assert "rank 1 could not write a checkpoint, the run goes on without it" in line
    assert "the disk is full" in line
    assert "free some space" in line
    run()
    assert run.begun == [cuts()[0]] * 2
    assert run.positions() == [[cuts()[2]], [cuts()[2]]]


@cache
def state_of_rank_0() -> DeviceState:
    found: list[DeviceState] = []

    def body(communicators: MeshCommunicators) -> None:
        keep = found.append if communicators.rank == 0 else lambda state: None
        case().share(communicators, Checkpoints(cuts=cuts(), save=keep))

    mesh_together(case().mesh, body)
    return max(found, key=lambda state: sum(len(own) for own in state.values.values()))


def fresh() -> Parameters:
    return Parameters.from_dict(case().encrypted.program.params.to_dict())


def test_values_come_back(tmp_path: Path):
    state = state_of_rank_0()
    save_state(MARK, state, tmp_path / "x")
    assert check_state(MARK, tmp_path / "x") == state.position
    found = load_state(MARK, case().program, fresh(), tmp_path / "x")
    assert (found.position, found.measured) == (state.position, state.measured)
    for form, own in state.values.items():
        assert set(found.values[form]) == set(own)
        assert all(torch.equal(found.values[form][name], x) for name, x in own.items())


def test_values_in_one_memory_are_stored_once_and_come_back_in_one(tmp_path: Path):
    """One is a view of some limbs of another, as after a drop of levels."""
    symbols = sorted(case().program.symbols.items(), key=lambda item: item[1].level)
    (low, least), (high, most) = symbols[0], symbols[-1]
    assert least.level < most.level
    params = fresh()
    whole = torch.arange(2 * (most.level + 1) * params.degree).reshape(2, -1, params.degree)
    values = {"whole": {high: whole, low: whole[:, : least.level + 1]}, "shared": {}}
    save_state(MARK, replace(state_of_rank_0(), values=values), tmp_path / "x")
    assert (tmp_path / "x").stat().st_size < whole.nbytes + (1 << 14)
    found = load_state(MARK, case().program, params, tmp_path / "x").values["whole"]
    assert all(torch.equal(found[name], x) for name, x in values["whole"].items())
    assert found[low].untyped_storage().data_ptr() == found[high].untyped_storage().data_ptr()


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda x: x[:, :, :4], CompatibilityError, "has shape"),
        (lambda x: x - 1 - x.max(), CompatibilityError, "outside"),
    ],
)
def test_values_that_are_not_the_programs_are_refused(
    tmp_path: Path,
    change: Callable[[torch.Tensor], torch.Tensor],
    error: type[Exception],
    message: str,
):
    state = state_of_rank_0()
    form = next(form for form, own in state.values.items() if own)
    name, value = next(iter(state.values[form].items()))
    values = {**state.values, form: {**state.values[form], name: change(value)}}
    save_state(MARK, replace(state, values=values), tmp_path / "x")
    with pytest.raises(error, match=message):
        load_state(MARK, case().program, fresh(), tmp_path / "x")


def test_places_outside_their_memory_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """No checksum protects against who writes a whole file that lies."""
    from aegis_fhe.service import checkpoint_file

    state = state_of_rank_0()
    real = checkpoint_file._Place
    for change in ({"memory": 1000}, {"offset": 1 << 40}, {"strides": (1 << 40, 1, 1)}, {"offset": -8}):
        monkeypatch.setattr(
            checkpoint_file,
            "_Place",
            lambda *a, c=change: real(**{**dict(zip(real.__struct_fields__, a, strict=True)), **c}),
        )
        save_state(MARK, state, tmp_path / "x")
        monkeypatch.setattr(checkpoint_file, "_Place", real)
        with pytest.raises(ContainerError, match="lies outside the memory"):
            load_state(MARK, case().program, fresh(), tmp_path / "x")


def test_too_little_room_is_said_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(container_writer.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 1000}))
    with pytest.raises(CapacityError, match="GiB free"):
        save_state(MARK, state_of_rank_0(), tmp_path / "x")
    assert list(tmp_path.iterdir()) == []
