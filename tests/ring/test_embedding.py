"""The canonical embedding: accurate against higher precision, and the same bits on every path."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from numpy.typing import NDArray

from aegis_fhe.errors import LayoutError, ParameterError
from aegis_fhe.ring import _kernels, native
from aegis_fhe.ring.embedding import Embedding

PATHS = _kernels.available_loops()
UNIT = 2.0**-53
LARGEST = 1 << 12


def complex_values(count: int, seed: int) -> NDArray[np.complex128]:
    generator = np.random.default_rng(seed)
    return generator.normal(size=count) + 1j * generator.normal(size=count)


def real_values(count: int, seed: int) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(size=count)


def integers(embedding: Embedding, values: NDArray[np.complex128], scale: float) -> NDArray[np.int64]:
    """[K, n] values -> [K, 2n] coefficients."""
    out = np.zeros((len(values), 2 * values.shape[1]), dtype=np.int64)
    embedding.interpolate(values, scale, out)
    return out


def exact_points(size: int) -> list[mpmath.mpc]:
    """exp(i pi 5^j / 2n), j < n, with 50 digits."""
    mpmath.mp.dps = 50
    return [mpmath.expjpi(mpmath.mpf(pow(5, j, 4 * size)) / (2 * size)) for j in range(size)]


def relative(error: list[mpmath.mpc], result: list[mpmath.mpc]) -> float:
    return float(mpmath.sqrt(sum(abs(e) ** 2 for e in error) / sum(abs(r) ** 2 for r in result)))


@pytest.mark.parametrize("log_size", range(8))
def test_evaluation_is_within_its_bound(log_size: int) -> None:
    size = 1 << log_size
    coefficients = real_values(2 * size, log_size)
    (got,) = Embedding(LARGEST).evaluate(coefficients[None], 0.25)
    descending = [mpmath.mpf(float(c)) for c in coefficients[::-1]]
    exact = [mpmath.polyval(descending, point) / 4 for point in exact_points(size)]
    error = [complex(g) - e for g, e in zip(got, exact, strict=True)]
    # Size 1 has no stage and one rounding, by the factor.
    assert relative(error, exact) <= 7 * UNIT * max(log_size, 1)


@pytest.mark.parametrize("log_size", range(8))
def test_interpolation_is_within_its_bound(log_size: int) -> None:
    size, scale = 1 << log_size, 2.0**61
    values = complex_values(size, log_size) / 4
    got = integers(Embedding(LARGEST), values[None], scale)[0].tolist()
    points = exact_points(size)
    z = [mpmath.mpc(complex(v)) for v in values]
    exact = []
    for k in range(2 * size):  # m_k = Re(sum_j z_j conj(point_j)^k) / n
        exact.append(mpmath.re(sum(v * mpmath.conj(p) ** k for v, p in zip(z, points, strict=True))) / size)
    error = [g - e * mpmath.mpf(scale) for g, e in zip(got, exact, strict=True)]
    rounding = 0.5 / (scale * float(mpmath.sqrt(sum(e**2 for e in exact) / len(exact))))
    assert relative(error, [e * mpmath.mpf(scale) for e in exact]) <= 7 * UNIT * max(log_size, 1) + rounding


@pytest.mark.skipif(
    np.finfo(np.longdouble).eps > 1e-18, reason="long double has no more bits than double here"
)
def test_full_size_is_at_least_as_accurate_as_a_library_transform() -> None:
    size = 1 << 15
    coefficients = real_values(2 * size, 3)
    (got,) = Embedding(size).evaluate(coefficients[None], 1.0)
    slots = np.arange(0, size, 131)
    turns = np.array([pow(5, int(j), 4 * size) for j in slots])
    exponents = turns[:, None] * np.arange(2 * size) % (4 * size)
    pi = np.longdouble("3.14159265358979323846264338327950288")
    angles = np.arange(4 * size).astype(np.longdouble) * (pi / (2 * size))
    cosine, sine = np.cos(angles), np.sin(angles)
    exact = [((cosine[e] * coefficients).sum(), (sine[e] * coefficients).sum()) for e in exponents]
    index, twist = (turns - 1) // 4 % size, np.exp(1j * np.pi * np.arange(size) / (2 * size))
    library = (np.fft.ifft((coefficients[:size] + 1j * coefficients[size:]) * twist) * size)[index]

    def rms(values: NDArray[np.complex128]) -> float:
        errors = [(v.real - re) ** 2 + (v.imag - im) ** 2 for v, (re, im) in zip(values, exact, strict=True)]
        return float(np.sqrt(sum(errors) / len(errors)))

    norm = float(np.sqrt(sum(re**2 + im**2 for re, im in exact) / len(exact)))
    assert rms(got[slots]) <= 0.8 * UNIT * np.sqrt(15) * norm
    assert rms(got[slots]) <= rms(library)


@pytest.mark.parametrize("path", PATHS[:-1])
@pytest.mark.parametrize("log_size", [*range(13), 15])
def test_paths_agree_bit_for_bit(path: str, log_size: int) -> None:
    size = 1 << log_size
    fast, portable = Embedding(max(size, 64), path), Embedding(max(size, 64), "portable")
    assert (fast.path, portable.path) == (path, "portable")
    values, coefficients = complex_values(size, 1)[None], real_values(2 * size, 2)[None]
    for scale in (1.0, 2.0**40, 3.1e17):
        np.testing.assert_array_equal(integers(fast, values, scale), integers(portable, values, scale))
    np.testing.assert_array_equal(fast.evaluate(coefficients, 1 / 3), portable.evaluate(coefficients, 1 / 3))


def test_threads_and_companions_change_nothing() -> None:
    embedding = Embedding(LARGEST)
    values = np.stack([complex_values(1 << 11, seed) for seed in range(5)])
    rows = np.stack([real_values(1 << 12, seed) for seed in range(5)])
    alone = [integers(embedding, v[None], 2.0**40)[0] for v in values]
    decoded = [embedding.evaluate(row[None], 1.0)[0] for row in rows]
    for threads in (1, 2, 3):
        native.set_threads(threads)
        np.testing.assert_array_equal(integers(embedding, values, 2.0**40), alone)
        np.testing.assert_array_equal(embedding.evaluate(rows, 1.0), decoded)


@pytest.mark.parametrize("path", PATHS)
def test_rounding_is_to_even_up_to_the_limit(path: str) -> None:
    # Of size 1 the transform does nothing: real and imaginary part become the two coefficients.
    embedding = Embedding(1, path)
    inputs = [0.5, 1.5, 2.5, -0.5, -1.5, 0.49999999999999994, 2.0**31 + 0.5, 2.0**31 + 1.5, 2.0**51 + 0.5]
    inputs += [2.0**51 + 1.5, -(2.0**52) - 1, 2.0**53 - 1, 2.0**62 - 512, -(2.0**62) + 512, 5e-324, -0.0]
    for value in inputs:
        out = np.zeros((1, 2), dtype=np.int64)
        assert embedding.interpolate(np.array([[complex(value, -value)]]), 1.0, out) == abs(value)
        assert out.tolist() == [[round(value), round(-value)]]


@pytest.mark.parametrize("path", PATHS)
def test_what_does_not_fit_is_reported(path: str) -> None:
    embedding = Embedding(1, path)
    for value in (2.0**62, 1e300, np.inf):
        out = np.zeros((1, 2), dtype=np.int64)
        assert embedding.interpolate(np.array([[complex(value, 1)]]), 1.0, out) == value
    for k in range(3):
        values = np.array([[complex(1, np.nan if k == i else 2)] for i in range(3)])
        assert np.isnan(embedding.interpolate(values, 1.0, np.zeros((3, 2), dtype=np.int64)))


def test_other_rows_and_the_entries_between_are_left_alone() -> None:
    values, out = np.stack([complex_values(8, k) for k in range(2)]), np.full((4, 64), 7, dtype=np.int64)
    Embedding(8).interpolate(values, 2.0**30, out, [2, 0])
    np.testing.assert_array_equal(out[[2, 0], ::4], integers(Embedding(8), values, 2.0**30))
    assert (out.reshape(4, 16, 4)[:, :, 1:] == 7).all()
    assert (out[[1, 3]] == 7).all()
    assert Embedding(8).interpolate(values[:0], 1.0, out, []) == 0


def test_wrong_arguments_are_refused() -> None:
    embedding, out = Embedding(8), np.zeros((1, 16), dtype=np.int64)
    with pytest.raises(ParameterError, match="power of two"):
        Embedding(12)
    with pytest.raises(ParameterError, match="cannot run"):
        Embedding(8, "sse9")
    for values in (complex_values(16, 1)[None], complex_values(6, 1)[None], complex_values(8, 1)):
        with pytest.raises(LayoutError, match="from 1 to 8"):
            embedding.interpolate(values, 1.0, out)
    values = complex_values(8, 1)[None]
    for wrong in (out[:, :8], out.astype(np.int32), out[0], np.zeros((1, 32), dtype=np.int64)[:, ::2]):
        with pytest.raises(LayoutError, match="a multiple of 16"):
            embedding.interpolate(values, 1.0, wrong)
    for rows in ([], [1], [-1], [0, 0]):
        with pytest.raises(LayoutError, match="one for each"):
            embedding.interpolate(values, 1.0, out, rows)
    good = real_values(16, 1)[None]
    for coefficients in (
        good[:, ::2],
        good.astype(np.float32),
        good[:, :1],
        good[0],
        real_values(32, 1)[None],
    ):
        with pytest.raises(LayoutError, match="from 2 to 16"):
            embedding.evaluate(coefficients, 1.0)
