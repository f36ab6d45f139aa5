"""The ledger finds every difference between predicted and measured bytes."""

from __future__ import annotations

from pathlib import Path

import pytest

from aegis_fhe.observe.trace import TraceLog, read_log
from aegis_fhe.runtime.ledger import Entry, Ledger, LedgerError, merge


def entry(node: str, received: int, sent: int = 0, *, rank: int = 0, control: bool = False) -> Entry:
    return Entry(
        node=node,
        operation="exchange",
        axis="token",
        bytes_received=received,
        bytes_sent=sent,
        start=10.0 + rank,
        end=11.0,
        rank=rank,
        control=control,
    )


def test_entries_of_a_node_add_up_and_control_is_left_out() -> None:
    ledger = Ledger([entry("kv", 8), entry("end", 99, control=True), entry("kv", 16), entry("x", 0)])
    ledger.check([("kv", 20), ("kv", 4)])
    assert ledger.bytes_received == 24
    assert ledger.by_node() == {"kv": 24, "x": 0}


@pytest.mark.parametrize("predicted", [[], [("kv", 7)], [("kv", 8), ("o", 1)], [("vk", 8)]])
def test_any_difference_is_named(predicted: list[tuple[str, int]]) -> None:
    with pytest.raises(LedgerError, match=r"predicted .* measured"):
        Ledger([entry("kv", 8)]).check(predicted)


def test_merging_survives_json_and_needs_every_rank() -> None:
    first, second = Ledger([entry("kv", 8, 16)]), Ledger([entry("kv", 16, 8, rank=1)])
    assert merge([Ledger.from_json(second.to_json()), first]).entries == first.entries + second.entries
    with pytest.raises(LedgerError, match="16 bytes were sent but 8 received"):
        merge([first])


def test_entries_become_spans(tmp_path: Path) -> None:
    with TraceLog(tmp_path / "log", 0) as log:
        ledger = Ledger([entry("kv", 8)])
        written = ledger.trace_to(log)
        ledger.add(entry("norm", 16))
        assert ledger.trace_to(log, written) == 2
    spans = [(span["arguments"]["stage"], span["arguments"]) for span in read_log(tmp_path / "log")]
    assert [(stage, own["bytes_received"]) for stage, own in spans] == [("kv", 8), ("norm", 16)]
