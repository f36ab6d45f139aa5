"""The planner against exhaustive search on random graphs."""

from __future__ import annotations

import itertools
import math
import random

import pytest

from aegis_fhe.errors import CapacityError, ParameterError
from aegis_fhe.placement.planner import Choice, Cost, Edge, Limits, Operator, Option, Problem, front, solve
from aegis_fhe.placement.planner.integer import IntegerProgram


def random_problem(rng: random.Random, *, chain: bool) -> Problem:
    count = rng.randint(1, 6)
    cost = lambda: Cost(seconds=rng.randint(0, 9), bytes=rng.randint(0, 9), memory=rng.randint(0, 9))  # noqa: E731
    operators = tuple(
        Operator(
            name=f"o{i}",
            options=tuple(Option(name=f"k{k}", cost=cost()) for k in range(rng.randint(1, 4))),
        )
        for i in range(count)
    )
    pairs = [(i, i + 1) for i in range(count - 1)]
    if not chain:
        pairs = [pair for pair in itertools.combinations(range(count), 2) if rng.random() < 0.5]
    edges = tuple(
        Edge(
            producer=a,
            consumer=b,
            between=tuple(
                tuple(None if rng.random() < 0.1 else cost() for _ in operators[b].options)
                for _ in operators[a].options
            ),
        )
        for a, b in pairs
    )
    return Problem(operators, edges)


def everything(problem: Problem, limits: Limits) -> list[Choice]:
    """All choices within the limits."""
    found = []
    for options in itertools.product(*(range(len(o.options)) for o in problem.operators)):
        cost = problem.cost(options)
        if cost is not None and limits.allow(cost):
            found.append(Choice(options=options, cost=cost))
    return found


@pytest.mark.parametrize("chain", [True, False], ids=["chain", "graph"])
@pytest.mark.parametrize("start", range(0, 100, 20))
def test_plans_cost_what_exhaustive_search_finds(chain: bool, start: int):
    """100 chains and 100 graphs, half of them with limits; seconds first, bytes first, and the front."""
    for seed in range(start, start + 20):
        rng = random.Random(seed)
        problem = random_problem(rng, chain=chain)
        limits = Limits(memory=rng.randint(5, 40), bytes=rng.randint(10, 80)) if seed % 2 else Limits()
        every = everything(problem, limits)
        for objective, other in (("seconds", "bytes"), ("bytes", "seconds")):
            if not every:
                with pytest.raises(CapacityError, match="no plan fits"):
                    solve(problem, objective, limits)
                continue
            found = solve(problem, objective, limits)
            assert problem.cost(found.options) == found.cost
            best = min((getattr(c.cost, objective), getattr(c.cost, other)) for c in every)
            assert (getattr(found.cost, objective), getattr(found.cost, other)) == best
        points = {(c.cost.seconds, c.cost.bytes) for c in every}
        best_points = sorted(
            p for p in points if not any(q != p and q[0] <= p[0] and q[1] <= p[1] for q in points)
        )
        assert [(c.cost.seconds, c.cost.bytes) for c in front(problem, limits)] == best_points


@pytest.mark.parametrize("chain", [True, False], ids=["chain", "graph"])
def test_a_front_of_few_points_has_both_ends_and_even_steps(chain: bool):
    """Every point is on the whole front; each is the first, after the one before it, that is a step away."""
    thinned = 0
    for seed in range(40):
        problem = random_problem(random.Random(seed), chain=chain)
        whole = [(c.cost.seconds, c.cost.bytes) for c in front(problem)]
        few = [(c.cost.seconds, c.cost.bytes) for c in front(problem, most=4)]
        if not whole:
            assert few == []
            continue
        thinned += len(few) < len(whole)
        factor = (max(1, whole[-1][1]) / max(1, whole[0][1])) ** (1 / 3)
        assert len(few) <= 4
        assert few[0] == whole[0]
        assert few[-1] == whole[-1]
        for before, after in itertools.pairwise(few[:-1]):
            assert after == next(p for p in whole if p[1] <= before[1] * factor * (1 + 1e-9))
    assert thinned > 5


def test_chains_may_be_solved_as_graphs():
    for seed in range(20):
        problem = random_problem(random.Random(1000 + seed), chain=True)
        try:
            expected = solve(problem).cost.seconds
        except CapacityError:
            with pytest.raises(CapacityError):
                IntegerProgram(problem).least("seconds", Limits())
            continue
        assert IntegerProgram(problem).least("seconds", Limits()).cost.seconds == expected


def test_a_long_chain_is_quick():
    rng = random.Random(7)
    operators = tuple(
        Operator(
            name=f"o{i}",
            options=tuple(
                Option(name=f"k{k}", cost=Cost(seconds=rng.random(), bytes=rng.random())) for k in range(4)
            ),
        )
        for i in range(40)
    )
    between = tuple(tuple(Cost(seconds=0.0 if a == b else 1.0) for b in range(4)) for a in range(4))
    edges = tuple(Edge(producer=i, consumer=i + 1, between=between) for i in range(39))
    choice = solve(Problem(operators, edges))
    assert math.isfinite(choice.cost.seconds)
    assert len(Problem(operators, edges).names(choice)) == 40


def test_wrong_problems_are_refused():
    one = Operator(name="a", options=(Option(name="k", cost=Cost()),))
    twice = Operator(name="b", options=(Option(name="k", cost=Cost()), Option(name="k", cost=Cost())))
    edge = Edge(producer=0, consumer=1, between=((Cost(),),))
    for operators, edges in [
        ((one, twice), ()),
        ((one,), (edge,)),
        ((one, one), (edge, edge)),
        ((one, one), (Edge(producer=0, consumer=1, between=()),)),
        ((one, one), (Edge(producer=1, consumer=0, between=((Cost(),),)),)),
    ]:
        with pytest.raises(ParameterError):
            Problem(operators, edges)
    with pytest.raises(ParameterError, match="not negative"):
        Cost(seconds=-1.0)
