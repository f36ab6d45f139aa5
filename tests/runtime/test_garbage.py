"""The collector rests within, works after, and leaves alone what was made."""

from __future__ import annotations

import gc

import pytest

from aegis_fhe.runtime.garbage import no_collection


def test_the_collector_rests_and_comes_back_also_after_an_error() -> None:
    assert gc.isenabled()
    states = []

    def fail() -> None:
        with no_collection():
            states.append(gc.isenabled())
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert states == [False]
    assert gc.isenabled()
    gc.unfreeze()


def test_what_was_made_within_is_no_longer_looked_through() -> None:
    with no_collection():
        made = [[] for _ in range(1000)]
    assert gc.get_freeze_count() > len(made)
    tracked = {id(thing) for thing in gc.get_objects()}
    assert not tracked & {id(thing) for thing in made}
    gc.unfreeze()


def test_a_collector_that_was_off_stays_off() -> None:
    gc.disable()
    try:
        with no_collection():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
        gc.unfreeze()
