"""How much memory there is, asked before the work instead of found out by it."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import psutil

from aegis_fhe.errors import CapacityError

GIB = 2**30


def available_bytes(root: Path = Path("/")) -> int:
    """Memory that can still be used: the least of what the system has and what each enclosing cgroup leaves.

    `root` is where `proc` and `sys` are looked up (tests give another one). cgroup v2 and v1; file cache
    that the kernel drops under pressure counts as available, as in MemAvailable.
    """
    return max(0, min([int(psutil.virtual_memory().available), *cgroup_rooms(root)]))


def require_memory(needed_bytes: int, what: str, *, available: int | None = None, cure: str = "") -> None:
    """Raise `CapacityError` with both numbers and the cure when `needed_bytes` are not available."""
    have = available_bytes() if available is None else available
    if needed_bytes > have:
        raise CapacityError(
            f"{what} needs {needed_bytes / GIB:.2f} GiB of memory, {have / GIB:.2f} GiB are available; "
            + (cure or "close other programs or use a machine with more memory")
        )


def peak_bytes() -> int:
    """Largest resident memory of this process so far.

    From VmHWM where there is a /proc: `getrusage` keeps the parent's peak over fork and exec, so a small
    worker of a large client would report the client's.
    """
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def cgroup_rooms(root: Path) -> list[int]:
    """Bytes left under each memory limit of this process's cgroup and its ancestors; none outside a limit."""
    rooms = []
    for line in read(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            base, limit_name, usage_name = root / "sys/fs/cgroup", "memory.max", "memory.current"
        elif "memory" in controllers.split(","):
            base, limit_name = root / "sys/fs/cgroup/memory", "memory.limit_in_bytes"
            usage_name = "memory.usage_in_bytes"
        else:
            continue
        group = base / path.strip("/")
        # In a container the path may be the host's while only its subtree is mounted: base is always tried.
        for folder in dict.fromkeys([group, *group.parents, base]):
            if folder == base or base in folder.parents:
                limit, usage = read(folder / limit_name).strip(), read(folder / usage_name).strip()
                if limit.isdigit() and usage.isdigit():
                    rooms.append(int(limit) - int(usage) + droppable_bytes(read(folder / "memory.stat")))
    return rooms


def droppable_bytes(stat: str) -> int:
    """Inactive file cache of a `memory.stat` (the hierarchical total where v1 gives both)."""
    values = dict(line.split() for line in stat.splitlines() if len(line.split()) == 2)
    return int(values.get("total_inactive_file", values.get("inactive_file", 0)))


def read(path: Path) -> str:
    """The text of a small system file, empty when it is not there."""
    try:
        return path.read_text()
    except OSError:
        return ""
