"""Norms and activations by polynomials, noise, and what is noted outside of a range."""

from __future__ import annotations

import numpy as np
import pytest

from aegis_fhe.errors import ParameterError
from aegis_fhe.program.encoder_ranges import TokenIntervals
from aegis_fhe.program.network import Gelu, LayerNorm, RmsNorm, Silu, Tanh
from aegis_fhe.program.ranges import Interval
from aegis_fhe.program.simulate.activation import fit_activation
from aegis_fhe.program.simulate.noise import Noise
from aegis_fhe.program.simulate.norm import SimulatedNorm
from aegis_fhe.program.simulate.outside import Outside

FEATURES = 32
WEIGHTS = {"w": np.linspace(0.5, 2.0, FEATURES), "b": np.linspace(-1.0, 1.0, FEATURES)}


def quiet() -> Noise:
    return Noise(50, np.random.default_rng(1))


@pytest.mark.parametrize("operator", [Gelu(), Gelu(tanh=True), Silu(), Tanh()])
def test_activations_keep_their_error_with_half_of_the_coefficients(operator):
    """On the whole interval, between the points of the fit too; symmetric: the other half is exactly zero."""
    for bound in (2.0, 11.0):
        series = fit_activation(operator, bound)
        x = np.linspace(-bound, bound, 9973)
        assert np.abs(series(x) - operator.evaluate([x], {})).max() <= 1.1e-4
        assert sum(c != 0 for c in series.coefficients) <= series.degree // 2 + 2


def test_wide_intervals_and_small_errors_take_higher_degrees():
    degrees = [fit_activation(Silu(), bound).degree for bound in (4.0, 12.0, 40.0)]
    assert degrees == sorted(set(degrees))
    assert fit_activation(Silu(), 12.0, error=1e-2).degree < degrees[1]


@pytest.mark.parametrize(
    "operator",
    [
        RmsNorm(weight="w", epsilon=1e-5, features=FEATURES),
        RmsNorm(weight=None, epsilon=1e-5, features=FEATURES),
        LayerNorm(weight="w", bias="b", epsilon=1e-5, features=FEATURES),
        LayerNorm(weight=None, bias=None, epsilon=1e-5, features=FEATURES),
    ],
)
def test_norms_divide_by_the_root_of_each_kind_of_token(operator):
    """A first token ten times as large as the rest costs nothing: it has an interval of its own."""
    x = np.random.default_rng(1).normal(size=(9, FEATURES))
    x[0] *= 10
    kinds = TokenIntervals(opening=Interval(25, 400), inner=Interval(0.25, 4), closing=Interval(0.25, 4))
    norm, outside = SimulatedNorm.of(operator, kinds, bound=10.0), Outside()
    found = norm(x, WEIGHTS, quiet(), outside)
    np.testing.assert_allclose(found, operator.evaluate([x], WEIGHTS), atol=6e-3)
    assert outside.messages() == ()


def test_one_token_alone_is_the_opening_one():
    kinds = TokenIntervals(opening=Interval(0.1, 4), inner=Interval(50, 60), closing=Interval(50, 60))
    operator, outside = RmsNorm(weight=None, epsilon=1e-5, features=FEATURES), Outside()
    x = np.random.default_rng(1).normal(size=(1, FEATURES))
    found = SimulatedNorm.of(operator, kinds, bound=10.0)(x, {}, quiet(), outside)
    np.testing.assert_allclose(found, operator.evaluate([x], {}), atol=6e-3)
    assert outside.messages() == ()


def test_noise_has_the_stated_deviation():
    """Within five standard errors, both sides, for two bounds."""
    values = np.zeros((400, 500))
    for bound in (1.0, 300.0):
        noisy = Noise(12, np.random.default_rng(3)).on(values, bound)
        assert noisy.std() == pytest.approx(bound * 2**-12, rel=5 / np.sqrt(2 * values.size))
        assert abs(noisy.mean()) < 5 * bound * 2**-12 / np.sqrt(values.size)
    with pytest.raises(ParameterError, match="positive"):
        Noise(0, np.random.default_rng(3))


def test_outside_counts_and_keeps_the_extremes():
    outside = Outside()
    outside.node = "here"
    for values in ([0.5, 2.0], [-3.0, 0.1, 5.0], [0.0, 1.0]):
        outside.check("things", np.array(values), Interval(0.0, 1.0))
    (line,) = outside.messages()
    assert line == "here: 3 things outside: they lie in [-3, 5], calibrated [0, 1]"


def test_numbers_that_are_none_are_outside():
    outside = Outside()
    outside.check("things", np.array([0.5, np.nan]), Interval(0.0, 1.0))
    assert "1 things outside" in outside.messages()[0]
