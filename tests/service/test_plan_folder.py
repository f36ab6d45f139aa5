"""A folder of a plan's job: what workers are told there, and what is left of an earlier run."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from aegis_fhe.errors import CompatibilityError, ContainerError, WorkerError
from aegis_fhe.program.long.decoder_program import DecoderProgram
from aegis_fhe.runtime.events import DoneEvent
from aegis_fhe.service.checkpoints import digest_of_job
from aegis_fhe.service.client import Client
from aegis_fhe.service.decoder_file import save_decoder
from aegis_fhe.service.plan_elastic import order_of
from aegis_fhe.service.plan_folder import PlanFolder, write_whole
from aegis_fhe.service.plan_job import JobOptions
from runtime.encrypted_layer import encrypted

OPTIONS = JobOptions(world_size=2, kernels="portable", threads=1, cuts=3, timeout_s=7.0)


@pytest.fixture
def folder(tmp_path: Path) -> PlanFolder:
    found = PlanFolder(tmp_path)
    found.begin(OPTIONS)
    return found


def elastic(monkeypatch: pytest.MonkeyPatch, world_size: int) -> None:
    facts = {"RANK": "1", "WORLD_SIZE": str(world_size), "TORCHELASTIC_RUN_ID": "r"}
    facts |= {"LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1"}
    for name, value in {**facts, "TORCHELASTIC_RESTART_COUNT": "2"}.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("one_host", [True, False])
def test_a_rank_knows_its_order_from_the_folder(
    folder: PlanFolder, monkeypatch: pytest.MonkeyPatch, one_host: bool
):
    folder.begin(msgspec.structs.replace(OPTIONS, one_host=one_host))
    elastic(monkeypatch, 2)
    order = order_of(folder)
    assert (order.rank, order.world_size, order.threads, order.collective_timeout_s) == (1, 2, 1, 7.0)
    assert (order.local_rank, order.local_size) == (0, 1)
    assert order.rendezvous == (f"file://{folder.folder}/meeting-r-2" if one_host else "env://")
    assert order.config["checkpoints"] == str(folder.folder / "checkpoints")
    assert len(order.config["results"]) == 2


def test_another_number_of_ranks_is_refused(folder: PlanFolder, monkeypatch: pytest.MonkeyPatch):
    elastic(monkeypatch, 3)
    with pytest.raises(CompatibilityError, match="3 ranks were started for a plan of 2 devices"):
        order_of(folder)


def test_a_folder_without_a_job_is_refused(folder: PlanFolder, tmp_path: Path):
    with pytest.raises(ContainerError, match="holds no job of a plan"):
        PlanFolder(tmp_path / "other").options()
    (tmp_path / "job.json").write_text("{}")
    with pytest.raises(ContainerError, match="holds no job of a plan"):
        folder.options()


def test_checkpoints_alone_are_left_of_an_earlier_run(folder: PlanFolder):
    kept = folder.checkpoints / "checkpoint"
    for path in (*folder.results(2), folder.meeting("a"), kept):
        path.write_bytes(b"")
    for rank in (0, 1):
        write_whole(folder.report(rank), msgspec.json.encode(DoneEvent(rank, rank, 5, 1.0)))
    assert [report.result for report in folder.reports(2)] == [0, 1]
    folder.begin(OPTIONS)
    assert sorted(path.name for path in folder.folder.iterdir()) == ["checkpoints", "job.json"]
    assert kept.exists()
    with pytest.raises(WorkerError, match="worker 0 of 2 left no report"):
        folder.reports(2)
    folder.end()
    assert not folder.checkpoints.exists()


def test_files_of_one_seed_are_one_job_and_no_others(tmp_path: Path):
    """What lets a command that was ended go on: the same keys, ciphertexts and so checkpoints."""
    layer = encrypted()
    program = DecoderProgram.single(layer.program, "tiny")

    def job(name: str, seed: bytes | None, plan: bytes = b"{}") -> str:
        folder = PlanFolder(tmp_path / name)
        folder.folder.mkdir()
        folder.plan.write_bytes(plan)
        save_decoder(program, folder.files.program)
        client = Client(program, seed=seed)
        client.write_input(layer.layer.hidden, folder.files.inputs[0])
        client.write_keys(folder.files.keys, durable=False)
        files = folder.files
        return digest_of_job(folder.plan, files.program, files.inputs[0], files.keys)

    own = job("own", b"seed")
    assert job("again", b"seed") == own
    others = {job("other plan", b"seed", b"{ }"), job("other keys", b"another"), job("no seed", None)}
    assert len({own, *others}) == 4
