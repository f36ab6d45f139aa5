"""Where there is no GPU, `make gpu-check` says so in one line, before it does anything."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_without_a_gpu_it_fails_in_one_line(tmp_path: Path):
    script = Path(__file__).parent / "gpu_check.py"
    command = [sys.executable, str(script), "--results", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert "torch finds no GPU here" in done.stderr
    assert not list(tmp_path.iterdir())
