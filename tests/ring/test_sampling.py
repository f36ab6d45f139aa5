"""Samplers: the distribution from both sides, determinism, separation of labels, and golden vectors."""

from __future__ import annotations

import hashlib
import math

import mpmath
import pytest
import torch

from aegis_fhe.errors import ParameterError
from aegis_fhe.ring import _kernels, find_primes, native, sampling

from .rings import Ring

KEY = bytes(range(32))
DEGREE = 1 << 15


def chi_square(counts: list[float], expected: list[float]) -> float:
    return sum((c - e) ** 2 / e for c, e in zip(counts, expected, strict=True))


def within_six_sigma(statistic: float, freedom: int) -> bool:
    """Both too far from and too close to the expectation are wrong."""
    return abs(statistic - freedom) < 6 * math.sqrt(2 * freedom)


@pytest.mark.parametrize("bits", [17.4, 40, 49.9])
def test_uniform_fills_the_range_evenly(bits: float) -> None:
    ring = Ring(64, find_primes(bits, 64, 1))
    q = ring.moduli[0]
    samples = torch.cat(
        [sampling.uniform(ring, (0,), KEY, bytes([i, j]))[0] for i in range(16) for j in range(32)]
    )
    assert 0 <= samples.min() < samples.max() < q
    counts = torch.histc(samples.double() / q, 64, 0, 1).tolist()
    assert within_six_sigma(chi_square(counts, [len(samples) / 64] * 64), 63)


def test_uniform_residues_of_a_tiny_modulus_are_even() -> None:
    ring = Ring(2048, [12289])  # the rejection of the largest words decides here
    samples = torch.cat([sampling.uniform(ring, (0,), KEY, bytes([i])) for i in range(60)]).flatten()
    counts = torch.bincount(samples, minlength=12289).tolist()
    assert within_six_sigma(chi_square(counts, [len(samples) / 12289] * 12289), 12288)


def test_uniform_limbs_are_independent_of_the_company() -> None:
    ring = Ring(1024, find_primes(40, 1024, 3))
    together = sampling.uniform(ring, (0, 1, 2), KEY, b"label")
    assert torch.equal(sampling.uniform(ring, (2, 0), KEY, b"label"), together[[2, 0]])
    assert not torch.equal(together[0], together[1])


def test_ternary() -> None:
    samples = sampling.ternary(DEGREE, KEY, b"secret")
    counts = [(samples == v).sum().item() for v in (-1, 0, 1)]
    assert sum(counts) == DEGREE
    assert chi_square(counts, [DEGREE / 3] * 3) < 2 + 6 * 2


def test_gaussian_moments_and_histogram() -> None:
    samples = torch.cat([sampling.gaussian(DEGREE, KEY, bytes([i])) for i in range(8)])
    count = len(samples)
    assert abs(samples.double().mean().item()) < 6 * 3.19 / math.sqrt(count)
    assert abs(samples.double().var().item() / 3.19**2 - 1) < 6 * math.sqrt(2 / count)
    weights = {k: math.exp(-k * k / (2 * 3.19**2)) for k in range(-60, 61)}
    total = sum(weights.values())
    inner = range(-11, 12)
    counts = [(samples == k).sum().item() for k in inner]
    expected = [count * weights[k] / total for k in inner]
    assert within_six_sigma(chi_square(counts, expected), len(inner) - 1)


def test_gaussian_table_has_63_exact_bits() -> None:
    mpmath.mp.dps = 50
    sigma = mpmath.mpf("3.19")
    weights = [mpmath.exp(-k * k / (2 * sigma**2)) * (2 if k else 1) for k in range(80)]
    total = mpmath.fsum(weights)
    table = sampling.gaussian_table()
    expected = [int(mpmath.floor(mpmath.fsum(weights[: k + 1]) / total * 2**63)) for k in range(len(table))]
    assert list(table) == expected
    assert table[-1] >= 2**63 - 1 > table[-2]


def random_words(count: int, seed: int) -> list[int]:
    stream = hashlib.shake_256(bytes([seed])).digest(8 * count)
    return [int.from_bytes(stream[i : i + 8], "little") for i in range(0, 8 * count, 8)]


def as_words(values: list[int]) -> torch.Tensor:
    return torch.tensor([v - 2**64 if v >= 2**63 else v for v in values])


@pytest.mark.parametrize("path", _kernels.available_loops())
@pytest.mark.parametrize("bits", [3, 13.5, 32, 33, 40, 50])
def test_uniform_takes_the_high_word_and_refuses_by_the_low(path: str, bits: float) -> None:
    q = find_primes(bits, 16, 1)[0] if bits > 8 else 7
    border = 2**64 % q
    # Words whose product with q has a low word around the border: w = low / q modulo 2^64.
    crafted = [(border + d) * pow(q, -1, 2**64) % 2**64 for d in (-1, 0, 1)] + [
        0,
        2**64 - 1,
        2**63,
        2**32 - 1,
    ]
    words = random_words(200, 1) + crafted + random_words(130, 2) + [0, 0, 0] + random_words(7, 3)
    expected = [w * q >> 64 for w in words if w * q % 2**64 >= border]
    assert len(expected) <= len(words) - 5
    memory = as_words(words)
    for wanted in (1, 63, 200, 205, 300, len(expected), len(words)):
        out = torch.full((len(words),), -1)
        count = _kernels.sample_uniform(memory.data_ptr(), len(words), q, out.data_ptr(), wanted, path)
        assert count == min(wanted, len(expected))
        assert out[:count].tolist() == expected[:count]
        assert (out[wanted:] == -1).all()


@pytest.mark.parametrize("path", _kernels.available_loops())
def test_table_scan_counts_the_entries_that_a_word_reaches(path: str) -> None:
    table = sampling.gaussian_table()
    words = [2 * (entry + d) + sign for entry in table[:-1] for d in (-1, 0, 1) for sign in (0, 1)]
    words = [w for w in words if w < 2**64] + [0, 1, 2**64 - 1, 2**64 - 2] + random_words(100, 4)
    expected = [sum(w // 2 >= entry for entry in table) * (-1 if w & 1 else 1) for w in words]
    memory, out = as_words(words), torch.full((len(words) + 1,), 99)
    for count in (0, 1, 64, 65, len(words)):
        out[:] = 99
        _kernels.sample_table(memory.data_ptr(), count, table, out.data_ptr(), path)
        assert out[:count].tolist() == expected[:count]
        assert (out[count:] == 99).all()


def test_rows_of_many_threads_are_those_of_one() -> None:
    ring = Ring(1024, find_primes(50, 1024, 5))
    alone = sampling.uniform(ring, range(5), KEY, b"label")
    native.set_threads(3)
    assert torch.equal(sampling.uniform(ring, range(5), KEY, b"label"), alone)
    row = torch.empty(1024, dtype=torch.int64)
    sampling.uniform_row(ring, 3, KEY, b"label", row)
    assert torch.equal(row, alone[3])


def test_same_arguments_same_samples_and_labels_separate() -> None:
    for draw in (sampling.gaussian, sampling.ternary):
        first = draw(1024, KEY, b"a")
        assert torch.equal(first, draw(1024, KEY, b"a"))
        assert not torch.equal(first, draw(1024, KEY, b"b"))
        assert not torch.equal(first, draw(1024, bytes(32), b"a"))


def test_longer_draws_extend_shorter_ones() -> None:
    # Pieces of the keystream are consumed in order, whatever their size.
    for draw in (sampling.gaussian, sampling.ternary):
        assert torch.equal(draw(1 << 17, KEY, b"a")[:1000], draw(1000, KEY, b"a"))


def digest(samples: torch.Tensor) -> str:
    return hashlib.sha256(samples.numpy().astype("<i8").tobytes()).hexdigest()[:16]


def test_golden_vectors() -> None:
    """Made by version 0.1.0: a change breaks every seed-compressed key and ciphertext in store."""
    ring = Ring(1 << 12, find_primes(40, 1 << 12, 1))
    assert digest(sampling.uniform(ring, (0,), KEY, b"golden")) == "ad036f791d1d4877"
    refusing = Ring(1 << 16, (1050501756223489,))  # three words are refused, by a count in Python integers
    assert digest(sampling.uniform(refusing, (0,), KEY, b"golden")) == "178de3afc5cddd80"
    assert digest(sampling.gaussian(1 << 12, KEY, b"golden")) == "c268dc5b6469084b"
    assert digest(sampling.ternary(1 << 12, KEY, b"golden")) == "786b24197f26532d"


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_keys_of_other_lengths_are_refused(length: int) -> None:
    with pytest.raises(ParameterError, match="32 are expected"):
        sampling.ternary(16, bytes(length), b"")
    with pytest.raises(ParameterError, match="32 are expected"):
        sampling.uniform(Ring(16, find_primes(40, 16, 1)), (0,), bytes(length), b"")
