"""Run by test_driver, in a process that finds the driver of fake_driver.cpp: `python driven.py CASE`."""

from __future__ import annotations

import ctypes
import gc
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[2]))

from aegis_fhe.ckks import EvaluationKeys, Evaluator, KeyRequest, SlotVector, presets
from aegis_fhe.ckks.secret import SecretKey, decrypt, encrypt, evaluation_keys
from aegis_fhe.ring import Ring, _kernels
from aegis_fhe.ring.copies import Copies
from aegis_fhe.ring.cuda import copies
from aegis_fhe.ring.cuda import device as devices
from aegis_fhe.ring.cuda.arena import CudaArena
from ring.test_paths import moduli_for, operations

FAKE = ctypes.CDLL("libcuda.so.1")
STREAM = 7


class HostedArena(CudaArena):
    """Memory of this process in place of a GPU's; scratch that is not given back, or twice, is an error."""

    taken: dict[int, torch.Tensor] = {}  # noqa: RUF012

    def take(self, size: int) -> int:
        memory = torch.full((size,), 0x5A, dtype=torch.uint8)
        self.taken[memory.data_ptr()] = memory
        return memory.data_ptr()

    def give(self, address: int) -> None:
        del self.taken[address]


def on_fake_gpu(arithmetic: devices.Arithmetic) -> None:
    """Let the path "cuda" be the fake GPU, whose memory torch takes for the host's."""
    here = torch.device("cpu")
    launcher = _kernels.CudaLauncher(0, arithmetic.encode() + b"\0", arithmetic == "Words")
    devices.check_device = lambda path: here
    devices.open_device = lambda device: devices.CudaDevice(torch.device("cuda", 0), launcher, arithmetic)
    sys.modules["aegis_fhe.ring.cuda.arena"].CudaArena = HostedArena
    copies.CudaCopies = Copies
    torch._C._cuda_getCurrentRawStream = lambda index: STREAM


def every_operation(arithmetic: devices.Arithmetic) -> None:
    on_fake_gpu(arithmetic)
    for degree in (8, 256, 8192):
        portable = operations(Ring(degree, moduli_for(degree), "portable"))
        ring = Ring(degree, moduli_for(degree), "cuda")
        assert ring.path == "cuda:0", ring.path
        for name, run in operations(ring).items():
            assert torch.equal(run(), portable[name]()), (degree, name)
    assert FAKE.fake_last_stream() == STREAM
    assert not HostedArena.taken
    assert FAKE.fake_allocations() > 0  # tables
    del ring, run
    gc.collect()
    assert FAKE.fake_allocations() == 0
    print(FAKE.fake_launches())


def a_program() -> None:
    """Encrypt, rotate, multiply, decrypt: the bits of the host."""
    on_fake_gpu("Fp64")
    results = []
    for path in ("portable", "cuda"):
        params = presets.insecure(log_degree=10, levels=4, digit_size=2)
        params = type(params)(**params.to_dict(), kernel_path=path)
        secret = SecretKey.generate(params, seed=b"s")
        requests = [KeyRequest("relin", 4), KeyRequest(3, 4)]
        keys = EvaluationKeys.collect(params, evaluation_keys(secret, requests, seed=b"k"))
        evaluator = Evaluator(params, keys)
        x = encrypt(secret, SlotVector.of([0.5, 0.25, -1.0, 2.0] * 128), seed=b"x").expand(params)
        y = evaluator.relinearize_rescale(evaluator.multiply(evaluator.rotate(x, 3), x))
        results.append((y.parts, decrypt(secret, y).values))
    assert torch.equal(results[0][0], results[1][0])
    assert (results[0][1] == results[1][1]).all()


def a_refusal() -> None:
    """The driver's words, not a crash."""
    try:
        on_fake_gpu("Fp64")
        ring = Ring(64, moduli_for(64), "cuda")
        ring.neg(ring.arena.empty((len(ring.moduli), 64)), range(len(ring.moduli)))
    except RuntimeError as error:
        print(error)


if __name__ == "__main__":
    {
        "fp64": lambda: every_operation("Fp64"),
        "words": lambda: every_operation("Words"),
        "program": a_program,
        "refusal": a_refusal,
    }[sys.argv[1]]()
