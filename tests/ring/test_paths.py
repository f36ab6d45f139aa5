"""Every kernel path gives the bits of the portable one, for each operation, size and number of threads."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
import torch

from aegis_fhe.errors import ParameterError
from aegis_fhe.ring import find_primes, native, sampling
from aegis_fhe.ring.keyswitching import KeyHalves
from stand_in_gpu import NAME as STAND_IN

from . import oracle
from .rings import EVERY_PATH, Ring

FAST = [p for p in EVERY_PATH if p != "portable"]


def moduli_for(degree: int) -> tuple[int, ...]:
    sizes = ((50, 3), (49, 2), (46.5, 1), (40, 3), (24, 1))  # every way the lazy ranges are kept
    return tuple(q for bits, count in sizes for q in find_primes(bits, degree, count))


def operations(ring: Ring) -> dict[str, Callable[[], torch.Tensor]]:
    moduli, degree = ring.moduli, ring.degree
    count = len(moduli)
    every, low, high = tuple(range(count)), tuple(range(4)), tuple(range(4, count))
    seed = bytes(32)
    x, y = sampling.uniform(ring, every, seed, b"x"), sampling.uniform(ring, every, seed, b"y")
    largest = torch.tensor([[q - 1] for q in moduli]).repeat(1, degree)
    both = torch.stack([x, largest])
    scalars = [random.Random(i).randrange(-(2**90), 2**90) for i in every]
    weights = torch.stack([x[:, : degree // 4], y[:, : degree // 4]] * 5).reshape(5, 2, count, degree // 4)
    return {
        "ntt": lambda: ring.ntt(both, every),
        "intt": lambda: ring.intt(both, every),
        "add": lambda: ring.add(both, y, every),
        "sub": lambda: ring.sub(both, y, every),
        "mul": lambda: ring.mul(both, torch.stack([y, largest]), every),
        "mul_scalar": lambda: ring.mul_scalar(both, scalars, every),
        "add_scalar": lambda: ring.add_scalar(both, scalars, every),
        "dot": lambda: ring.dot([both] * 9, [y] * 9, every),
        "convert up": lambda: ring.convert(both[:, :4].contiguous(), low, high),
        "convert down": lambda: ring.convert(both[:, 4:].contiguous(), high, low),
        "mod_down": lambda: ring.mod_down(both, low, high),
        "rescale": lambda: ring.mod_down(both, every[:-1], every[-1:]),
        "automorphism": lambda: ring.automorphism(both, 2 * degree - 3),
        "periodic_dot": lambda: ring.periodic_dot([both, both.flip(0)], weights, every),
    } | (switching_operations(ring) if degree >= 8 else {})


def switching_operations(ring: Ring) -> dict[str, Callable[[], torch.Tensor]]:
    """Those of N = 8 and more; the key has a digit more and a level more than the polynomial."""
    limbs, above, ends = (0, 1, 2, 3, 5, 8), (0, 1, 2, 3, 4, 5, 8), (1, 3, 4)
    x = sampling.uniform(ring, above, bytes(32), b"x")
    largest = torch.tensor([[ring.moduli[i] - 1] for i in above]).repeat(1, ring.degree)
    key = KeyHalves(b=torch.stack([x, largest] * 2), a=torch.stack([largest, x.flip(1), x, largest]))
    addends = [x[:4].flip(1), largest[:4]]

    def summed(galois: int) -> torch.Tensor:
        digits = ring.mod_up(x[:4], ends, limbs)
        total = ring.add_key_product(None, digits, key, 5, addends[:1], 2**90)
        return ring.add_key_product(total, digits, key, galois, addends, 3)

    return {
        "mod_up": lambda: ring.mod_up(x[:4], ends, limbs).extended,
        "mod_up of the largest": lambda: ring.mod_up(largest[:4], ends, limbs).extended,
        "key_product": lambda: ring.key_product(ring.mod_up(x[:4], ends, limbs), key),
        "key_product and addends": lambda: ring.key_product(
            ring.mod_up(largest[:4], ends, limbs), key, addends, 2**90
        ),
        "add_key_product": lambda: summed(2 * ring.degree - 3),
        "mod_down and automorphism": lambda: ring.mod_down(
            torch.stack([x, largest]), above[:4], above[4:], galois=5
        ),
    }


@pytest.mark.parametrize("path", FAST)
@pytest.mark.parametrize("log_degree", range(2, 14))
def test_equal_to_portable(path: str, log_degree: int) -> None:
    degree = 1 << log_degree
    moduli = moduli_for(degree)
    portable, fast = operations(Ring(degree, moduli, "portable")), operations(Ring(degree, moduli, path))
    for name in portable:
        assert torch.equal(portable[name](), fast[name]()), name


@pytest.mark.parametrize("path", FAST)
@pytest.mark.parametrize("log_degree", [14, 15, 16])
def test_equal_to_portable_at_full_size(path: str, log_degree: int) -> None:
    degree = 1 << log_degree
    moduli = find_primes(50, degree, 1) + find_primes(40, degree, 1) + find_primes(49, degree, 1)
    portable, fast = Ring(degree, moduli, "portable"), Ring(degree, moduli, path)
    x = oracle.random_residues(moduli, degree, seed=1)
    x[:, : degree // 2] = torch.tensor([[q - 1] for q in moduli])
    transformed = portable.ntt(x, (0, 1, 2))
    assert torch.equal(fast.ntt(x, (0, 1, 2)), transformed)
    assert torch.equal(fast.intt(transformed, (0, 1, 2)), x)
    assert torch.equal(fast.mod_down(x, (0, 1), (2,)), portable.mod_down(x, (0, 1), (2,)))


def test_threads_do_not_change_results() -> None:
    ring = Ring(1024, moduli_for(1024))
    alone = {name: run() for name, run in operations(ring).items()}
    native.set_threads(2)
    assert native.get_threads() == 2
    for name, run in operations(ring).items():
        assert torch.equal(run(), alone[name]), name


def test_paths_are_listed_best_first_and_the_best_is_the_default(pytestconfig: pytest.Config) -> None:
    paths = native.available_paths()
    assert paths[-1] == "portable"
    chosen = pytestconfig.getoption("kernel_path")
    assert native.default_path() == (paths[0] if chosen is None else "cuda" if chosen == STAND_IN else chosen)
    assert Ring(16, find_primes(40, 16, 1)).path == native.default_path()
    with pytest.raises(ParameterError, match="threads"):
        native.set_threads(0)
