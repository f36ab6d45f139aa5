"""Where a layer is refreshed: the shortest path over levels.

A layer is a chain of steps. At a cut the whole hidden state may be refreshed, two ciphertexts in one
bootstrap; a side branch (a norm's statistics, a softmax's denominators) may be refreshed by itself, for far
fewer. The cheapest choice for a layer that ends no lower than it begins is what all its copies can use.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from aegis_fhe.errors import LevelError
from aegis_fhe.program.long.rounds import round_level


@dataclass(frozen=True)
class Spend:
    """The hidden state goes down by `levels`."""

    levels: int


@dataclass(frozen=True)
class Cut:
    """The hidden state may be refreshed here, with so many bootstraps."""

    name: str
    bootstraps: int


@dataclass(frozen=True)
class Fork:
    """The residual branches off."""


@dataclass(frozen=True)
class Join:
    """The residual is added: the lower level counts."""


@dataclass(frozen=True)
class Side:
    """A factor is computed aside and multiplied in: one level of the hidden state.

    before: levels from the hidden state to where the branch may be refreshed. after: levels from there to the
    factor. aside: levels of the hidden state itself before the product.
    """

    name: str
    bootstraps: int
    before: int
    after: int
    aside: int = 0


@dataclass(frozen=True)
class Round:
    """Probabilities meet a factor made of their own sums, and are squared: `round_level`.

    masked: whether they are masked on the way, before their sums as well. before: levels from masked
    probabilities to where sums may be refreshed. after: levels from there to the factor.
    """

    name: str
    bootstraps: int
    masked: bool
    before: int
    after: int


Step = Spend | Cut | Fork | Join | Side | Round


@dataclass(frozen=True)
class Path:
    """The levels of the hidden state and of the residual, what was refreshed, and the bootstraps it took."""

    level: int
    residual: int = 0
    bootstraps: int = 0
    refreshed: tuple[str, ...] = ()

    def refresh(self, step: Cut | Side | Round, level: int) -> Path:
        """One more refreshed value."""
        bootstraps = self.bootstraps + step.bootstraps
        return replace(self, level=level, bootstraps=bootstraps, refreshed=(*self.refreshed, step.name))


@dataclass(frozen=True, kw_only=True)
class RefreshPlan:
    """The level at which a layer begins, the names of what is refreshed in it, its bootstraps."""

    start: int
    refreshed: frozenset[str]
    bootstraps: int


def place_refreshes(steps: Sequence[Step], *, fresh: int, lowest: int) -> RefreshPlan:
    """The fewest bootstraps for a layer that ends at its start level or higher; the lowest start of equals.

    fresh: level of a refreshed value. lowest: where a value can still be refreshed. Raises LevelError when
    some stretch between two cuts takes more levels than a bootstrap leaves.
    """
    found: list[RefreshPlan] = []
    for start in range(fresh + 1):
        ends = [path for path in _paths(steps, start, fresh, lowest) if path.level >= start]
        if ends:
            best = min(ends, key=lambda path: path.bootstraps)
            found.append(
                RefreshPlan(start=start, refreshed=frozenset(best.refreshed), bootstraps=best.bootstraps)
            )
    if not found:
        raise LevelError(_not_carried(fresh, lowest))
    return min(found, key=lambda plan: plan.bootstraps)


def depth(steps: Sequence[Step]) -> int:
    """Levels that the layer takes without any bootstrap."""
    most = 1 + sum(_most(step) for step in steps)
    return most - max(path.level for path in _paths(steps, most, most, most + 1))


def _most(step: Step) -> int:
    if isinstance(step, Side):
        return step.before + step.after + step.aside + 1
    if isinstance(step, Round):
        return step.masked + step.before + step.after + 2
    return step.levels if isinstance(step, Spend) else 0


def _paths(steps: Sequence[Step], start: int, fresh: int, lowest: int) -> list[Path]:
    """The cheapest path to each pair of levels after all steps."""
    paths = [Path(start)]
    for step in steps:
        reached: dict[tuple[int, int], Path] = {}
        for path in paths:
            for further in _taken(step, path, fresh, lowest):
                key = further.level, further.residual
                known = reached.get(key)
                if known is None or further.bootstraps < known.bootstraps:
                    reached[key] = further
        paths = list(reached.values())
    return paths


def _taken(step: Step, path: Path, fresh: int, lowest: int) -> Iterator[Path]:
    """What one step can make of a path."""
    match step:
        case Spend(levels):
            if path.level >= levels:
                yield replace(path, level=path.level - levels)
        case Cut():
            yield path
            if path.level >= lowest:
                yield path.refresh(step, fresh)
        case Fork():
            yield replace(path, residual=path.level)
        case Join():
            yield replace(path, level=min(path.level, path.residual), residual=0)
        case Side():
            yield from _multiplied(step, path, fresh, lowest)
        case Round():
            yield from _squared(step, path, fresh, lowest)


def _multiplied(side: Side, path: Path, fresh: int, lowest: int) -> Iterator[Path]:
    """The product with the factor, refreshed or not."""
    own, branch = path.level - side.aside, path.level - side.before
    level = min(own, branch - side.after) - 1
    if branch >= 0 and level >= 0:
        yield replace(path, level=level)
    level = min(own, fresh - side.after) - 1
    if branch >= lowest and level >= 0:
        yield path.refresh(side, level)


def _squared(step: Round, path: Path, fresh: int, lowest: int) -> Iterator[Path]:
    """The squared product with the factor, refreshed or not."""
    branch = path.level - step.masked - step.before
    level = round_level(path.level, branch - step.after, masked=step.masked)
    if branch >= 0 and level >= 0:
        yield replace(path, level=level)
    level = round_level(path.level, fresh - step.after, masked=step.masked)
    if branch >= lowest and level >= 0:
        yield path.refresh(step, level)


def place_chain(layers: Sequence[Sequence[Step]], *, fresh: int, lowest: int) -> list[RefreshPlan]:
    """The fewest bootstraps for layers one after the other: each begins where the one before it ends.

    The first one's input is at level `fresh`; the last one may end anywhere. Raises LevelError as
    `place_refreshes`, naming the first layer that cannot be carried.
    """
    reached: dict[int, tuple[RefreshPlan, ...]] = {fresh: ()}
    for index, steps in enumerate(layers):
        further: dict[int, tuple[RefreshPlan, ...]] = {}
        for level, plans in reached.items():
            for path in _paths(steps, level, fresh, lowest):
                plan = RefreshPlan(
                    start=level, refreshed=frozenset(path.refreshed), bootstraps=path.bootstraps
                )
                known = further.get(path.level)
                if known is None or _bootstraps(plans) + plan.bootstraps < _bootstraps(known):
                    further[path.level] = (*plans, plan)
        if not further:
            raise LevelError(f"layer {index}: {_not_carried(fresh, lowest)}")
        reached = further
    return list(min(reached.values(), key=_bootstraps))


def _bootstraps(plans: Iterable[RefreshPlan]) -> int:
    return sum(plan.bootstraps for plan in plans)


def _not_carried(fresh: int, lowest: int) -> str:
    return (
        f"a refreshed value has level {fresh} and must be refreshed at level {lowest}: no choice of "
        "bootstraps carries this layer; lower its degrees or take a bootstrap that leaves more levels"
    )
