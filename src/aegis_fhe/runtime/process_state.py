"""What a process of this host is doing, as the system says."""

from __future__ import annotations

from pathlib import Path


def state_of(process: int) -> str:
    """One letter as of `ps`; empty for a process that there is not, or where the system has no /proc."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def lives(process: int) -> bool:
    """One that ended and was not asked for is a zombie, and does not live."""
    return state_of(process) not in ("", "Z", "X")


def is_stopped(process: int) -> bool:
    """By SIGSTOP, or a debugger."""
    return state_of(process) in ("T", "t")
