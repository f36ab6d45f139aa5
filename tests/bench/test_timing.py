"""Quantiles are numpy's, a clock measures what it says, and two sides are measured in turn."""

import time

import numpy as np
import pytest

from aegis_fhe.bench.timing import MOST_RUNS, alternate, milliseconds, quantiles, run_count


@pytest.mark.parametrize("count", [1, 2, 3, 10, 11, 100])
def test_quantiles_are_those_of_numpy(count):
    samples = np.random.default_rng(count).exponential(size=count)
    found = quantiles(list(samples))
    expected = [samples.min(), np.median(samples), np.quantile(samples, 0.9)]
    np.testing.assert_allclose([found.min, found.median, found.p90], expected, rtol=1e-12)


def test_milliseconds_covers_the_call_and_not_the_release_of_its_result():
    class Slow:
        def __del__(self):
            time.sleep(0.5)

    assert milliseconds(Slow) < 250
    assert milliseconds(lambda: time.sleep(0.02)) >= 20


def test_sides_are_measured_in_turn_and_keep_their_own_times():
    order = []

    def side(name, times):
        left = iter(times)

        def run():
            order.append(name)
            return next(left)

        return run

    ours, theirs = alternate(side("ours", [1.0, 2.0, 3.0]), side("theirs", [10.0, 20.0, 30.0]), 3)
    assert order == ["ours", "theirs"] * 3
    assert (ours, theirs) == ([1.0, 2.0, 3.0], [10.0, 20.0, 30.0])


def test_each_side_settles_before_its_run(monkeypatch):
    order = []
    monkeypatch.setattr(time, "sleep", lambda seconds: order.append(seconds))
    alternate(lambda: order.append("ours"), lambda: order.append("theirs"), 2, settle_s=0.5)
    assert order == [0.5, "ours", 0.5, "theirs"] * 2


def test_without_a_peer_only_ours_are_measured():
    assert alternate(lambda: 1.0, None, 2) == ([1.0, 1.0], [])


def test_short_operations_run_more_often_and_never_less_than_asked():
    assert run_count(1000.0, 11) == 11
    assert run_count(10.0, 11) == 20
    assert run_count(1e-4, 11) == MOST_RUNS
    assert run_count(0.0, 11) == MOST_RUNS
    assert run_count(0.0, 500) == 500
