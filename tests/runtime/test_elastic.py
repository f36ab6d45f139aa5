"""Of all that is lost with a rank, the one that was lost first is named, with its reason."""

from __future__ import annotations

import signal

import pytest

from aegis_fhe.runtime.elastic import lost_text
from aegis_fhe.runtime.events import FailedEvent, LostEvent

LOST_ANOTHER = FailedEvent(0, "CommunicationError", "attend: rank 0 lost rank 1", secondary=True)


@pytest.mark.parametrize(
    ("lost", "failed", "expected"),
    [
        (
            [LostEvent(0, 1), LostEvent(1, -signal.SIGKILL)],
            {0: LOST_ANOTHER},
            "worker 1 of 3, at 'run', failed after 2 restarts: was ended by SIGKILL (out of memory?)",
        ),
        (
            [LostEvent(2, -signal.SIGTERM), LostEvent(0, 1)],
            {0: LOST_ANOTHER},
            "worker 0 of 3, before its first stage, failed after 2 restarts: CommunicationError: "
            "attend: rank 0 lost rank 1",
        ),
        (
            [LostEvent(0, 1), LostEvent(1, 1)],
            {0: LOST_ANOTHER, 1: FailedEvent(1, "CapacityError", "no memory")},
            "worker 1 of 3, at 'run', failed after 2 restarts: CapacityError: no memory",
        ),
        ([LostEvent(1, 7)], {}, "worker 1 of 3, at 'run', failed after 2 restarts: ended with status 7"),
        ([], {0: LOST_ANOTHER}, ""),
    ],
)
def test_the_cause_is_told(lost: list[LostEvent], failed: dict[int, FailedEvent], expected: str):
    assert lost_text(lost, failed, {1: "run"}, 3, 2) == expected
