"""Messages of collectives: bytes received as the formulas have them, uneven parts included."""

from __future__ import annotations

import pytest

from aegis_fhe.errors import ParameterError
from aegis_fhe.placement.cost import (
    Message,
    all_gather,
    broadcast,
    received_bytes,
    reduce_scatter,
    row_messages,
)
from aegis_fhe.placement.limbs import LimbPlacement

ROW = 1 << 19


def received(messages, devices):
    return [received_bytes(messages, device) for device in range(devices)]


def test_collectives_receive_what_the_formulas_say():
    parts = [8 * ROW, 8 * ROW, 7 * ROW, 7 * ROW]  # 30 limbs on 4 devices
    assert received(all_gather(parts), 4) == [22 * ROW, 22 * ROW, 23 * ROW, 23 * ROW]
    assert received(reduce_scatter(parts), 4) == [24 * ROW, 24 * ROW, 21 * ROW, 21 * ROW]
    assert received(broadcast(5 * ROW, 4, root=2), 4) == [5 * ROW, 5 * ROW, 0, 5 * ROW]
    assert all_gather([3]) == reduce_scatter([3]) == broadcast(3, 1) == ()


def test_rows_of_a_placement_are_an_all_gather():
    place = LimbPlacement(world_size=4, limbs=30, specials=8)
    parts = [len(place.q_limbs(29, rank)) * ROW for rank in range(4)]
    moved = row_messages(place.gather(29), 1, ROW)
    assert received(moved, 4) == received(all_gather(parts), 4)
    assert len(moved) == 12


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Message(source=1, destination=1, bytes=4),
        lambda: Message(source=-1, destination=1, bytes=4),
        lambda: Message(source=0, destination=1, bytes=-4),
        lambda: Message(source=0, destination=1, bytes=4, messages=0),
        lambda: broadcast(4, 3, root=3),
    ],
)
def test_impossible_messages_are_refused(wrong):
    with pytest.raises(ParameterError, match="expected"):
        wrong()
