"""What is added in clear: shifts that leave the softmax as it is, keys and values of public tokens."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from aegis_fhe.bench.drawn_layer import DrawnLayer, draw_layer
from aegis_fhe.ckks import EvaluationKeys, Evaluator, SlotVector, presets
from aegis_fhe.ckks.secret import SecretKey, decrypt, encrypt, evaluation_keys
from aegis_fhe.errors import LayoutError, RangeError
from aegis_fhe.program.long.compile import LongProgram, compile_unrefreshed
from aegis_fhe.program.long.shape import Degrees, LayerShape
from aegis_fhe.program.ranges import Interval

from .layers import DECODER, ENCODER

PRECISE = Degrees(
    exponential=31, squarings=2, reciprocal=127, newton_steps=2, inverse_sqrt=63, activation=127
)
WIDER = 1.0  # of scores, for what the shifts below move them by


def known(layer: DrawnLayer, *, public: int = 0, seed: int = 3) -> DrawnLayer:
    """The same layer with shifts, and with so many public tokens."""
    rng, shape = np.random.default_rng(seed), layer.shape
    weights = dataclasses.replace(
        layer.weights,
        key_offset=rng.normal(0.0, 0.1, (shape.heads, shape.head_dim)),
        growth=rng.uniform(-0.2, 0.2, shape.heads),
        shift=rng.uniform(-0.1, 0.1, shape.heads),
        public=layer.hidden[:public] if public else None,
    )
    score, high = layer.ranges.score, layer.ranges.score.high + WIDER
    ranges = dataclasses.replace(
        layer.ranges,
        score=Interval(score.low - WIDER, high),
        denominator=Interval(
            layer.ranges.denominator.low * np.exp(-2 * WIDER), layer.ranges.denominator.high
        ),
    )
    return dataclasses.replace(layer, weights=weights, ranges=ranges)


def compiled(layer: DrawnLayer, *, slots: int, tokens: int, degrees: Degrees, log_degree: int) -> LongProgram:
    return compile_unrefreshed(
        layer.shape,
        layer.weights,
        layer.ranges,
        slots=slots,
        tokens=tokens,
        parameters=lambda levels: presets.insecure(log_degree=log_degree, levels=levels, digit_size=10),
        degrees=degrees,
    )


@pytest.mark.parametrize("public", [0, 3])
@pytest.mark.parametrize(
    ("slots", "tokens"),
    [
        (512, 16),  # keys folded over spare sub-slots
        (512, 13),  # and padding
        (256, 40),  # three token blocks
        (512, 64),  # nothing folded, several giant steps
    ],
)
def test_shifts_and_public_tokens_leave_the_layer_as_it_is(slots: int, tokens: int, public: int):
    """Results of encrypted tokens are the layer's own; a row out of place changes its query's softmax."""
    layer = known(draw_layer(DECODER, tokens), public=public)
    program = compiled(layer, slots=slots, tokens=tokens, degrees=PRECISE, log_degree=slots.bit_length())
    found = program.run_clear(layer.hidden)
    np.testing.assert_allclose(found[public:], layer.result[public:], atol=2e-4)
    np.testing.assert_array_equal(found[:public], 0.0)


def test_shifts_without_a_causal_mask():
    layer = known(draw_layer(ENCODER, 16))
    program = compiled(layer, slots=512, tokens=16, degrees=PRECISE, log_degree=10)
    np.testing.assert_allclose(program.run_clear(layer.hidden), layer.result, atol=2e-4)


def test_nothing_of_public_tokens_is_encrypted():
    """Their rows may hold anything: neither the inputs nor the results change."""
    layer = known(draw_layer(DECODER, 16), public=2)
    program = compiled(layer, slots=512, tokens=16, degrees=PRECISE, log_degree=10)
    other = layer.hidden.copy()
    other[:2] = 1e6
    for name, values in program.pack(other).items():
        np.testing.assert_array_equal(values, program.pack(layer.hidden)[name])
    # One whose values are in another place in another text is another layer.
    moved = dataclasses.replace(layer.weights, public=layer.hidden[1:3])
    changed = compiled(
        dataclasses.replace(layer, weights=moved), slots=512, tokens=16, degrees=PRECISE, log_degree=10
    )
    assert np.abs(changed.run_clear(layer.hidden) - program.run_clear(layer.hidden)).max() > 1e-2


def test_they_cost_no_level():
    """The same start level as without; additions alone, one for each column of K and of V."""
    plain = draw_layer(DECODER, 16)
    shifted = dataclasses.replace(plain, weights=known(plain, public=2).weights)
    programs = [
        compiled(layer, slots=512, tokens=16, degrees=PRECISE, log_degree=10) for layer in (plain, shifted)
    ]
    assert programs[0].input_level == programs[1].input_level
    added = len(programs[1].graph.nodes) - len(programs[0].graph.nodes)
    assert added == 2
    first, second = (program.key_requests() for program in programs)
    assert first == second


@pytest.mark.usefixtures("one_thread")
def test_encrypted():
    """Ciphertexts equal the clear run within noise, and the layer within its approximations."""
    shape = LayerShape.decoder(features=16, heads=4, key_value_heads=2, head_dim=4, hidden=32)
    layer = known(draw_layer(shape, 16), public=2)
    degrees = Degrees(
        exponential=15, squarings=2, reciprocal=63, newton_steps=1, inverse_sqrt=15, activation=31
    )
    program = compiled(layer, slots=256, tokens=16, degrees=degrees, log_degree=9)
    params = program.params
    secret = SecretKey.generate(params, seed=b"long secret")
    keys = EvaluationKeys.collect(params, evaluation_keys(secret, program.key_requests(), seed=b"long keys"))
    inputs = {
        name: encrypt(secret, SlotVector(values), level=program.input_level, seed=name.encode()).expand(
            params
        )
        for name, values in program.pack(layer.hidden).items()
    }
    results = program.run(Evaluator(params, keys), inputs, 16)
    found = program.unpack({n: decrypt(secret, x).values.real for n, x in results.items()}, 16)
    clear = program.run_clear(layer.hidden)
    noise = np.abs(found - clear)[2:]
    assert 2.0**-35 < noise.max() < 1e-3
    np.testing.assert_allclose(found[2:], layer.result[2:], atol=0.02)


def test_what_does_not_fit_is_refused():
    layer = known(draw_layer(ENCODER, 16), public=2)
    with pytest.raises(LayoutError, match="causal mask"):
        compiled(layer, slots=512, tokens=16, degrees=PRECISE, log_degree=10)
    layer = known(draw_layer(DECODER, 16), public=16)
    with pytest.raises(LayoutError, match="leave nothing to encrypt"):
        compiled(layer, slots=512, tokens=16, degrees=PRECISE, log_degree=10)
    program = compiled(
        known(draw_layer(DECODER, 16), public=3), slots=512, tokens=16, degrees=PRECISE, log_degree=10
    )
    with pytest.raises(RangeError, match="compiled for 4 to 16"):
        program.run_clear(layer.hidden[:3])
