"""However memory runs out, the error is one, and says for what; all other errors pass."""

from __future__ import annotations

import resource

import pytest
import torch

from aegis_fhe.errors import CapacityError, LevelError
from aegis_fhe.ring.arena import Arena
from aegis_fhe.runtime.collectives import CommunicationError
from aegis_fhe.runtime.out_of_memory import memory_for

HUGE = 1 << 50


def asked_of_torch() -> None:
    torch.empty(HUGE, dtype=torch.uint8)


def asked_of_the_arena() -> None:
    Arena().empty((HUGE // 8,))


def asked_of_python() -> None:
    bytearray(HUGE)


@pytest.mark.parametrize("ask", [asked_of_torch, asked_of_the_arena, asked_of_python])
def test_what_there_was_no_memory_for_is_named(ask):
    """A limit of the process makes the system refuse what it otherwise might promise."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (1 << 46, hard))
    try:
        with pytest.raises(CapacityError, match=r"^attend: .+") as caught, memory_for("attend"):
            ask()
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("error", [CommunicationError("attend: lost"), LevelError("level 0"), KeyError("x")])
def test_other_errors_pass(error: Exception):
    with pytest.raises(type(error)) as caught, memory_for("attend"):
        raise error
    assert caught.value is error
