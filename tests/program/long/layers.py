"""Tiny layers with random weights, their float64 reference, and ranges measured on it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from aegis_fhe.program.long.shape import LayerRanges, LayerShape
from aegis_fhe.program.long.weights import LayerWeights
from aegis_fhe.program.network import (
    Add,
    Attention,
    Gelu,
    LayerNorm,
    Linear,
    Multiply,
    Network,
    NetworkNode,
    RmsNorm,
    Rotary,
    Silu,
    evaluate,
)
from aegis_fhe.program.ranges import Interval

DECODER = LayerShape.decoder(features=32, heads=4, key_value_heads=2, head_dim=8, hidden=48)
ENCODER = LayerShape.encoder(features=32, heads=4, hidden=64)
# 24 features leave sub-slots of the last column empty, 3 heads leave head sub-slots empty.
UNEVEN = LayerShape.encoder(features=24, heads=3, hidden=40)
SHIFT = 0.1


@dataclass(frozen=True)
class TinyLayer:
    """A shape with weights, an input, what the layer makes of it, and the ranges seen on the way."""

    shape: LayerShape
    weights: LayerWeights
    hidden: np.ndarray
    result: np.ndarray
    ranges: LayerRanges


def tiny_layer(shape: LayerShape, tokens: int, seed: int = 5, *, rounds: int = 0) -> TinyLayer:
    """Weights as after initialisation, norms' weights near 1; ranges for rounds of normalise-and-square."""
    rng = np.random.default_rng(seed)
    weights = _weights(shape, tokens, rng)
    hidden = rng.normal(size=(tokens, shape.features))
    seen: dict[str, np.ndarray] = {}
    network = network_of(shape, weights)
    result = evaluate(
        network,
        named(weights),
        hidden,
        observe=lambda node, inputs, value: seen.update({node.name: value, f"{node.name}.in": inputs[0]}),
    )
    ranges = _ranges(shape, weights, network, hidden, seen)
    return TinyLayer(shape, weights, hidden, result, _with_rounds(ranges, network, seen, rounds))


def network_of(shape: LayerShape, weights: LayerWeights) -> Network:
    """The reference, written independently of the encrypted graph."""
    n, h, kv, dim, f = shape.features, shape.heads, shape.key_value_heads, shape.head_dim, shape.hidden
    rope = lambda heads: Rotary(heads=heads, head_dim=dim, cosine="cosine", sine="sine")  # noqa: E731

    def linear(name: str, size_in: int, size_out: int) -> Linear:
        bias = f"{name}.bias" if shape.biases else None
        return Linear(weight=f"{name}.weight", bias=bias, in_features=size_in, out_features=size_out)

    def norm(name: str) -> LayerNorm | RmsNorm:
        if shape.norm == "rms":
            return RmsNorm(weight=f"{name}.norm", epsilon=shape.epsilon, features=n)
        return LayerNorm(weight=f"{name}.norm", bias=f"{name}.norm.bias", epsilon=shape.epsilon, features=n)

    nodes: list[NetworkNode] = []

    def add(name: str, operator: object, *inputs: str) -> str:
        nodes.append(NetworkNode(name=name, operator=operator, inputs=inputs))  # type: ignore[arg-type]
        return name

    x = "hidden"
    source = add("first", norm("first"), x) if shape.pre_norm else x
    q = add("query", linear("query", n, h * dim), source)
    k = add("key", linear("key", n, kv * dim), source)
    v = add("value", linear("value", n, kv * dim), source)
    if shape.rotary:
        q, k = add("query.turned", rope(h), q), add("key.turned", rope(kv), k)
    attention = Attention(heads=h, key_value_heads=kv, head_dim=dim, scale=dim**-0.5, causal=shape.causal)
    attended = add("attention", attention, q, k, v)
    y = add("middle", Add(), x, add("output", linear("output", h * dim, n), attended))
    if not shape.pre_norm:
        y = add("first", norm("first"), y)
    source = add("second", norm("second"), y) if shape.pre_norm else y
    up = add("up", linear("up", n, f), source)
    if shape.gated:
        gate = add("activated", Silu(), add("gate", linear("gate", n, f), source))
        units = add("gated", Multiply(), gate, up)
    else:
        units = add("activated", Gelu(), up)
    total = add("sum", Add(), y, add("down", linear("down", f, n), units))
    result = total if shape.pre_norm else add("second", norm("second"), total)
    return Network(features=n, nodes=tuple(nodes), result=result)


def _weights(shape: LayerShape, tokens: int, rng: np.random.Generator) -> LayerWeights:
    queries, keys = shape.heads * shape.head_dim, shape.key_value_heads * shape.head_dim
    n, f = shape.features, shape.hidden
    sizes = {"query": (queries, n), "key": (keys, n), "value": (keys, n), "output": (n, queries)}
    sizes |= {"gate": (f, n), "up": (f, n), "down": (n, f)}
    angles = np.arange(tokens)[:, None] / 100.0 ** (np.arange(shape.head_dim // 2) / shape.head_dim)
    angles = np.concatenate([angles, angles], axis=1)
    norms = {f"{name}.weight": rng.normal(1.0, 0.2, n) for name in ("first", "second")}
    if shape.norm == "layer":
        norms |= {f"{name}.bias": rng.normal(0.0, 0.2, n) for name in ("first", "second")}
    biases = {name: rng.normal(0.0, 0.2, size[0]) for name, size in sizes.items()}
    return LayerWeights(
        matrices={name: rng.normal(0.0, size[1] ** -0.5, size) for name, size in sizes.items()},
        biases=biases if shape.biases else {},
        norms=norms,
        cosine=np.cos(angles),
        sine=np.sin(angles),
        shift=np.full(shape.heads, SHIFT),
    )


def named(weights: LayerWeights) -> dict[str, np.ndarray]:
    assert weights.cosine is not None
    assert weights.sine is not None
    named = {f"{name}.weight": value for name, value in weights.matrices.items()}
    named |= {f"{name}.bias": value for name, value in weights.biases.items()}
    for name in ("first", "second"):
        named[f"{name}.norm"] = weights.norms[f"{name}.weight"]
        if f"{name}.bias" in weights.norms:
            named[f"{name}.norm.bias"] = weights.norms[f"{name}.bias"]
    return named | {"cosine": weights.cosine, "sine": weights.sine}


def _ranges(
    shape: LayerShape,
    weights: LayerWeights,
    network: Network,
    hidden: np.ndarray,
    seen: dict[str, np.ndarray],
) -> LayerRanges:
    node = next(node for node in network.nodes if node.name == "attention")
    assert isinstance(node.operator, Attention)
    everything = Attention(
        **{**{f: getattr(node.operator, f) for f in node.operator.__struct_fields__}, "causal": False}
    )
    q, k = (seen[name] for name in node.inputs[:2])
    # Masked scores pass through exp as well, before their mask.
    scores = everything.scores(q, k) - SHIFT
    score = Interval(float(scores.min()) - 0.5, float(scores.max()) + 0.5)
    visible = node.operator.scores(q, k) - SHIFT
    denominators = np.exp(visible - score.high).sum(axis=2)
    gate = seen["gate"] if shape.gated else seen["up"]
    bound = max(float(np.abs(seen[name]).max()) for name in ("middle", "sum", network.result))
    bare = [_bare(shape, seen[f"{name}.in"]) for name in ("first", "second")]
    return LayerRanges(
        score=score,
        denominator=Interval(0.9 * float(denominators.min()), 1.1 * float(denominators.max())),
        first_norm=_variances(shape, seen["first.in"]),
        second_norm=_variances(shape, seen["second.in"]),
        activation=1.1 * float(np.abs(gate).max()),
        up=1.1 * float(np.abs(seen["up"]).max()),
        hidden=1.1 * max(bound, float(np.abs(hidden).max())),
        normalised=1.1 * max(float(np.abs(value).max()) for value in bare),
        value=1.1 * float(np.abs(seen["attention"]).max()),
    )


def _with_rounds(
    ranges: LayerRanges, network: Network, seen: dict[str, np.ndarray], rounds: int
) -> LayerRanges:
    """The same with the denominators of every division; the unit lies below the highest score."""
    if not rounds:
        return ranges
    node = next(node for node in network.nodes if node.name == "attention")
    assert isinstance(node.operator, Attention)
    unit = ranges.score.high - 0.7
    scores = node.operator.scores(*(seen[name] for name in node.inputs[:2])) - SHIFT
    y, found = np.exp((scores - unit) / 2.0**rounds), []
    for _ in range(rounds + 1):
        sums = y.sum(axis=2, keepdims=True)
        found.append(Interval(0.9 * float(sums.min()), 1.1 * float(sums.max())))
        y = (y / sums) ** 2
    return dataclasses.replace(ranges, denominator=found[-1], rounds=tuple(found[:-1]), unit=unit)


def _variances(shape: LayerShape, x: np.ndarray) -> Interval:
    mean = x.mean(axis=1, keepdims=True) if shape.norm == "layer" else 0.0
    variances = ((x - mean) ** 2).mean(axis=1)
    return Interval(0.8 * float(variances.min()), 1.2 * float(variances.max()))


def _bare(shape: LayerShape, x: np.ndarray) -> np.ndarray:
    """The norm without its affine part."""
    x = x - x.mean(axis=1, keepdims=True) if shape.norm == "layer" else x
    return x / np.sqrt((x**2).mean(axis=1, keepdims=True))
