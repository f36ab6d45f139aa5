"""Operators in the clear against the formulas of their docstrings; slots outside the layout hold rubbish."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from aegis_fhe.circuits.symbolic import Symbol
from aegis_fhe.program import TokenMajorLayout
from aegis_fhe.program.clear import ClearBackend, ClearValue
from aegis_fhe.program.operators import (
    Attend,
    ComplexParts,
    Context,
    MultiplyI,
    MultiplyPlain,
    PlainSum,
    Project,
    RotateSum,
    ScalarMinus,
    Scores,
    Shear,
    SumOfRotations,
)
from aegis_fhe.program.operators.plain import Term

SCALE = 2.0**40
# Different on purpose: a scale that comes out by luck shows.
MODULI = (2**50 - 27, *(2**40 - 87 * i for i in range(1, 6)))
LAYOUTS = [
    TokenMajorLayout(slots=256, tokens=4, heads=2, head_dim=4, zones=1),
    TokenMajorLayout(slots=256, tokens=4, heads=2, head_dim=4, zones=3),
    TokenMajorLayout(slots=1024, tokens=8, heads=3, head_dim=8, zones=2),
    TokenMajorLayout(slots=2048, tokens=16, heads=1, head_dim=16, zones=2),
]


@pytest.fixture(params=LAYOUTS, ids=lambda layout: f"C{layout.head_dim}-H{layout.heads}-Z{layout.zones}")
def layout(request: pytest.FixtureRequest) -> TokenMajorLayout:
    return request.param


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(77)


def backend(layout: TokenMajorLayout) -> ClearBackend:
    return ClearBackend(MODULI, layout.slots)


def context(layout: TokenMajorLayout, **constants: np.ndarray) -> Context:
    return Context(layout=layout, constants=constants, scale=SCALE, tokens=layout.tokens)


def value(layout: TokenMajorLayout, table: np.ndarray, level: int, scale: float = SCALE) -> ClearValue:
    """A table [token, zone, column, head] in its slots; all other slots hold rubbish."""
    slots = np.full((layout.tokens, layout.sub_slots), 1e3, dtype=table.dtype)
    zones = table.shape[1]
    slots[:, : zones * layout.width] = table.reshape(layout.tokens, -1)
    return backend(layout).encode(slots.reshape(-1), level, scale)


def split(layout: TokenMajorLayout, result: ClearValue) -> tuple[np.ndarray, np.ndarray]:
    """(the table [token, zone, column, head], the slots past the zones)."""
    rows = result.slots.reshape(layout.tokens, layout.sub_slots)
    used = layout.zones * layout.width
    shape = (layout.tokens, layout.zones, layout.head_dim, layout.heads)
    return rows[:, :used].reshape(shape), rows[:, used:]


def random_table(layout: TokenMajorLayout, rng: np.random.Generator, zones: int) -> np.ndarray:
    return rng.normal(size=(layout.tokens, zones, layout.head_dim, layout.heads))


def sheared(table: np.ndarray) -> np.ndarray:
    """sheared(t, z, x, h) = table(t + x, z, x, h)."""
    out = np.empty_like(table)
    tokens, _, columns, _ = table.shape
    for t, x in itertools.product(range(tokens), range(columns)):
        out[t, :, x] = table[(t + x) % tokens, :, x]
    return out


@pytest.mark.parametrize("zones", [(0,), (1,), (0, 1)])
def test_shear(layout, rng, zones):
    """An output for each zone, in that zone."""
    table = random_table(layout, rng, 2)
    results = Shear(zones).lower(backend(layout), [value(layout, table, 3)], context(layout))
    assert len(results) == len(zones)
    for zone, result in zip(zones, results, strict=True):
        rows = result.slots.reshape(layout.tokens, layout.sub_slots)
        found = rows[:, : 2 * layout.width].reshape(table.shape)
        np.testing.assert_array_equal(found[:, zone], sheared(table)[:, zone])
        assert np.count_nonzero(rows) == np.count_nonzero(found[:, zone])
        assert result.symbol.level == 2
        assert result.symbol.scale == pytest.approx(SCALE, rel=2.0**-50)


@pytest.mark.parametrize("parts", [1, 2])
def test_scores(layout, rng, parts):
    """scores(t, x, h) = sum_c q(t, c, h) k(t + x, c, h), for all heads and a real or complex k at once."""
    q, k = random_table(layout, rng, 1), random_table(layout, rng, 1)
    if parts == 2:
        k = k + 1j * random_table(layout, rng, 1)
    inputs = [
        value(layout, np.repeat(q, 2, axis=1), 4),
        value(layout, np.repeat(sheared(k), 2, axis=1), 3, SCALE * 1.01),
    ]
    (result,) = Scores().lower(backend(layout), inputs, context(layout))
    expected = np.zeros_like(k[:, 0])
    for t, x, h in np.ndindex(expected.shape):
        expected[t, x, h] = q[t, 0, :, h] @ k[(t + x) % layout.tokens, 0, :, h]
    found = result.slots.reshape(layout.tokens, layout.sub_slots)[:, : layout.width]
    np.testing.assert_allclose(found.reshape(expected.shape), expected, atol=1e-10)
    assert result.symbol.level == 2
    assert result.symbol.components == 2
    assert result.symbol.scale == pytest.approx(SCALE * SCALE * 1.01 / MODULI[3], rel=2.0**-48)


def test_attend(layout, rng):
    """o(t, z, y, h) = sum_x p v_z(t + x, y, h); d_z = weight * sum_x p(t, z, x, h), in zone z alone."""
    p, v = random_table(layout, rng, layout.zones), random_table(layout, rng, layout.zones)
    weight = 0.37
    inputs = [value(layout, p, 3, SCALE * 0.99), value(layout, sheared(v), 5)]
    output, *denominators = Attend(weight).lower(backend(layout), inputs, context(layout))
    expected = np.zeros_like(p)
    for t, z, y, h in np.ndindex(p.shape):
        keys = (t + np.arange(layout.head_dim)) % layout.tokens
        expected[t, z, y, h] = p[t, z, :, h] @ v[keys, z, y, h]
    found, rest = split(layout, output)
    np.testing.assert_allclose(found, expected, atol=1e-10)
    np.testing.assert_array_equal(rest, 0.0)
    assert output.symbol.level == 2
    assert len(denominators) == layout.zones
    for zone, denominator in enumerate(denominators):
        found, rest = split(layout, denominator)
        wanted = np.zeros_like(p)
        wanted[:, zone] = weight * p[:, zone].sum(axis=1, keepdims=True)
        np.testing.assert_allclose(found, wanted, atol=1e-11)
        np.testing.assert_array_equal(rest, 0.0)
        assert denominator.symbol.level == 2
        assert denominator.symbol.scale == pytest.approx(SCALE, rel=2.0**-48)


@pytest.mark.parametrize("names", [(("a",),), (("a", "b"),), (("a", "b"), ("a", "c"))])
def test_project(layout, rng, names):
    """y = x (W + i W') in each zone, zero elsewhere."""
    weights = {name: rng.normal(size=(layout.width, layout.width)) for name in "abc"}
    table = random_table(layout, rng, 1)
    copies = np.repeat(table, len(names), axis=1)
    inputs, constants = [value(layout, copies, 3)], context(layout, **weights)
    (result,) = Project(names).lower(backend(layout), inputs, constants)
    rows = result.slots.reshape(layout.tokens, layout.sub_slots)
    for zone, (real, *imaginary) in enumerate(names):
        weight = weights[real] + (1j * weights[imaginary[0]] if imaginary else 0)
        found = rows[:, zone * layout.width : (zone + 1) * layout.width]
        np.testing.assert_allclose(found, table.reshape(layout.tokens, -1) @ weight, atol=1e-10)
    assert not rows[:, len(names) * layout.width :].any()
    assert (result.symbol.level, result.symbol.scale) == (2, pytest.approx(SCALE, rel=2.0**-50))


def test_complex_parts(layout, rng):
    """Twice each part, both real; i x is x turned by a quarter."""
    x = rng.normal(size=layout.slots) + 1j * rng.normal(size=layout.slots)
    cleartext, facts = backend(layout), context(layout)
    parts = ComplexParts().lower(cleartext, [cleartext.encode(x, 2, SCALE)], facts)
    for part, expected in zip(parts, (2 * x.real, 2 * x.imag), strict=True):
        assert part.slots.dtype == np.float64
        np.testing.assert_array_equal(part.slots, expected)
        assert part.symbol == Symbol(2, SCALE)
    (turned,) = MultiplyI().lower(cleartext, [cleartext.encode(x, 2, SCALE)], facts)
    np.testing.assert_array_equal(turned.slots, 1j * x)


def test_plain_sum_of_other_levels_and_scales(layout, rng):
    """Inputs of different levels and scales; the sum has the nominal one."""
    x, y = rng.normal(size=(2, layout.slots))
    a, b = rng.normal(size=(2, layout.sub_slots))
    cleartext = backend(layout)
    inputs = [cleartext.encode(x, 5, SCALE), cleartext.encode(y, 3, SCALE * 1.3)]
    operator = PlainSum((Term("a"), Term("b", "first token")))
    (result,) = operator.lower(cleartext, inputs, context(layout, a=a, b=b))
    first = (np.arange(layout.slots) < layout.sub_slots) * np.tile(b, layout.tokens)
    np.testing.assert_allclose(result.slots, x * np.tile(a, layout.tokens) + y * first, atol=1e-12)
    assert (result.symbol.level, result.symbol.scale) == (2, pytest.approx(SCALE, rel=2.0**-50))


def test_rotations_and_sums(layout, rng):
    x, y = rng.normal(size=(2, layout.slots))
    cleartext, facts = backend(layout), context(layout)
    inputs = [cleartext.encode(x, 4, SCALE), cleartext.encode(y, 4, SCALE)]
    (one,) = RotateSum((0, 3, -5)).lower(cleartext, inputs[:1], facts)
    np.testing.assert_allclose(one.slots, x + np.roll(x, -3) + np.roll(x, 5), atol=1e-14)
    (two,) = RotateSum((1, 0)).lower(cleartext, inputs, facts)
    np.testing.assert_array_equal(two.slots, np.roll(x, -1) + y)
    (total,) = SumOfRotations((1, 2), 2).lower(cleartext, inputs[:1], facts)
    np.testing.assert_allclose(total.slots, sum(np.roll(x, -i) for i in range(4)), atol=1e-14)
    assert total.symbol.level == 2


def test_masks_and_constants(layout, rng):
    x, a = rng.normal(size=layout.slots), rng.normal(size=layout.sub_slots)
    cleartext, facts = backend(layout), context(layout, a=a)
    (masked,) = MultiplyPlain((Term("a", "later tokens"),)).lower(
        cleartext, [cleartext.encode(x, 2, SCALE)], facts
    )
    expected = (x * np.tile(a, layout.tokens)).reshape(layout.tokens, -1)
    expected[0] = 0.0
    np.testing.assert_array_equal(masked.slots, expected.reshape(-1))
    (minus,) = ScalarMinus(1.5).lower(cleartext, [cleartext.encode(x, 2, SCALE)], facts)
    np.testing.assert_array_equal(minus.slots, 1.5 - x)
