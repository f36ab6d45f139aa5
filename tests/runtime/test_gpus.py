"""Which worker takes which GPU, what is said where there are too few; torch is told of GPUs that are not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from aegis_fhe.errors import AegisError, CapacityError, ParameterError
from aegis_fhe.runtime import gpus

Gpus = Callable[[int], None]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Gpus:
    """A machine of so many GPUs with 10 GiB free, of which the first is the current one."""

    def of(count: int) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
        monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (10 << 30, 80 << 30))
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "GPU X")

    return of


def test_each_worker_takes_the_gpu_of_its_number(machine: Gpus):
    machine(4)
    assert [gpus.own_path("cuda", rank, 4) for rank in range(4)] == ["cuda:0", "cuda:1", "cuda:2", "cuda:3"]


def test_a_named_gpu_is_one_workers(machine: Gpus):
    machine(4)
    assert gpus.own_path("cuda:2", 0, 1) == "cuda:2"
    with pytest.raises(ParameterError, match="2 workers cannot share the GPU 'cuda:2'"):
        gpus.own_path("cuda:2", 0, 2)


@pytest.mark.parametrize(
    ("found", "workers", "message", "error"),
    [
        (1, 4, "4 workers, this machine has 1 GPU:", CapacityError),
        (2, 3, "3 workers, this machine has 2 GPUs:", CapacityError),
        (0, 1, "torch finds no GPU", ParameterError),
    ],
)
def test_too_few_are_counted(machine: Gpus, found: int, workers: int, message: str, error: type[AegisError]):
    machine(found)
    with pytest.raises(error, match=message):
        gpus.require_gpus("cuda", workers)


@pytest.mark.parametrize("path", ["portable", "emulated-gpu"])
def test_other_paths_ask_no_gpu(machine: Gpus, path: str):
    machine(0)
    gpus.require_gpus(path, 9)
    gpus.require_gpu_memory(path, 1 << 60, "it")
    assert gpus.own_path(path, 3, 9) == path
    assert gpus.enter(path) == torch.device("cpu")
    gpus.finish(torch.device("cpu"))


def test_a_worker_enters_its_gpu(machine: Gpus, monkeypatch: pytest.MonkeyPatch):
    machine(2)
    entered: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "set_device", entered.append)
    assert gpus.enter("cuda:1") == torch.device("cuda", 1)
    assert entered == [torch.device("cuda", 1)]


def test_memory_that_a_gpu_has_not_is_said_before(machine: Gpus):
    machine(1)
    gpus.require_gpu_memory("cuda", 10 << 30, "a device of the plan")
    message = r"a device of the plan needs 11.00 GiB on each GPU, 10.00 GiB are free on GPU X"
    with pytest.raises(CapacityError, match=message):
        gpus.require_gpu_memory("cuda", 11 << 30, "a device of the plan")


@pytest.mark.parametrize(
    ("text", "version"),
    [
        (
            "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5 22:23:56 2024",
            "550.54.15",
        ),
        ("NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build", "580.65.06"),
        ("something else", None),
    ],
)
def test_the_drivers_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, version: str | None):
    monkeypatch.setattr(gpus, "DRIVER_FILE", tmp_path / "version")
    assert gpus.driver_version() is None
    (tmp_path / "version").write_text(text)
    assert gpus.driver_version() == version
