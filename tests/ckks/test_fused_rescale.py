"""A key switch that divides by P q_level at once: exact in Python integers, and as quiet as one rounding."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from aegis_fhe.ckks import KeyRequest, Parameters, noise
from aegis_fhe.errors import CompatibilityError, LevelError, MissingKeyError, ScaleError

from . import textbook
from .conftest import Client


@pytest.fixture(scope="module")
def tiny() -> Client:
    """N = 2^6 and digits of 1, 2 and 3 limbs at the levels 3 to 5: small enough for integers throughout."""
    params = Parameters.build(6, [50, 40, 38, 40, 42, 40], [49, 49, 49], 3, insecure=True)
    return Client.new(params, [KeyRequest(name, 5) for name in ("relin", "conj", 1, 2, -3)])


def product(client, rng, level):
    ev = client.evaluator
    a, b = (client.random(rng) for _ in range(2))
    return ev.multiply(client.encrypt(a, level=level), client.encrypt(b, level=level)), a * b


@pytest.mark.parametrize("level", [1, 2, 3, 4, 5])
def test_relinearize_rescale_is_the_rounded_quotient(tiny, rng, level):
    p, ev = tiny.params, tiny.evaluator
    x, values = product(tiny, rng, level)
    in_qp, _ = textbook.relinearized(p, ev.keys, x)
    result = ev.relinearize_rescale(x)
    assert torch.equal(result.parts, textbook.divided_once(p, in_qp))
    assert (result.components, result.level, result.scale) == (2, level - 1, x.scale / p.q[level])
    assert np.abs(tiny.decrypt(result) - values).max() < 2.0**-20


SUMS = {
    "one rotation": ("x", [1]),
    "several": ("xyz", [1, 2, -3]),
    "the same ciphertext": ("xxxx", [1, 2, -3, 1]),
    "some at rest": ("xyxzz", [0, 2, 0, 1, 0]),
    "one at rest": ("xy", [0, 1]),
}


@pytest.mark.parametrize("levels", [(5, 5, 5), (5, 3, 4), (1, 5, 2)])
@pytest.mark.parametrize("name", SUMS)
def test_rotate_sum_rescale_is_the_rounded_quotient(tiny, rng, name, levels):
    p, ev = tiny.params, tiny.evaluator
    names, steps = SUMS[name]
    values = {n: tiny.random(rng) for n in "xyz"}
    fresh = {n: tiny.encrypt(v, level=level) for (n, v), level in zip(values.items(), levels, strict=True)}
    # Scaled up, so that something is left after the division.
    terms = {n: ev.mul_scalar(x, 1.0, 2.0**30) for n, x in fresh.items()}
    xs = [terms[n] for n in names]
    level = min(x.level for x in xs)
    in_qp, _ = textbook.rotated_sum(p, ev.keys, xs, steps)
    result = ev.rotate_sum_rescale(xs, steps)
    assert torch.equal(result.parts, textbook.divided_once(p, in_qp))
    assert (result.components, result.level, result.scale) == (2, level - 1, 2.0**70 / p.q[level])
    expected = sum(np.roll(values[n], -step) for n, step in zip(names, steps, strict=True))
    assert np.abs(tiny.decrypt(result) - expected).max() < 2.0**-16


def test_where_nothing_is_switched_it_is_the_rescale(tiny, rng):
    ev = tiny.evaluator
    x = ev.mul_scalar(tiny.encrypt(tiny.random(rng)), 1.0, 2.0**40)
    y = ev.drop_to(ev.mul_scalar(tiny.encrypt(tiny.random(rng)), 1.0, 2.0**40), 3)
    rescaled = ev.rescale(x)
    for result in (
        ev.relinearize_rescale(x),
        ev.rotate_sum_rescale([x], [0]),
        ev.rotate_sum_rescale([x], [-tiny.params.slots]),
    ):
        assert torch.equal(result.parts, rescaled.parts)
        assert result.scale == rescaled.scale
    total = ev.rotate_sum_rescale([x, y, x], [0, 0, 0])
    assert torch.equal(total.parts, ev.rescale(ev.add(ev.add(x, y), x)).parts)
    assert (total.level, total.scale) == (2, 2.0**80 / tiny.params.q[3])


def test_level_0_has_nothing_to_rescale(tiny, rng):
    """Refused before any work, and whether or not something moves."""
    ev = tiny.evaluator
    x = tiny.encrypt(tiny.random(rng), scale=2.0**20)
    low = ev.drop_to(x, 0)
    for operation in (
        lambda: ev.relinearize_rescale(ev.multiply(low, low)),
        lambda: ev.relinearize_rescale(low),
        lambda: ev.rotate_sum_rescale([low], [1]),
        lambda: ev.rotate_sum_rescale([low], [0]),
        lambda: ev.rotate_sum_rescale([x, low], [1, 2]),
    ):
        with pytest.raises(LevelError, match="level 0"):
            operation()


def test_what_the_two_steps_refuse_is_refused(tiny, rng):
    ev = tiny.evaluator
    x = tiny.encrypt(tiny.random(rng), scale=2.0**20)
    with pytest.raises(MissingKeyError, match="rotation by 7 at level 5"):
        ev.rotate_sum_rescale([x], [7])
    with pytest.raises(CompatibilityError, match="one step for each"):
        ev.rotate_sum_rescale([x], [1, 2])
    with pytest.raises(CompatibilityError):
        ev.rotate_sum_rescale([], [])
    with pytest.raises(CompatibilityError, match="relinearize it first"):
        ev.rotate_sum_rescale([ev.multiply(x, x)], [1])
    with pytest.raises(ScaleError):
        ev.rotate_sum_rescale([x, ev.with_scale(x, 2.0**21)], [1, 2])
    keyless = Client.new(tiny.params, [KeyRequest("relin", 1)]).evaluator
    with pytest.raises(MissingKeyError, match=r"relinearisation serves levels up to 1.*level 5"):
        keyless.relinearize_rescale(ev.multiply(x, x))


def test_views_of_lower_levels_give_the_results_of_copies(tiny, rng):
    ev = tiny.evaluator
    x, _ = product(tiny, rng, 5)
    y = tiny.encrypt(tiny.random(rng), scale=2.0**60)
    for level in (4, 2):
        low, view = ev.drop_to(x, level), ev.drop_to(y, level)
        assert not view.parts.is_contiguous()
        copy, copied = (type(v)(parts=v.parts.contiguous(), scale=v.scale) for v in (low, view))
        assert torch.equal(ev.relinearize_rescale(low).parts, ev.relinearize_rescale(copy).parts)
        fused = [ev.rotate_sum_rescale([v, y], [1, -3]).parts for v in (view, copied)]
        assert torch.equal(*fused)


def test_noise_is_that_of_one_rounding(client, rng):
    """As the formula says, from both sides, and not above that of the same product in two steps.

    What the second rounding adds in two steps is smaller by q_level, so the two differ by hardly anything.
    """
    p, ev = client.params, client.evaluator
    errors: dict[str, list[np.ndarray]] = {"fused": [], "two steps": []}
    for _ in range(8):
        x = ev.multiply(client.encrypt(0.0), client.encrypt(0.0))
        exact = client.integers(client.phase(x))
        results = {"fused": ev.relinearize_rescale(x), "two steps": ev.rescale(ev.relinearize(x))}
        for name, result in results.items():
            found = client.integers(client.phase(result)) * p.q[3]
            errors[name].append(((found - exact) / p.q[3]).astype(float))
    measured = {name: float(np.sqrt(np.mean(np.square(e)))) for name, e in errors.items()}
    predicted = noise.fused_rescale_noise(p, 0.0, 3)
    assert measured["fused"] == pytest.approx(predicted, rel=1 / 16)
    assert predicted <= noise.rescale_noise(p, noise.key_switch_noise(p, 3), 3)
    assert measured["fused"] < measured["two steps"] * (1 + 1 / 64)
