"""`aegis calibrate`: the ranges as a file, and a report of how near the texts came to them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from aegis_fhe.bench.link_calibration import calibrate_link
from aegis_fhe.circuits.bootstrap import presets
from aegis_fhe.cli import calibrate_kernels, calibrate_processes
from aegis_fhe.models.minilm.recipe import ShippedRanges
from aegis_fhe.models.text_encoder import TextEncoder
from aegis_fhe.placement.cost import (
    DeviceFile,
    Network,
    Setting,
    load_device,
    load_network,
    read_device_file,
)
from models.minilm.words import numbers_encoder, random_texts

from .conftest import Answer

Aegis = Callable[..., Answer]


@pytest.fixture
def samples(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Twenty texts, and a tiny encoder to calibrate."""
    monkeypatch.setattr(TextEncoder, "load", lambda folder: numbers_encoder())
    path = tmp_path / "samples.txt"
    path.write_text("\n".join(random_texts(20, seed=3)))
    return path


def test_ranges_and_how_near_the_texts_came(aegis: Aegis, samples: Path, tmp_path: Path) -> None:
    output = tmp_path / "ranges.json"
    answer = aegis("calibrate", samples, "-o", output, "--tokens", 16)
    assert answer.status == 0, answer.err
    found = msgspec.json.decode(output.read_bytes(), type=ShippedRanges)
    assert found.near_bounds is not None
    near = found.near_bounds
    assert f"{near.near} of {near.texts} (" in " ".join(answer.out.split())
    assert near.texts > 20
    assert f"Ranges on {near.texts} windows of 20 texts" in answer.out
    again = aegis("calibrate", samples, "-o", output, "--tokens", 16, "--json")
    assert again.out.count("\n") == 1
    assert msgspec.json.decode(again.out, type=ShippedRanges) == found


@pytest.mark.parametrize("device", [(), ("--device", "emulated-gpu")], ids=["processor", "gpu"])
def test_this_machine(
    aegis: Aegis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: tuple[str, ...]
) -> None:
    """On a small ring: the file is one that plans can be made with, and says where it comes from."""
    monkeypatch.setattr(calibrate_kernels, "bootstrap_plan", lambda: presets.insecure(9))
    output = tmp_path / "here.json"
    answer = aegis("calibrate", "--kernels", "-o", output, "--json", *device)
    assert answer.status == 0, answer.err
    found = read_device_file(output)
    assert msgspec.json.decode(answer.out, type=DeviceFile) == found
    assert found.provenance.startswith("measured on ")
    assert ("kernels emulated-gpu" in found.provenance) == bool(device)
    one_thread = load_device(output, 1)
    assert (one_thread.log_degree, one_thread.threads, one_thread.measured) == (9, 1, True)
    assert not load_device("h100").measured
    assert "inverse_ntt" in answer.err


def test_what_is_between_processes(aegis: Aegis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that plans take as a link, and that says it was measured, in two rounds here."""
    monkeypatch.setattr(calibrate_processes, "calibrate_link", lambda: calibrate_link(rounds=2))
    output = tmp_path / "link.json"
    answer = aegis("calibrate", "--link", "-o", output, "--json")
    assert answer.status == 0, answer.err
    found = load_network(output)
    assert msgspec.json.decode(answer.out, type=Network) == found
    assert found.measured
    assert found.link.latency_seconds > 0
    assert not load_network("pcie5").measured


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("texts.txt", "--kernels"),
        ("texts.txt", "--link"),
        ("--kernels", "--link"),
        ("texts.txt", "--check"),
    ],
)
def test_texts_or_kernels(aegis: Aegis, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    answer = aegis("calibrate", *arguments, "-o", tmp_path / "never.json")
    assert answer.status == 2
    assert "--kernels" in answer.err
    assert not (tmp_path / "never.json").exists()


@pytest.mark.parametrize(("times", "busy"), [(1.2, False), (1.5, True)])
def test_a_busy_machine_is_named(capsys: pytest.CaptureFixture[str], times: float, busy: bool) -> None:
    h100 = load_device("h100")
    slower = msgspec.structs.replace(h100.kernels, ntt=times * h100.kernels.ntt)
    setting = Setting(threads=2, median=slower, fastest=h100.kernels, memory_bytes_per_second=1e10)
    facts = {"name": "x", "provenance": "measured", "log_degree": 16, "memory_bytes": 1 << 30}
    calibrate_kernels.report(Console(), DeviceFile(**facts, settings=(setting,)))
    assert ("the machine was busy" in " ".join(capsys.readouterr().out.split())) == busy
