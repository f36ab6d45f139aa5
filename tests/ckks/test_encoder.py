"""The encoder against the definition: direct evaluation of the polynomial at the roots."""

import hashlib

import numpy as np
import pytest

from aegis_fhe.ckks import Encoder, SlotVector
from aegis_fhe.errors import LayoutError, ScaleError
from aegis_fhe.ring import _kernels

DEGREE = 64
SCALE = 2.0**40


def evaluate(coefficients: np.ndarray, degree: int) -> np.ndarray:
    """sum_k c_k zeta^(k 5^j), zeta = exp(i pi / degree), for every slot j."""
    exponents = [pow(5, j, 2 * degree) for j in range(degree // 2)]
    angles = np.outer(exponents, np.arange(coefficients.size)) % (2 * degree)
    return np.exp(1j * np.pi * angles / degree) @ coefficients


def spread(coefficients: np.ndarray) -> np.ndarray:
    """A polynomial in X^(N/M) written with all N coefficients."""
    full = np.zeros(DEGREE)
    full[:: DEGREE // coefficients.size] = coefficients
    return full


def random_values(rng, count):
    return rng.uniform(-1, 1, count) + 1j * rng.uniform(-1, 1, count)


def test_encode_is_evaluation_inverted(rng):
    values = random_values(rng, DEGREE // 2)
    coefficients = Encoder(DEGREE).encode(SlotVector(values), SCALE).numpy().astype(np.float64)
    assert np.abs(evaluate(coefficients, DEGREE) / SCALE - values).max() < DEGREE / SCALE


def test_decode_is_evaluation(rng):
    coefficients = rng.integers(-(2**30), 2**30, DEGREE).astype(np.float64)
    decoded = Encoder(DEGREE).decode(coefficients, SCALE).values
    np.testing.assert_allclose(decoded, evaluate(coefficients, DEGREE) / SCALE, rtol=0, atol=1e-15 * 2**10)


def test_rounding_is_to_the_nearest_integer(rng):
    # Coefficients recovered from exact slot values come back unchanged: no bias, no truncation.
    coefficients = rng.integers(-(2**35), 2**35, DEGREE)
    values = evaluate(coefficients.astype(np.float64) + rng.uniform(-0.4, 0.4, DEGREE), DEGREE)
    np.testing.assert_array_equal(Encoder(DEGREE).encode(SlotVector(values), 1.0).numpy(), coefficients)


@pytest.mark.parametrize("period", [1, 2, 4, 8, 16, 32])
def test_periodic_equals_dense(rng, period):
    encoder, values = Encoder(DEGREE), random_values(rng, period)
    compact = encoder.encode(SlotVector(values), SCALE).numpy()
    dense = encoder.encode(SlotVector(np.tile(values, DEGREE // 2 // period)), SCALE).numpy()
    assert compact.shape == (2 * period,)
    np.testing.assert_array_equal(spread(compact), dense)


def test_many_equals_one_by_one(rng):
    """A vector's integers do not depend on what it is encoded with: sharding may split a call."""
    encoder = Encoder(DEGREE)
    vectors = [SlotVector(random_values(rng, p)) for p in (8, 1, 8, 2)] + [None]
    together = encoder.encode_many(vectors, SCALE, 8).numpy()
    for row, vector in zip(together, vectors, strict=True):
        alone = np.zeros(DEGREE) if vector is None else spread(encoder.encode(vector, SCALE).numpy())
        np.testing.assert_array_equal(spread(row), alone)


def test_round_trip_at_full_degree(rng):
    encoder = Encoder(2**16)
    values = random_values(rng, 2**15)
    back = encoder.decode(encoder.encode(SlotVector(values), SCALE).numpy().astype(np.float64), SCALE)
    # Rounding errors have variance 1/12 for each of N coefficients: slots err by sqrt(N / 12) / scale.
    assert np.abs(back.values - values).max() < 6 * np.sqrt(2**16 / 12) / SCALE


def test_golden_integers():
    """Other machines, compilers and libraries must encode the same integers: sharded runs mix machines."""
    j = np.arange(2**15)
    values = (j * j * 7919 % 10007 - 5003) / 10007 + 1j * ((j * 31337 % 9973 - 4986) / 9973)
    digests = []
    for path in _kernels.available_loops():
        encoder = Encoder(2**16, path)
        coefficients = [encoder.encode(SlotVector(values[:p]), 2.0**45) for p in (2**15, 2**14, 32)]
        decoded = encoder.decode(coefficients[0].numpy().astype(np.float64), 2.0**45).values
        content = b"".join(c.numpy().astype("<i8").tobytes() for c in coefficients) + decoded.tobytes()
        digests.append(hashlib.sha256(content).hexdigest()[:16])
    assert digests == ["615ef79d9cb99265"] * len(digests)


def test_limits():
    encoder = Encoder(DEGREE)
    assert abs(int(encoder.encode(SlotVector.of(1.0), 2.0**61)[0])) == 2**61
    with pytest.raises(ScaleError, match="2\\^62"):
        encoder.encode(SlotVector.of(1.0), 2.0**62)
    with pytest.raises(LayoutError, match="32 slots"):
        encoder.encode(SlotVector(np.ones(64)), SCALE)
    with pytest.raises(LayoutError):
        encoder.encode_many([SlotVector(np.ones(16))], SCALE, 8)
