"""Kernels of a GPU, on emulated threads: the same bits for every way of laying them over their work.

That they equal the portable path is shown in test_paths; here the tiles and the order of threads vary, and
jobs are too large for one launch.
"""

from __future__ import annotations

import pytest
import torch

from aegis_fhe.ring import engine, find_primes, native, sampling
from aegis_fhe.ring.keyswitching import KeyHalves, SwitchOperand

from . import oracle
from .rings import Ring
from .test_paths import moduli_for, operations

GPUS = [path for path in native.EMULATED if native.off_host(path)]


@pytest.fixture(params=[False, True], ids=["forwards", "backwards"])
def order(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads of a phase in either order: a result that depends on it is a race on a GPU."""
    monkeypatch.setattr(engine, "EMULATED_BACKWARDS", request.param)


@pytest.mark.usefixtures("order")
@pytest.mark.parametrize("path", GPUS)
@pytest.mark.parametrize(
    ("log_degree", "log_tile"),
    [(3, 0), (5, 3), (7, 4), (9, 5), (10, 6), (11, 12), (12, 7), (13, 12), (8, 12)],
)
def test_equal_to_portable_in_tiles_of_any_size(
    path: str, log_degree: int, log_tile: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "EMULATED_TILE", log_tile)
    degree = 1 << log_degree
    moduli = moduli_for(degree)
    portable, device = operations(Ring(degree, moduli, "portable")), operations(Ring(degree, moduli, path))
    for name in portable:
        assert torch.equal(portable[name](), device[name]()), name


@pytest.fixture(params=GPUS)
def rings(request: pytest.FixtureRequest) -> tuple[Ring, Ring]:
    moduli = find_primes(50, 64, 3) + find_primes(40, 64, 2)
    return Ring(64, moduli, "portable"), Ring(64, moduli, request.param)


def residues(ring: Ring, count: int, components: int = 2) -> list[torch.Tensor]:
    every = range(len(ring.moduli))
    shape = (components, len(ring.moduli), ring.degree)
    drawn = [
        sampling.uniform(ring, every, bytes(32), bytes([i % 256, i // 256]))
        for i in range(count * components)
    ]
    return [torch.stack(drawn[i * components :][:components]).reshape(shape) for i in range(count)]


def test_more_operands_than_a_job_has_room_for(rings: tuple[Ring, Ring]) -> None:
    every, count = (0, 1, 2, 3, 4), 200
    x, y = residues(rings[0], count), residues(rings[0], count)
    factors = [3**i for i in range(count)]
    for run in (
        lambda ring: ring.dot(x, y, every),
        lambda ring: ring.sum([*x, *y], every),
        lambda ring: ring.combination(x, factors, every, constant=7),
        lambda ring: ring.periodic_dot(x, torch.stack(y)[None, :, 0, :, :8].contiguous(), every),
        lambda ring: ring.tensor_product([x[:100], x[100:]], [y[i : i + 2] for i in range(0, 200, 2)], every)[
            1
        ][0],
    ):
        assert torch.equal(run(rings[0]), run(rings[1]))


def test_a_product_with_more_terms_than_a_sum_in_doubles_takes(rings: tuple[Ring, Ring]) -> None:
    """1024 products fit the halves of an unreduced sum, and 512 pairs of them."""
    every, count = (0, 1, 2, 3, 4), 1030
    largest = torch.tensor([[q - 1] for q in rings[0].moduli]).repeat(1, 64)
    x = torch.stack([largest, largest])
    weights = largest[:, :4].repeat(3, count, 1, 1)
    for run in (
        lambda ring: ring.periodic_dot([x] * count, weights, every),
        lambda ring: ring.tensor_product([[x] * count], [[x]] * count, every)[0][0],
    ):
        assert torch.equal(run(rings[0]), run(rings[1]))


def test_a_division_of_more_polynomials_than_one_launch_takes(rings: tuple[Ring, Ring]) -> None:
    x = torch.cat(residues(rings[0], 19))[:37].contiguous()
    for keep, drop in (((0, 1, 2), (3, 4)), ((0, 1, 2, 3), (4,))):
        for galois in (1, 5):
            expected = rings[0].mod_down(x, keep, drop, galois=galois)
            assert torch.equal(rings[1].mod_down(x, keep, drop, galois=galois), expected)


def test_a_key_for_more_operands_than_share_a_reading(rings: tuple[Ring, Ring]) -> None:
    limbs, ends = (0, 1, 3, 4), (1, 2)
    b, a, *rest = residues(rings[0], 12)
    key = KeyHalves(b=b[:, :4].contiguous(), a=a[:, :4].contiguous())

    def switched(ring: Ring) -> list[torch.Tensor]:
        digits = ring.mod_up_each([x[0, :2].contiguous() for x in rest], ends, limbs)
        addends = [[x[1, :2].contiguous()] for x in rest]
        operands = [SwitchOperand(d, c) for d, c in zip(digits, addends, strict=True)]
        return ring.switch_key(operands, key, 2, factor=5, galois=13)

    for mine, expected in zip(switched(rings[1]), switched(rings[0]), strict=True):
        assert torch.equal(mine, expected)


@pytest.mark.parametrize("path", GPUS)
def test_digits_of_more_polynomials_than_one_launch_takes(path: str) -> None:
    moduli = find_primes(50, 256, 2) + find_primes(40, 256, 3)
    limbs, ends = (0, 1, 3, 4), (1, 2)
    ds = [oracle.random_residues(moduli, 256, seed=i)[:2].contiguous() for i in range(19)]
    portable, device = Ring(256, moduli, "portable"), Ring(256, moduli, path)
    for d, mine in zip(ds, device.mod_up_each(ds, ends, limbs), strict=True):
        assert torch.equal(mine.extended, portable.mod_up(d, ends, limbs).extended)


@pytest.mark.parametrize("path", GPUS)
def test_digits_with_more_rows_than_one_launch_names(path: str) -> None:
    """24 digits of one limb, each in 24 others: 552 rows to transform."""
    moduli = find_primes(40, 16, 25)
    x = oracle.random_residues(moduli, 16, seed=3)[:24].contiguous()
    portable, device = Ring(16, moduli, "portable"), Ring(16, moduli, path)
    expected = portable.mod_up(x, range(1, 25), range(25)).extended
    assert expected.shape[0] > 512
    assert torch.equal(device.mod_up(x, range(1, 25), range(25)).extended, expected)


@pytest.mark.parametrize("path", GPUS)
def test_conversion_from_many_sources_in_few_coefficients_at_a_time(path: str) -> None:
    moduli = find_primes(45, 256, 128)
    x = oracle.random_residues(moduli, 256, seed=4)
    source, target = range(120), range(120, 128)
    portable, device = Ring(256, moduli, "portable"), Ring(256, moduli, path)
    expected = portable.convert(x[:120].contiguous(), source, target)
    assert torch.equal(device.convert(x[:120].contiguous(), source, target), expected)


@pytest.mark.parametrize("path", GPUS)
def test_secrets_and_results_stay_on_the_host(path: str) -> None:
    ring = Ring(64, find_primes(40, 64, 2), path)
    assert ring.host.path == native.available_paths()[0]
    assert ring.host.host is ring.host
    assert ring.host.moduli == ring.moduli
    with pytest.raises(RuntimeError, match="host"):
        ring._native.lift_row(0, 0, 0, 0, 0)
    with pytest.raises(RuntimeError, match="host"):
        ring._native.mask_row(0, 0, 0, 0, 0, 0)
    with pytest.raises(RuntimeError, match="host"):
        ring._native.to_centred_double(0, 0, [0])
