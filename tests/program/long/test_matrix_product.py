"""Matrix products between placements: exact counts, and values against numpy."""

from __future__ import annotations

import numpy as np
import pytest

from aegis_fhe.circuits.symbolic import Symbol, SymbolicBackend
from aegis_fhe.program.clear import ClearBackend
from aegis_fhe.program.long.context import GridContext
from aegis_fhe.program.long.layout import GridLayout
from aegis_fhe.program.long.matrix_product import MatrixProduct, baby_steps, rotations
from aegis_fhe.program.long.placement import Placement

MODULI = (2**50, *(2**40 for _ in range(4)))
SCALE = 2.0**40


def context(tokens: int = 8, **constants: np.ndarray) -> GridContext:
    return GridContext(constants=constants, scale=SCALE, tokens=tokens)


def dense(features: int, sub_slots: int = 16) -> Placement:
    return Placement.dense(features, sub_slots)


LAYOUT = GridLayout.of(32768, 2048)


def heads(dim: int) -> Placement:
    """All 16 head sub-slots in use, as the published counts have it."""
    return Placement.head_minor(16, dim, LAYOUT)


# Source, targets, b, rotations, products, most of them of 2048 tokens on 32768 slots.
ROWS = [
    ("BERT QKV, dense", dense(768), (dense(2304),), 8, 768, 214_272),
    ("BERT O, dense", dense(768), (dense(768),), 4, 480, 71_424),
    ("BERT FF1", dense(768), (dense(3072),), 8, 912, 285_696),
    ("BERT FF2", dense(3072), (dense(768),), 2, 912, 285_696),
    ("BERT QKV, head-minor", dense(768), (heads(64),) * 3, 8, 912, 285_696),
    ("BERT O, head-minor", heads(64), (dense(768),), 4, 528, 95_232),
    ("BERT S=64, one block", dense(768, 64), (dense(2304, 64),), 16, 432, 54_864),
    ("SmolLM2 QKV, dense", dense(576), (dense(960),), 8, 432, 66_960),
    ("SmolLM2 O, dense", dense(576), (dense(576),), 4, 360, 40_176),
    ("SmolLM2 gate and up", dense(576), (dense(1536),) * 2, 16, 732, 214_272),
    ("SmolLM2 down", dense(1536), (dense(576),), 4, 540, 107_136),
    ("SmolLM2 QKV, head-minor", dense(576), (heads(64),) * 3, 16, 732, 214_272),
    ("SmolLM2 O, head-minor", heads(64), (dense(576),), 4, 444, 71_424),
    ("MiniLM QKV, S=64", dense(384, 64), (dense(1152, 64),), 16, 216, 13_716),
    ("LLaMA2-7B O", dense(4096), (dense(4096),), 4, 2_560, 2_031_616),
]


@pytest.mark.parametrize(
    ("source", "targets", "b", "rotations", "products"), [row[1:] for row in ROWS], ids=[r[0] for r in ROWS]
)
def test_counts(source, targets, b, rotations, products):
    """n_in (b - 1) + n_out (2S/b - 1) rotations and (2S - 1) n_in n_out products, of a symbolic run."""
    operator = MatrixProduct(weights=("w",) * len(targets), source=source, targets=targets)
    backend = SymbolicBackend(MODULI, 32768)
    inputs = [Symbol(3, SCALE) for _ in range(source.columns)]
    results = operator.lower(backend, inputs, context(w=np.asarray(1.0)))
    counts = backend.counts
    assert operator.baby == b
    assert counts.total("rotation") + counts.total("accumulated rotation") == rotations
    assert counts.total("plain product") == products == operator.plaintexts()
    assert len(results) == operator.columns_out
    assert {(x.level, x.scale) for x in results} == {(2, SCALE)}
    assert counts.total("rescale") == 0  # comes with the sums' ModDown


def test_diagonals_that_no_head_reaches_are_left_out():
    """12 of 16 heads: f - g runs from -11 to 15, 27 diagonals of 31."""
    target = Placement.head_minor(12, 64, LAYOUT)
    operator = MatrixProduct(weights=("w",), source=dense(768), targets=(target,))
    assert operator.plaintexts() == 27 * 48 * 64


PLACEMENTS = {
    "dense": lambda layout: Placement.dense(24, layout.sub_slots),
    "heads": lambda layout: Placement.head_minor(3, 8, layout),
    "grouped": lambda layout: Placement.head_minor(6, 8, layout, 3),
}


@pytest.mark.parametrize("sub_slots", [16, 64])
@pytest.mark.parametrize("source", ["dense", "heads"])
@pytest.mark.parametrize("target", PLACEMENTS)
def test_product_equals_numpy(source, target, sub_slots, rng):
    """Between any two placements; whatever lies in unused sub-slots of the input is not seen."""
    layout = GridLayout(slots=512, tokens=512 // sub_slots, blocks=1)
    places = PLACEMENTS[source](layout), PLACEMENTS[target](layout)
    weight, bias = rng.normal(size=(2, 24, 24)), rng.normal(size=24)
    operator = MatrixProduct(
        weights=("w0", "w1"), source=places[0], targets=(places[1], places[1]), biases=("b", "b")
    )
    hidden = rng.normal(size=(layout.tokens, 24))
    backend = ClearBackend(MODULI, 512)
    unused = np.tile(places[0].table() < 0, (1, layout.tokens)) * rng.normal(size=512)
    # A feature that lies in several sub-slots is summed over them: put it in the first alone.
    (grid,) = places[0].pack(hidden, layout)
    once = np.tile(np.arange(sub_slots) < (sub_slots if source == "dense" else 4), layout.tokens)
    inputs = [backend.encode(x * once + u, 3, SCALE) for x, u in zip(grid, unused, strict=True)]
    results = operator.lower(backend, inputs, context(w0=weight[0], w1=weight[1], b=bias))
    half = len(results) // 2
    for part, w in zip((results[:half], results[half:]), weight, strict=True):
        (expected,) = places[1].pack(hidden @ w + bias, layout)
        for found, wanted in zip(part, expected, strict=True):
            np.testing.assert_allclose(found.slots, wanted, atol=1e-12)


def test_shape_only_count_is_the_count_with_weights(rng):
    """A constant without axes stands for a matrix: same plaintexts, same rotations."""
    source, target = dense(24), Placement.head_minor(3, 8, GridLayout.of(512, 32))
    operator = MatrixProduct(weights=("w",), source=source, targets=(target,))
    found = []
    for weight in (np.asarray(1.0), rng.normal(size=(24, 24))):
        backend = SymbolicBackend(MODULI, 512)
        operator.lower(backend, [Symbol(2, SCALE)] * 2, context(w=weight))
        found.append(backend.counts.by_level)
    assert found[0] == found[1]


def test_targets_may_lie_lower(rng):
    """The second target's results two levels further down, the same numbers; the first one's as without."""
    source, target = dense(24), Placement.head_minor(3, 8, GridLayout.of(512, 32))
    weights, layout = (
        {"w0": rng.normal(size=(24, 24)), "w1": rng.normal(size=(24, 24))},
        GridLayout.of(512, 32),
    )
    found = []
    for below in ((), (0, 2)):
        operator = MatrixProduct(weights=tuple(weights), source=source, targets=(target, target), below=below)
        backend = ClearBackend(MODULI, 512)
        (grid,) = source.pack(np.random.default_rng(3).normal(size=(32, 24)), layout)
        inputs = [backend.encode(x, 3, SCALE) for x in grid]
        found.append(operator.lower(backend, inputs, context(**weights)))
    plain, lower = found
    half = len(plain) // 2
    assert {x.symbol.level for x in plain} == {2}
    assert [x.symbol.level for x in lower] == [2] * half + [0] * half
    for x, y in zip(plain, lower, strict=True):
        np.testing.assert_allclose(x.slots, y.slots, atol=1e-12)


def test_few_babies_cost_rotations():
    """The most rotated inputs are kept to, and among baby steps that do, the fewest rotations win."""
    assert baby_steps(3, 192, 256) == 128
    assert (rotations(3, 192, 256, 128), rotations(3, 192, 256, 64)) == (957, 1533)
    assert baby_steps(3, 192, 256, 256) == 64
    assert baby_steps(300, 192, 256, 256) == 1
