"""What a worker tells its parent: JSON lines, one message each."""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec


class ProgressEvent(msgspec.Struct, frozen=True, tag_field="event", tag="progress"):
    """How far a rank is: the stage it is in or has just done, and the fraction of its whole work."""

    rank: int
    stage: str
    fraction: float
    message: str = ""


class DoneEvent(msgspec.Struct, frozen=True, tag_field="event", tag="done"):
    """A rank has finished: its result (plain JSON data), peak resident memory and seconds of work."""

    rank: int
    result: Any
    peak_bytes: int
    seconds: float


class FailedEvent(msgspec.Struct, frozen=True, tag_field="event", tag="failed"):
    """A rank has raised; `secondary` when only because it lost another rank."""

    rank: int
    error: str
    message: str
    secondary: bool = False


class LostEvent(msgspec.Struct, frozen=True, tag_field="event", tag="lost"):
    """torch elastic gave up: this rank ended in the last attempt, with this status (minus a signal)."""

    rank: int
    code: int


Event: TypeAlias = ProgressEvent | DoneEvent | FailedEvent | LostEvent


class Order(msgspec.Struct, frozen=True):
    """What the parent gives a worker on its standard input. local_rank, local_size: of its host."""

    rank: int
    world_size: int
    local_rank: int
    local_size: int
    threads: int
    rendezvous: str
    collective_timeout_s: float
    config: Any
