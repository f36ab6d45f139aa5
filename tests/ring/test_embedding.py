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


def integers(embedding: Embedding, values: list[NDArray[np.complex128]], scale: float) -> NDArray[np.int64]:
    out = np.zeros((len(values), 2 * values[0].size), dtype=np.int64)
    embedding.interpolate(values, scale, list(out))
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
    (got,) = Embedding(LARGEST).evaluate([coefficients], 0.25)
    descending = [mpmath.mpf(float(c)) for c in coefficients[::-1]]
    exact = [mpmath.polyval(descending, point) / 4 for point in exact_points(size)]
    error = [complex(g) - e for g, e in zip(got, exact, strict=True)]
    # Size 1 has no stage and one rounding, by the factor.
    assert relative(error, exact) <= 7 * UNIT * max(log_size, 1)


@pytest.mark.parametrize("log_size", range(8))
def test_interpolation_is_within_its_bound(log_size: int) -> None:
    size, scale = 1 << log_size, 2.0**61
    values = complex_values(size, log_size) / 4
    got = integers(Embedding(LARGEST), [values], scale)[0].tolist()
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
    (got,) = Embedding(size).evaluate([coefficients], 1.0)
    slots = np.arange(0, size, 1021)
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
    assert rms(got[slots]) <= 1.5 * UNIT * np.sqrt(15) * norm
    assert rms(got[slots]) <= 1.1 * rms(library)


@pytest.mark.parametrize("path", PATHS[:-1])
@pytest.mark.parametrize("log_size", [*range(13), 15])
def test_paths_agree_bit_for_bit(path: str, log_size: int) -> None:
    size = 1 << log_size
    fast, portable = Embedding(max(size, 64), path), Embedding(max(size, 64), "portable")
    assert (fast.path, portable.path) == (path, "portable")
    values, coefficients = complex_values(size, 1), real_values(2 * size, 2)
    for scale in (1.0, 2.0**40, 3.1e17):
        np.testing.assert_array_equal(integers(fast, [values], scale), integers(portable, [values], scale))
    np.testing.assert_array_equal(
        fast.evaluate([coefficients], 1 / 3)[0], portable.evaluate([coefficients], 1 / 3)[0]
    )


def test_threads_and_companions_change_nothing() -> None:
    embedding = Embedding(LARGEST)
    values = [complex_values(1 << 11, seed) for seed in range(5)]
    rows = [real_values(1 << 12, seed) for seed in range(5)]
    alone = [integers(embedding, [v], 2.0**40)[0] for v in values]
    decoded = [embedding.evaluate([row], 1.0)[0] for row in rows]
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
        out = np.zeros(2, dtype=np.int64)
        assert embedding.interpolate([np.array([complex(value, -value)])], 1.0, [out]) == abs(value)
        assert out.tolist() == [round(value), round(-value)]


@pytest.mark.parametrize("path", PATHS)
def test_what_does_not_fit_is_reported(path: str) -> None:
    embedding, out = Embedding(1, path), np.zeros(2, dtype=np.int64)
    for value in (2.0**62, 1e300, np.inf):
        assert embedding.interpolate([np.array([complex(value, 1)])], 1.0, [out]) == value
    for k in range(3):
        values = [np.array([complex(1, np.nan if k == i else 2)]) for i in range(3)]
        assert np.isnan(embedding.interpolate(values, 1.0, [np.zeros(2, dtype=np.int64) for _ in values]))


def test_a_step_leaves_the_entries_between_alone() -> None:
    values, out = complex_values(8, 1), np.full(64, 7, dtype=np.int64)
    Embedding(8).interpolate([values], 2.0**30, [out])
    np.testing.assert_array_equal(out[::4], integers(Embedding(8), [values], 2.0**30)[0])
    assert (out.reshape(-1, 4)[:, 1:] == 7).all()


def test_wrong_arguments_are_refused() -> None:
    embedding = Embedding(8)
    with pytest.raises(ParameterError, match="power of two"):
        Embedding(12)
    with pytest.raises(ParameterError, match="cannot run"):
        Embedding(8, "sse9")
    with pytest.raises(LayoutError, match="up to 8"):
        embedding.interpolate([complex_values(16, 1)], 1.0, [np.zeros(32, dtype=np.int64)])
    with pytest.raises(LayoutError, match="multiple of twice"):
        embedding.interpolate([complex_values(8, 1)], 1.0, [np.zeros(8, dtype=np.int64)])
    with pytest.raises(LayoutError, match="contiguous"):
        embedding.evaluate([real_values(16, 1)[::2]], 1.0)
    with pytest.raises(LayoutError, match="float64"):
        embedding.evaluate([real_values(16, 1).astype(np.float32)], 1.0)  # type: ignore[list-item]
    with pytest.raises(LayoutError, match="at least two"):
        embedding.evaluate([real_values(1, 1)], 1.0)
    with pytest.raises(LayoutError):
        embedding.evaluate([], 1.0)
