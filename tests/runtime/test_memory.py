"""Limits of enclosing cgroups count, shortage is said with numbers, and a child's peak is its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

import aegis_fhe
from aegis_fhe.errors import CapacityError
from aegis_fhe.runtime.memory import available_bytes, peak_bytes, require_memory

MIB = 2**20


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_without_limits_it_is_the_system(tmp_path: Path) -> None:
    assert 0 < available_bytes(tmp_path) <= psutil.virtual_memory().total


def test_cgroup_2_takes_the_tightest_ancestor(tmp_path: Path) -> None:
    write(tmp_path / "proc/self/cgroup", "0::/jobs/mine\n")
    groups = tmp_path / "sys/fs/cgroup"
    for name, limit, usage in [
        ("", "max", 900),
        ("jobs/", str(100 * MIB), 70 * MIB),
        ("jobs/mine/", "max", 50 * MIB),
    ]:
        write(groups / f"{name}memory.max", limit)
        write(groups / f"{name}memory.current", str(usage))
    assert available_bytes(tmp_path) == 30 * MIB
    write(groups / "jobs/memory.stat", f"anon 1\ninactive_file {5 * MIB}\n")
    assert available_bytes(tmp_path) == 35 * MIB


def test_cgroup_1_in_a_container_uses_the_mounted_root(tmp_path: Path) -> None:
    write(tmp_path / "proc/self/cgroup", "5:cpu:/x\n3:memory:/docker/abc\n")
    write(tmp_path / "sys/fs/cgroup/memory/memory.limit_in_bytes", str(10 * MIB))
    write(tmp_path / "sys/fs/cgroup/memory/memory.usage_in_bytes", str(12 * MIB))
    assert available_bytes(tmp_path) == 0


def test_shortage_is_said_with_numbers_and_cure() -> None:
    require_memory(5, "the sub-layer", available=5)
    with pytest.raises(
        CapacityError, match=r"the sub-layer needs 31.20 GiB .* 24.00 GiB are available; use G = 2"
    ):
        require_memory(int(31.2 * 2**30), "the sub-layer", available=24 << 30, cure="use G = 2")
    with pytest.raises(CapacityError, match="more memory"):
        require_memory(2**60, "all")


def test_peak_is_the_process_own_not_its_parents() -> None:
    ballast = bytearray(os.urandom(1) * (400 * MIB))
    assert peak_bytes() > len(ballast)
    code = "from aegis_fhe.runtime.memory import peak_bytes; print(peak_bytes())"
    environment = {**os.environ, "PYTHONPATH": str(Path(aegis_fhe.__file__).parents[1])}
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment, check=True)
    assert 4 * MIB < int(answer.stdout) < 300 * MIB
