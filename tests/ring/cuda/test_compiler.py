"""NVRTC compiles every kernel for every architecture, without a GPU, and nothing lies in slow memory."""

from __future__ import annotations

import sys

import pytest

from aegis_fhe.errors import ParameterError
from aegis_fhe.ring.cuda import compiler
from aegis_fhe.ring.cuda.compiler import Arithmetic, compile_kernels

pytest.importorskip("cuda.core", reason="needs aegis-fhe[cuda]")

KERNELS = {
    *("forward_pass", "inverse_pass", "entrywise", "sum", "automorphism", "from_signed", "table", "convert"),
    *("key_product", "tensor", "periodic"),
}
REGISTERS = 65536  # of a multiprocessor
THREADS = 256


@pytest.mark.parametrize("architecture", ["sm_80", "sm_90", "sm_100"])
@pytest.mark.parametrize("arithmetic", ["Fp64", "Words"])
def test_kernels_compile_and_keep_everything_in_registers(architecture: str, arithmetic: Arithmetic) -> None:
    image = compile_kernels(architecture, arithmetic)
    assert image.code[:4] == b"\x7fELF"
    assert {kernel.name for kernel in image.resources} == KERNELS
    for kernel in image.resources:
        assert (kernel.stack_bytes, kernel.spill_bytes) == (0, 0), kernel
        blocks = REGISTERS // (kernel.registers * THREADS)
        assert blocks >= (2 if arithmetic == "Fp64" and kernel.name.endswith("pass") else 1), kernel


def test_a_refusal_is_told_in_the_compilers_words() -> None:
    with pytest.raises(ParameterError, match="sm_1"):
        compile_kernels("sm_1", "Fp64")


def test_without_the_compiler_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cuda.bindings", None)
    with pytest.raises(ParameterError, match=r"pip install 'aegis-fhe\[cuda\]'"):
        compiler.compiler_version()


def test_the_digest_covers_every_source_that_is_included() -> None:
    """A header that the kernels take from outside their folder must be among those that are hashed."""
    included = set()
    for path in (compiler.SOURCES / "device").iterdir():
        if path.suffix in (".h", ".cu") and path.name not in HOST_ONLY:
            lines = [line for line in path.read_text().splitlines() if line.startswith('#include "')]
            included |= {line.split('"')[1] for line in lines}
    pending = [name for name in included if not name.startswith("device/")]
    reached = set()
    while pending:
        name = pending.pop()
        reached.add(name)
        text = (compiler.SOURCES / name).read_text()
        own = {line.split('"')[1] for line in text.splitlines() if line.startswith('#include "')}
        pending += own - reached
    assert reached == set(compiler._SHARED)


HOST_ONLY = {"device_ring.h", "driver.h", "launcher.h", "addresses.h", "geometry.h"}
