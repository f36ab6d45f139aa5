"""Networks calibrated and simulated: what was shown lies inside, and results are those of the model."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from aegis_fhe.errors import RangeError, UnsupportedModuleError
from aegis_fhe.models.network_calibration import calibrate_network
from aegis_fhe.program.network import (
    Add,
    Attention,
    Gelu,
    LayerNorm,
    MeanTokens,
    Network,
    NetworkNode,
    evaluate,
)
from aegis_fhe.program.simulate import NetworkRanges, SimulatedStates, simulate

from .llama_network import llama_network, reference
from .tiny_gguf import tiny_llama

TOKENS = 48


@pytest.fixture(scope="module")
def model():
    return tiny_llama()


@pytest.fixture(scope="module")
def decoder(model):
    return llama_network(model, TOKENS)


def embedded(model, seed: int, tokens: int = TOKENS) -> np.ndarray:
    ids = [1, *np.random.default_rng(seed).integers(3, 300, tokens - 1).tolist()]
    return model.get_input_embeddings().weight.detach().double().numpy()[ids]


@pytest.fixture(scope="module")
def ranges(model, decoder) -> NetworkRanges:
    network, weights = decoder
    texts = [embedded(model, seed, tokens) for seed in range(12) for tokens in (8, TOKENS)]
    return calibrate_network(network, weights, texts, public_tokens=1, origin="random tokens")


def run(decoder, ranges, hidden, bits=40.0, seed=0) -> SimulatedStates:
    network, weights = decoder
    return simulate(network, weights, ranges, hidden, noise_bits=bits, rng=np.random.default_rng(seed))


def test_the_network_is_the_model(model, decoder):
    """Written down by hand, so held against transformers."""
    network, weights = decoder
    ids = [1, *range(40, 60)]
    hidden = model.get_input_embeddings().weight.detach().double().numpy()[ids]
    np.testing.assert_allclose(evaluate(network, weights, hidden), reference(model, ids), atol=1e-4)


def test_unseen_text_comes_out_as_the_model_has_it(model, decoder, ranges):
    """Polynomials alone, the noise is negligible; and nothing left its range."""
    network, weights = decoder
    hidden = embedded(model, 100)
    result = run(decoder, ranges, hidden)
    exact = evaluate(network, weights, hidden)
    assert isinstance(result, SimulatedStates)
    assert result.outside == ()
    assert np.abs(result.values - exact).max() < 0.02 * np.abs(exact).max()


def test_more_noise_gives_larger_errors(model, decoder, ranges):
    network, weights = decoder
    hidden = embedded(model, 100)
    exact = evaluate(network, weights, hidden)
    errors = [
        float(np.sqrt(np.mean((run(decoder, ranges, hidden, bits).values - exact)[1:] ** 2)))
        for bits in (20.0, 18.0, 16.0)
    ]
    assert errors[0] * 2 < errors[1]
    assert errors[1] * 2 < errors[2]


def test_public_tokens_are_exact_and_unbounded(model, decoder, ranges):
    """The first token may be huge: nothing of it is encrypted. Its row of the result has no noise."""
    network, weights = decoder
    hidden = embedded(model, 100)
    hidden[0] *= 1e4
    texts = [np.concatenate([hidden[:1], embedded(model, seed)[1:]]) for seed in range(4)]
    found = calibrate_network(network, weights, texts, public_tokens=1, origin="")
    assert found.bounds["hidden"] == 1.25 * max(np.abs(t[1:]).max() for t in texts)
    values = run(decoder, found, hidden, bits=20.0).values
    np.testing.assert_array_equal(values[0], evaluate(network, weights, hidden[:1])[0])


def test_the_same_generator_gives_the_same_result(model, decoder, ranges):
    hidden = embedded(model, 100)
    first, again, other = (run(decoder, ranges, hidden, 16.0, seed).values for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_text_unlike_the_calibration_is_named(model, decoder, ranges):
    hidden = embedded(model, 100)
    hidden[20:] *= 30
    with np.errstate(over="ignore", invalid="ignore"):
        result = run(decoder, ranges, hidden)
    assert any(line.startswith("layers.0.input_layernorm") and "variances" in line for line in result.outside)


def test_ranges_are_stored_and_read_again(ranges):
    assert msgspec.json.decode(msgspec.json.encode(ranges), type=NetworkRanges) == ranges


def test_calibration_and_text_must_fit(model, decoder, ranges):
    network, weights = decoder
    with pytest.raises(RangeError, match="three encrypted tokens"):
        calibrate_network(network, weights, [embedded(model, 1)[:3]], public_tokens=1, origin="")
    with pytest.raises(RangeError, match="none is encrypted"):
        run(decoder, ranges, embedded(model, 1)[:1])
    lacking = msgspec.structs.replace(ranges, bounds={"hidden": 1.0})
    with pytest.raises(RangeError, match=r"lack layers\.0"):
        run(decoder, lacking, embedded(model, 1))


def encoder() -> Network:
    """Attention of every token on every token, post-norm, GELU, the mean of all tokens."""
    attention = Attention(heads=4, key_value_heads=4, head_dim=8, scale=8**-0.5)
    nodes = [
        NetworkNode(name="mixed", operator=attention, inputs=("hidden", "hidden", "hidden")),
        NetworkNode(name="sum", operator=Add(), inputs=("hidden", "mixed")),
        NetworkNode(
            name="norm",
            operator=LayerNorm(weight=None, bias=None, epsilon=1e-12, features=32),
            inputs=("sum",),
        ),
        NetworkNode(name="gelu", operator=Gelu(), inputs=("norm",)),
        NetworkNode(name="mean", operator=MeanTokens(), inputs=("gelu",)),
    ]
    return Network(features=32, nodes=tuple(nodes), result="mean")


def test_encoders_have_no_public_tokens_but_kinds_of_tokens():
    """Special tokens at both ends get intervals of their own; public ones would see encrypted ones."""
    rng, network = np.random.default_rng(5), encoder()
    texts = [rng.normal(size=(n, 32)) for n in (6, 17, 30, 30)]
    for text in texts:
        text[0] *= 4
    found = calibrate_network(network, {}, texts[:-1] * 2, origin="")
    assert found.variance["norm"].opening.low > found.variance["norm"].inner.high
    result = simulate(network, {}, found, texts[2], noise_bits=30, rng=rng)
    np.testing.assert_allclose(result.values, evaluate(network, {}, texts[2]), atol=5e-3)
    assert result.values.shape == (1, 32)
    with pytest.raises(UnsupportedModuleError, match="public_tokens=0"):
        calibrate_network(network, {}, texts, public_tokens=1, origin="")
