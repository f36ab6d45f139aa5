"""Where the inputs and results of every operator lie on the grid: in which role, token and feature block."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from aegis_fhe.errors import CompatibilityError
from aegis_fhe.program.long.attention import StreamingAttention
from aegis_fhe.program.operators import (
    Add,
    AddFeatures,
    AddHeads,
    AddPlain,
    AddScalar,
    Attend,
    Babies,
    ColumnBabies,
    ComplexParts,
    Each,
    FeatureSum,
    GiantSums,
    HeadSum,
    Input,
    MatrixProduct,
    Multiply,
    MultiplyI,
    MultiplyPlain,
    Operator,
    PlaceHeads,
    PlainSum,
    Polynomial,
    ProductSums,
    ProductTerms,
    Project,
    Reciprocal,
    Refresh,
    RotateSum,
    ScalarMinus,
    ScoreChunk,
    Scores,
    Shear,
    SquareSum,
    Subtract,
    SumOfRotations,
    WeightedProduct,
    WeightedSums,
)


@dataclass(frozen=True)
class Place:
    """role: values of different roles have nothing to do with each other's indices."""

    role: str
    token_block: int = 0
    feature_block: int = 0


@dataclass(frozen=True, kw_only=True)
class Places:
    """Of an operator's inputs and results, in order. across: whether it works on several token blocks."""

    inputs: tuple[Place, ...]
    outputs: tuple[Place, ...]
    across: bool = False


def places(operator: Operator, inputs: int, outputs: int) -> Places:
    """Of an operator with so many inputs and results. Raises CompatibilityError for one that is not known."""
    match operator:
        case Input():
            return Places(inputs=(), outputs=_columns("x", outputs))
        case Add() | Subtract() | Multiply() | PlainSum() | RotateSum():
            return Places(inputs=_terms(inputs), outputs=_columns("x", outputs))
        case Project() | Shear() | AddScalar() | ScalarMinus() | MultiplyI() | ComplexParts() | Polynomial():
            return Places(inputs=_columns("x", inputs), outputs=_columns("x", outputs))
        case AddPlain() | MultiplyPlain() | SumOfRotations() | Reciprocal() | HeadSum():
            return Places(inputs=_columns("x", inputs), outputs=_columns("x", outputs))
        case MatrixProduct(turned=True):
            babies = tuple(_grid("features", [0], inputs, len(operator.columns_in)))
            return Places(inputs=babies, outputs=_columns("x", outputs))
        case ProductTerms():
            columns = tuple(_repeated("features", operator.columns, operator.product.baby))
            before = _inner_sums("sums", operator.product, operator.before)
            return Places(
                inputs=(*columns, *before), outputs=_inner_sums("x", operator.product, operator.reached)
            )
        case ProductSums(product=product):
            inner = _inner_sums("sums", product, product.columns_in)
            return Places(inputs=inner, outputs=_columns("x", outputs))
        case FeatureSum() | MatrixProduct() | PlaceHeads() | AddHeads() | AddFeatures():
            return Places(inputs=_columns("features", inputs), outputs=_columns("x", outputs))
        case Scores():
            return _pair_of_blocks("queries", "keys", outputs)
        case Attend():
            return _pair_of_blocks("probabilities", "values", outputs)
        case Refresh():
            return _bootstrapped(inputs)
        case Each() | WeightedProduct() | SquareSum() | Babies() | ColumnBabies():
            return _grids(operator, inputs, outputs)
        case StreamingAttention() | ScoreChunk() | WeightedSums() | GiantSums():
            found, results = _attended(operator, inputs)
            assert (len(found), len(results)) == (inputs, outputs)
            return Places(inputs=tuple(found), outputs=tuple(results), across=True)
        case _:
            raise CompatibilityError(
                f"nobody has said where the values of {type(operator).__name__} lie on a grid, so what it "
                "couples is unknown: add it to placement.coupling.places"
            )


def _columns(role: str, count: int) -> tuple[Place, ...]:
    return tuple(Place(role, 0, column) for column in range(count))


def _terms(count: int) -> tuple[Place, ...]:
    """Values of one place that are joined."""
    return tuple(Place(f"term {number}") for number in range(count))


def _repeated(role: str, columns: Iterable[int], times: int) -> Iterator[Place]:
    return (Place(role, 0, column) for column in columns for _ in range(times))


def _inner_sums(role: str, product: MatrixProduct, columns_in: Sequence[int]) -> tuple[Place, ...]:
    """Of each result of a product one for each giant step."""
    reached = enumerate(product.places())
    return tuple(Place(role, 0, n) for n, place in reached for _ in product.giants(*place, columns_in))


def _pair_of_blocks(own: str, other: str, outputs: int) -> Places:
    """Of one token block's queries and another's keys."""
    return Places(inputs=(Place(own, 0), Place(other, 1)), outputs=_columns("x", outputs))


def _bootstrapped(count: int) -> Places:
    """Two values share a bootstrap, whatever they are: of any two token blocks."""
    both = tuple(Place("values", index) for index in range(count))
    return Places(inputs=both, outputs=both)


def _grids(
    operator: Each | WeightedProduct | SquareSum | Babies | ColumnBabies, inputs: int, outputs: int
) -> Places:
    match operator:
        case Babies(count=count) | ColumnBabies(count=count):
            results = tuple(Place("x", 0, index // count) for index in range(outputs))
            return Places(inputs=_columns("features", inputs), outputs=results)
        case Each(columns=columns, shared=shared):
            starts = range(0, inputs - shared, columns)
            grids = [p for k, _ in enumerate(starts) for p in _columns(f"term {k}", columns)]
            return Places(inputs=(*grids, *_one("shared", shared)), outputs=_columns("x", outputs))
        case _:
            common = not isinstance(operator, SquareSum) or operator.excess > 0
            grid = _columns("features", inputs - common)
            return Places(inputs=(*grid, *_one("shared", common)), outputs=_columns("x", outputs))


def _one(role: str, present: bool) -> tuple[Place, ...]:
    return (Place(role),) if present else ()


def _attended(
    operator: StreamingAttention | ScoreChunk | WeightedSums | GiantSums, inputs: int
) -> tuple[list[Place], list[Place]]:
    match operator:
        case StreamingAttention():
            return _attention(operator, inputs)
        case ScoreChunk():
            return _chunk(operator)
        case WeightedSums():
            return _weighted(operator, inputs)
        case _:
            return _giant_sums(operator)


def _chunk(operator: ScoreChunk) -> tuple[list[Place], list[Place]]:
    """Q [giant step][column], babies of K [pair][column]; P [giant step][pair], its key's block in the place
    of a feature's.
    """
    scores, block = operator.attention.scores, operator.block
    keys = [pair // scores.baby for pair in operator.all_pairs()]
    found = [*_grid("queries", [block] * len(operator.steps), scores.columns, scores.columns)]
    return [*found, *_grid("keys", keys, scores.columns, scores.columns)], [
        Place("x", block, pair) for i in operator.steps for pair in operator.pairs(i)
    ]


def _weighted(operator: WeightedSums, inputs: int) -> tuple[list[Place], list[Place]]:
    """P [query block][giant step][pair], babies of V [pair][column], sums so far as the results."""
    attention = operator.attention
    found = [Place("scores", place[0], x) for place in attention.places for x in operator.pairs(*place)]
    found += [
        Place("values", pair // attention.scores.baby, c)
        for pair in operator.all_pairs()
        for c in operator.columns
    ]
    before = _sums("sums", attention, operator.columns) if len(found) < inputs else []
    return found + before, _sums("x", attention, operator.columns)


def _sums(role: str, attention: StreamingAttention, columns: tuple[int, ...]) -> list[Place]:
    """[query block][giant step], O's columns and then, with the first, D."""
    own = [*columns, *_denominator(attention, columns)]
    return [Place(role, block, c) for block, _ in attention.places for c in own]


def _denominator(attention: StreamingAttention, columns: tuple[int, ...]) -> list[int]:
    return [attention.scores.columns] if 0 in columns else []


def _giant_sums(operator: GiantSums) -> tuple[list[Place], list[Place]]:
    attention, columns = operator.attention, operator.columns
    results = [Place("x", block, c) for block in attention.query_blocks for c in columns]
    return _sums("sums", attention, columns), results + [
        Place("x", block, c) for block in attention.query_blocks for c in _denominator(attention, columns)
    ]


def _attention(operator: StreamingAttention, inputs: int) -> tuple[list[Place], list[Place]]:
    """As its docstring says: grids [token block][column], rounds' factors [round][token block]."""
    queries, keys = list(operator.query_blocks), range(operator.scores.layout.blocks)
    columns = operator.scores.columns
    babies = columns * (operator.scores.baby if operator.turned else 1)
    found: list[Place] = []
    if operator.resident:
        found += [Place("scores", place[0], number) for number, place in enumerate(operator.scores.places())]
    else:
        found += _grid("queries", queries, columns, columns)
        found += _grid("keys", keys, babies, columns)
    if operator.weighs:
        found += _grid("values", keys, babies, columns)
    rounds = range((inputs - len(found)) // len(queries))
    found += [Place(f"factors {number}", block) for number in rounds for block in queries]
    results: list[Place] = []
    if operator.keeps:
        results += [Place("x", place[0], number) for number, place in enumerate(operator.scores.places())]
    if operator.weighs:
        results += _grid("x", queries, columns, columns)
    results += [Place("x", block) for block in queries]
    return found, results


def _grid(role: str, blocks: Sequence[int], count: int, columns: int) -> Iterator[Place]:
    """`count` values of each token block, `columns` columns in a row or several times each in a row."""
    repeats = count // columns
    for block in blocks:
        yield from (Place(role, block, index // repeats) for index in range(count))
