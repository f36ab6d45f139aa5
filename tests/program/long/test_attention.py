"""Streaming attention: exact counts of one layer's scores, and values against softmax in numpy."""

from __future__ import annotations

import numpy as np
import pytest

from aegis_fhe.circuits.exponential import fit_exponential
from aegis_fhe.circuits.symbolic import Symbol, SymbolicBackend
from aegis_fhe.errors import RangeError
from aegis_fhe.program.clear import ClearBackend
from aegis_fhe.program.long.attention import StreamingAttention
from aegis_fhe.program.long.context import GridContext
from aegis_fhe.program.long.diagonals import ScoreDiagonals
from aegis_fhe.program.long.folding import attention_baby_steps
from aegis_fhe.program.long.heads import PlaceHeads
from aegis_fhe.program.long.layout import GridLayout
from aegis_fhe.program.long.placement import Placement
from aegis_fhe.program.operators import Polynomial

MODULI = (2**50, *(2**40 for _ in range(12)))
SCALE = 2.0**40
SERIES = fit_exponential(-4.0, 4.0, degree=15, squarings=1)


def operator(
    layout: GridLayout, placement: Placement, *, causal: bool = False, masked: bool = False, group: int = 0
) -> StreamingAttention:
    return StreamingAttention(
        scores=ScoreDiagonals(layout, placement, group, causal),
        exponential=Polynomial.of(SERIES),
        squarings=1,
        offset="offset",
        masked=masked,
    )


def context(tokens: int, **constants: np.ndarray) -> GridContext:
    return GridContext(constants={"offset": np.asarray(0.0), **constants}, scale=SCALE, tokens=tokens)


@pytest.mark.parametrize(
    ("diagonals", "b", "g"), [(2048, 50, 41), (512, 27, 19), (128, 13, 10), (1, 1, 1), (4096, 64, 64)]
)
def test_baby_steps(diagonals, b, g):
    """The fewest rotations, and of these the fewest giant steps."""
    assert (attention_baby_steps(diagonals), -(-diagonals // attention_baby_steps(diagonals))) == (b, g)


# Name, heads, head_dim, tokens, score ciphertexts, products, rotations of QK^T and of PV, relinearised PV.
ROWS = [
    ("BERT-base", 12, 64, 2048, 2_048, 131_072, 5_696, 2_624),
    ("SmolLM2-135M", 9, 64, 2048, 2_048, 131_072, 5_696, 2_624),
    ("MiniLM-L6, 512 tokens, folded", 12, 32, 512, 128, 4_096, 672, 320),
]


@pytest.mark.parametrize(
    ("heads", "dim", "n", "scores", "products", "rotations", "sums"), [r[1:] for r in ROWS]
)
def test_counts(heads, dim, n, scores, products, rotations, sums):
    """As many products and rotations for QK^T as for PV, g - 1 rotations of D, b + 1 keys at most."""
    layout = GridLayout.of(32768, n)
    attention = operator(layout, Placement.head_minor(heads, dim, layout))
    backend = SymbolicBackend(MODULI, 32768)
    results = attention.lower(backend, [Symbol(10, SCALE)] * (3 * dim), context(n))
    assert len(results) == dim + 1
    # Squarings and series: 1 and 7 products a score here, counted apart.
    single = SymbolicBackend(MODULI, 32768)
    attention.exponential.lower(single, [Symbol(9, SCALE)], context(n))
    series, switches = single.counts.total("product") + 1, single.counts.total("key switch") + 1
    counts = backend.counts
    assert attention.scores.count == scores
    assert counts.total("product") == 2 * products + scores * series
    assert counts.total("rotation") == 2 * rotations + attention.scores.giants - 1
    assert counts.total("key switch") == scores * (1 + switches) + sums
    steps = [step for step in counts.keys if step != "relin"]
    assert len(steps) <= attention.scores.baby + 1
    assert counts.total("bootstrap") == 0


def test_llama_has_two_groups():
    """32 heads of 128 features on 16 sub-slots: 2 x 2048 score ciphertexts."""
    layout = GridLayout.of(32768, 2048)
    attention = operator(layout, Placement.head_minor(32, 128, layout), group=1)
    assert (attention.scores.columns, attention.scores.count) == (128, 2048)
    assert 2 * attention.scores.columns * (attention.scores.baby + attention.scores.giants - 2) == 22_784


def softmax_parts(q, k, v, *, causal: bool, offset: np.ndarray):
    """sum_j p_ij v_j and sum_j p_ij with p = series(score + offset)^2, [tokens, heads, ...]."""
    u = np.einsum("ihc,jhc->hij", q, k) + offset[:, None, None]
    series = np.polynomial.chebyshev.chebval(u, np.array(SERIES.coefficients)) ** 2
    if causal:
        series = series * np.tril(np.ones(series.shape[1:]))
    return np.einsum("hij,jhc->ihc", series, v), series.sum(axis=2).T


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(
    ("slots", "heads", "kv", "tokens"),
    [
        (256, 16, 16, 16),  # nothing folded
        (256, 3, 3, 16),  # folded four times, empty head sub-slots
        (256, 4, 2, 11),  # padding, shared keys
        (256, 2, 2, 8),  # more sub-slots than keys to fold
        (256, 4, 4, 40),  # three token blocks, the last half full
        (256, 20, 10, 16),  # two groups of heads
    ],
)
def test_values(slots, heads, kv, tokens, causal, rng):
    dim, layout = 3, GridLayout.of(slots, tokens)
    queries = Placement.head_minor(heads, dim, layout)
    keys = Placement.head_minor(heads, dim, layout, kv)
    q, k, v = (rng.uniform(-0.4, 0.4, size=(tokens, h * dim)) for h in (heads, kv, kv))
    offset = rng.uniform(-0.2, 0.2, size=heads)
    backend = ClearBackend(MODULI, slots)
    facts = GridContext(constants={"offset": offset}, scale=SCALE, tokens=tokens)

    def grids(x: np.ndarray, placement: Placement, folded: bool):
        found = []
        for p, row in enumerate(placement.pack(x, layout)):
            columns = [backend.encode(values, 11, SCALE) for values in row]
            fold = PlaceHeads(layout=layout, placement=placement, block=p, folded=folded)
            found.append(fold.lower(backend, columns, facts))
        return found

    per_head = [x.reshape(tokens, -1, dim) for x in (q, k, v)]
    spread = [np.repeat(x, heads // x.shape[1], axis=1) for x in per_head]
    outputs, sums = softmax_parts(*spread, causal=causal, offset=offset)
    every = [grids(q, queries, False), grids(k, keys, True), grids(v, keys, True)]
    for group in range(queries.groups):
        attention = operator(layout, queries, causal=causal, masked=True, group=group)
        own = slice(group * dim, (group + 1) * dim)
        inputs = [x for grid in every for row in grid for x in row[own]]
        results = attention.lower(backend, inputs, facts)
        assert len(results) == layout.blocks * (dim + 1)
        padded, copies = queries.padded_heads, queries.key_blocks
        first = group * padded
        real = min(padded, heads - first)
        for p in range(layout.blocks):
            rows = slice(p * layout.tokens, min(tokens, (p + 1) * layout.tokens))
            columns = [*results[p * dim : (p + 1) * dim], results[layout.blocks * dim + p]]
            rows_of = [x.slots.reshape(layout.tokens, -1)[:, : copies * padded] for x in columns]
            found = [x.reshape(layout.tokens, copies, padded).sum(axis=1) for x in rows_of]
            count = rows.stop - rows.start
            own_heads = slice(first, first + real)
            for c in range(dim):
                np.testing.assert_allclose(found[c][:count, :real], outputs[rows, own_heads, c], atol=1e-10)
            np.testing.assert_allclose(found[dim][:count, :real], sums[rows, own_heads], atol=1e-10)
        levels = {x.symbol.level for x in results[: layout.blocks * dim]}
        assert levels == {10 - attention.depth}


def test_causal_blocks_without_any_key_are_left_out():
    """Two token blocks: keys of the second are nothing to queries of the first."""
    layout = GridLayout.of(256, 32)
    placement, dim = Placement.head_minor(16, 2, layout), 2
    scores = []
    for causal in (False, True):
        backend = SymbolicBackend(MODULI, 256)
        attention = operator(layout, placement, causal=causal, masked=True)
        attention.lower(backend, [Symbol(11, SCALE)] * (3 * layout.blocks * dim), context(32))
        scores.append(backend.counts.total("plain product"))
    assert scores == [4 * 16, 3 * 16]


def test_a_shorter_text_is_refused_without_masks():
    layout = GridLayout.of(256, 16)
    attention = operator(layout, Placement.head_minor(16, 2, layout))
    with pytest.raises(RangeError, match="exactly 16"):
        attention.lower(SymbolicBackend(MODULI, 256), [Symbol(11, SCALE)] * 6, context(15))
