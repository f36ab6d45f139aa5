"""The module says how it was built, and the build of `make sanitize` catches what it is there to catch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from aegis_fhe.ring import _kernels

CHECKED = bool(_kernels.build_info()["sanitizers"])

# Goes around the checks of Ring: the kernels get the address of a row that is half as long as they are told.
PROGRAM = """
import sys
sys.path.insert(0, {tests!r})
import checked_kernels
checked_kernels.use({library!r})

import torch
from aegis_fhe.ring import Ring, find_primes
ring = Ring(1024, find_primes(50, 1024, 1), {path!r})
long, short = torch.zeros(1024, dtype=torch.int64), torch.zeros(512, dtype=torch.int64)
print("started", flush=True)
x, out = (short, long) if {reading!r} else (long, short)
ring._native.ntt(x.data_ptr(), out.data_ptr(), 1, [0])
print("not caught")
"""


def test_build_info_names_the_compiler() -> None:
    info = _kernels.build_info()
    assert info["compiler"][0].isdigit() or "lang" in info["compiler"]
    assert info["sanitizers"] in ("", "address,undefined")


@pytest.mark.skipif(not CHECKED, reason="for the build of `make sanitize`")
@pytest.mark.parametrize("reading", [True, False], ids=["read", "write"])
@pytest.mark.parametrize("path", [*_kernels.available_paths(), "emulated-ifma"])
def test_an_access_past_the_end_of_a_row_ends_the_process(path: str, reading: bool) -> None:
    tests = str(Path(__file__).parents[1])
    program = PROGRAM.format(tests=tests, library=_kernels.__file__, path=path, reading=reading)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout == "started\n"
    assert done.returncode != 0
    assert "heap-buffer-overflow" in done.stderr
    assert ("READ of size" if reading else "WRITE of size") in done.stderr
