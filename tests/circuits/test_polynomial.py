"""Paterson-Stockmeyer: the right values, at the optimal depth, at exactly the scale asked for."""

from __future__ import annotations

import math

import numpy as np
import pytest

from aegis_fhe.circuits.chebyshev import ChebyshevSeries
from aegis_fhe.circuits.polynomial import evaluate_polynomial, polynomial_depth
from aegis_fhe.circuits.symbolic import Symbol, SymbolicBackend
from aegis_fhe.ckks import KeyRequest, presets
from aegis_fhe.errors import LevelError

SCALE = 2.0**40
TARGET = 2.0**40 * 1.2345


def random_series(degree: int, rng: np.random.Generator) -> ChebyshevSeries:
    coefficients = rng.uniform(-1, 1, degree + 1)
    coefficients[-1] = 1.0
    return ChebyshevSeries(-1.0, 1.0, tuple(coefficients.tolist()))


@pytest.mark.parametrize("degree", range(1, 64))
def test_value_depth_and_scale_for_every_degree(degree, clear, rng):
    """From the lowest level that suffices; the result is at level 0 and at the target scale."""
    series, depth = random_series(degree, rng), math.ceil(math.log2(degree + 1))
    u = np.linspace(-1, 1, clear.slots)
    result = evaluate_polynomial(clear, clear.encode(u, depth, SCALE), series, target_scale=TARGET)
    assert clear.level(result) == 0
    assert polynomial_depth(degree) == depth
    assert abs(clear.scale(result) / TARGET - 1) < 2.0**-48
    np.testing.assert_allclose(result.slots, series(u), atol=1e-12 * (degree + 1) ** 2)


@pytest.mark.parametrize("degree", [1, 3, 4, 15, 16, 31, 63])
def test_one_level_less_is_refused(degree, clear):
    series = ChebyshevSeries(-1.0, 1.0, (0.0,) * degree + (1.0,))
    depth = polynomial_depth(degree)
    with pytest.raises(LevelError, match=f"degree {degree} takes {depth} levels"):
        evaluate_polynomial(clear, clear.encode(np.zeros(4), depth - 1, SCALE), series, target_scale=SCALE)


@pytest.mark.parametrize(
    "coefficients",
    [
        (0.7,),
        (0.0, 0.0),
        (0.0,) * 31 + (1.0,),
        (0.0,) * 16 + (1.0,),
        (1.0, 0.0, 0.5, 0.0, 0.25, 0.0, 0.125, 0.0),
        (0.0, 1.0) * 8,
        (0.3, *(0.0,) * 14, 0.2, *(0.0,) * 16),
    ],
    ids=["constant", "zero", "T31", "T16", "even", "odd", "gap and leading zeros"],
)
def test_series_with_zero_coefficients(coefficients, clear):
    series = ChebyshevSeries(-1.0, 1.0, coefficients)
    u = np.linspace(-1, 1, clear.slots)
    result = evaluate_polynomial(clear, clear.encode(u, 6, SCALE), series, target_scale=TARGET)
    np.testing.assert_allclose(result.slots, series(u), atol=1e-12)
    assert clear.level(result) == 6 - polynomial_depth(series.degree)
    assert abs(clear.scale(result) / TARGET - 1) < 2.0**-48


@pytest.mark.parametrize(("degree", "relinearisations", "products"), [(15, 7, 8), (31, 12, 13), (63, 15, 18)])
def test_relinearisations_are_few(degree, relinearisations, products, rng):
    """Powers of the basis, and one for each quotient: sums are relinearised once."""
    params = presets.insecure(log_degree=11, levels=7)
    backend = SymbolicBackend(params.q, params.slots)
    evaluate_polynomial(backend, Symbol(7, SCALE), random_series(degree, rng), target_scale=SCALE)
    assert backend.counts.total("key switch") == relinearisations
    assert backend.counts.total("product") == products
    assert set(backend.counts.keys) == {"relin"}


@pytest.mark.parametrize("degree", [7, 31, 63])
def test_encrypted_equals_clear(degree, client, clear, rng):
    """Noise of the whole evaluation below 2^-18; level and scale as in the clear run."""
    series, depth = random_series(degree, rng), polynomial_depth(degree)
    evaluator = client.evaluator([KeyRequest("relin", depth)])
    u = np.linspace(-1, 1, client.params.slots)
    expected = evaluate_polynomial(clear, clear.encode(u, depth, SCALE), series, target_scale=SCALE)
    result = evaluate_polynomial(evaluator, client.encrypt(u, depth), series, target_scale=SCALE)
    assert (result.level, result.scale) == (expected.symbol.level, expected.symbol.scale)
    assert np.abs(client.decrypt(result) - expected.slots).max() < 2.0**-18


def test_a_series_on_ciphertexts_does_not_need_dense_slots(client, rng):
    """The clear interpreter and the series agree, so this compares ciphertexts with numpy alone."""
    series = random_series(5, rng)
    evaluator = client.evaluator([KeyRequest("relin", 3)])
    u = rng.uniform(-1, 1, 8)
    result = evaluate_polynomial(evaluator, client.encrypt(u, 3), series, target_scale=SCALE)
    decrypted = client.decrypt(result)
    assert np.abs(decrypted - np.tile(series(u), len(decrypted) // 8)).max() < 2.0**-18
