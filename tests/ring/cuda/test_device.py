"""How a GPU is made ready: which one a path names, its arithmetic, what is said where kernels do not load.

Without a GPU: torch's answers are stood in for, and this machine has no driver.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from aegis_fhe.errors import ParameterError
from aegis_fhe.ring.cuda import device as devices
from aegis_fhe.ring.cuda.compiler import KernelImage

GPU = torch.device("cuda", 0)


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[str, str]]:
    """What was compiled: architecture and arithmetic."""
    found: list[tuple[str, str]] = []

    def compile_kernels(architecture: str, arithmetic: devices.Arithmetic) -> KernelImage:
        found.append((architecture, arithmetic))
        return KernelImage(code=b"machine code", resources=())

    monkeypatch.setenv("AEGIS_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(devices, "compile_kernels", compile_kernels)
    monkeypatch.setattr(devices, "compiler_version", lambda: "13.5")
    monkeypatch.setattr(torch.cuda, "init", lambda: None)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "a GPU")
    monkeypatch.setattr(torch._C, "_cuda_getDriverVersion", lambda: 12080, raising=False)
    return found


@pytest.mark.skipif(torch.cuda.is_available(), reason="here they load")
def test_kernels_that_do_not_load_name_compiler_and_driver(compiled: list[tuple[str, str]]) -> None:
    with pytest.raises(ParameterError, match=r"libcuda.*NVRTC 13\.5, the driver knows CUDA up to 12\.8"):
        devices._load(GPU, "Fp64")
    with pytest.raises(ParameterError):
        devices._load(GPU, "Fp64")
    assert compiled == [("sm_90", "Fp64")]  # kept on disk


@pytest.mark.parametrize(("fp64", "words", "chosen"), [(1.0, 2.0, "Fp64"), (2.0, 1.0, "Words")])
def test_the_faster_arithmetic_is_chosen_once(
    compiled: list[tuple[str, str]],
    monkeypatch: pytest.MonkeyPatch,
    fp64: float,
    words: float,
    chosen: str,
) -> None:
    trials: list[str] = []

    def seconds(device: torch.device, arithmetic: str) -> float:
        trials.append(arithmetic)
        return {"Fp64": fp64, "Words": words}[arithmetic]

    monkeypatch.setattr(devices, "_trial_seconds", seconds)
    monkeypatch.setattr(devices, "_load", lambda device, arithmetic: arithmetic)
    for _ in range(2):
        devices.open_device.cache_clear()
        opened = devices.open_device(GPU)
        assert (opened.arithmetic, opened.launcher) == (chosen, chosen)
    devices.open_device.cache_clear()
    assert sorted(trials) == ["Fp64", "Words"]


def test_a_path_names_a_gpu_that_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ParameterError, match="names no GPU"):
        devices.check_device("cuda:first")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ParameterError, match="torch finds no GPU here"):
        devices.check_device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    assert devices.check_device("cuda") == torch.device("cuda", 1)
    assert devices.check_device("cuda:0") == torch.device("cuda", 0)
    with pytest.raises(ParameterError, match="this machine has 2"):
        devices.check_device("cuda:2")
