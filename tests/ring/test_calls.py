"""Work that repeats is captured when its constants stay, and replays give what the work would."""

from __future__ import annotations

import torch

from aegis_fhe.ring.calls import Calls, CapturedCalls


class Rerun(CapturedCalls):
    """A graph is the work itself, done again into the memory of the capture."""

    def _capture(self, run):
        results = [y.clone() for y in run()]

        def replay():
            for mine, y in zip(results, run(), strict=True):
                mine.copy_(y)

        return results, replay


class Work:
    """x -> (2 x, x + y) and how often it was asked."""

    def __init__(self):
        self.count = 0

    def __call__(self, inputs):
        self.count += 1
        return [2 * inputs[0], inputs[0] + inputs[-1]]


def of(value):
    return torch.full((3,), value)


def test_the_third_call_and_later_ones_replay():
    calls, work = Rerun(), Work()
    for i in range(5):
        twice, both = calls.call("key", [of(i), of(10)], work, lambda: True)
        assert torch.equal(twice, of(2 * i))
        assert torch.equal(both, of(10 + i))
    assert (calls.captures, calls.replays) == (1, 4)


def test_results_outlive_the_next_replay_and_inputs_are_not_touched():
    calls, work = Rerun(), Work()
    inputs = [of(i) for i in range(4)]
    results = [calls.call("key", [x], work, lambda: True)[0] for x in inputs]
    for i, (x, twice) in enumerate(zip(inputs, results, strict=True)):
        assert torch.equal(x, of(i))
        assert torch.equal(twice, of(2 * i))


def test_other_keys_are_other_graphs():
    calls, double, triple = Rerun(), Work(), lambda inputs: [3 * inputs[0]]
    for i in range(3):
        assert torch.equal(calls.call("double", [of(i)], double, lambda: True)[0], of(2 * i))
        assert torch.equal(calls.call("triple", [of(i)], triple, lambda: True)[0], of(3 * i))
    assert calls.captures == 2


def test_nothing_is_captured_before_constants_stay():
    calls, work = Rerun(), Work()
    for i in range(4):
        assert torch.equal(calls.call("key", [of(i)], work, lambda: False)[0], of(2 * i))
    assert (work.count, calls.captures) == (4, 0)
    calls.call("key", [of(1)], work, lambda: True)
    assert calls.captures == 1


def test_without_capture_every_call_is_the_work():
    calls, work = Calls(), Work()
    for i in range(3):
        assert torch.equal(calls.call("key", [of(i)], work, lambda: True)[0], of(2 * i))
    assert work.count == 3
