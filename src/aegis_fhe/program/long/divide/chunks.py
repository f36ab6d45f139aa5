"""Attention with its babies in chunks: scores of some keys at a time, then sums of some columns of values.

The next step's babies come before a step's products: so babies that another device makes are on their way
while those before are used, and no more than two steps' are held.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from aegis_fhe.program.graph import Node
from aegis_fhe.program.long.diagonals import ScoreDiagonals
from aegis_fhe.program.long.divide.attention_names import AttentionNames, sum_parts
from aegis_fhe.program.long.divide.attention_part import AttentionPart
from aegis_fhe.program.long.divide.division import Division, in_turns
from aegis_fhe.program.long.even_ranges import even_ranges

# Of as many windows as there must be, each has so many pairs for a column: its scores take an eighth of the
# sums that are kept between windows.
WINDOW = 1 / 8


def chunked(names: AttentionNames, division: Division, steps: Sequence[tuple[int, int]]) -> Iterator[Node]:
    """All nodes of one attention, by blocks of queries if so divided, and by giant steps."""
    blocks = range(names.operator.scores.layout.blocks)
    queries = [(p, p + 1) for p in blocks] if division.queries else [(blocks.start, blocks.stop)]
    parts = [
        AttentionPart(names, block, giants, number, len(steps))
        for block in queries
        for number, giants in enumerate(steps)
    ]
    work = [*_steps(names, division, parts), _Step()]
    yield from work[0].babies
    for part in parts:
        yield from part.turned()
    for step, following in pairwise(work):
        early = "early babies" not in division.without
        yield from (*following.babies, *step.nodes) if early else (*step.nodes, *following.babies)


@dataclass(frozen=True)
class _Step:
    """babies: those that its nodes are the first to read."""

    babies: Sequence[Node] = ()
    nodes: Sequence[Node] = ()


def _steps(names: AttentionNames, division: Division, parts: Sequence[AttentionPart]) -> Iterator[_Step]:
    """Window by window: keys in chunks, then values column by column, or a few at a time."""
    scores, groups = names.operator.scores, division.giants
    windows = score_windows(scores)
    chunks = max(1, division.chunks // len(windows))
    shares = even_ranges(scores.columns, division.parts)
    shared = in_turns(len(shares), 1 if "turns" in division.without else groups)
    columns = even_ranges(scores.columns, groups * chunks)
    for number, window in enumerate(windows):
        for start, end in even_ranges(len(window), chunks):
            nodes = [node for part in parts for node in part.scores(window[start:end])]
            own = {n: shares[n] for turn in shared for n in turn.values()}
            yield _Step([*names.babies("keys", own, window[start:end])], nodes)
        last, made = number + 1 == len(windows), list[Node]()
        for turn in in_turns(len(columns), groups):
            taken = tuple(c for n in turn.values() for c in range(*columns[n]))
            nodes = [part.weighted(taken, window, number) for part in parts]
            nodes += [part.sums(taken, number) for part in parts] if last else []
            by_group = {group: columns[n] for group, n in turn.items()}
            sums = [*_over_parts(names, parts, by_group, taken[0])] if last else []
            own = {n: columns[n] for n in turn.values()}
            # Sums over groups one step late: their terms move under the products of the next columns.
            now = sums if "late sums" in division.without else made
            yield _Step([*names.babies("values", own, window)], [*nodes, *now])
            made = sums
        yield _Step(nodes=() if "late sums" in division.without else made)


def _over_parts(
    names: AttentionNames,
    parts: Sequence[AttentionPart],
    columns: Mapping[int, tuple[int, int]],
    first: int,
) -> Iterator[Node]:
    """Sums over the parts of each block of queries, each group's columns in a node."""
    for part in parts:
        if part.count > 1 and not part.number:
            role = f"{part.role}.{first}."
            yield from sum_parts(names, slice(*part.blocks), part.count, columns, role, part.block)


def score_windows(scores: ScoreDiagonals) -> list[range]:
    """Of pairs, whose scores are kept together: all where these take no more than sums, else few of them."""
    pairs = scores.layout.blocks * scores.baby
    most = pairs if pairs <= scores.columns else max(1, int(scores.columns * WINDOW))
    return [range(*own) for own in even_ranges(pairs, math.ceil(pairs / most))]
