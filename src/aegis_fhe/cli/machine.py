"""Facts about this machine that need nothing installed: processor, cores, compiler.

Linux gives all of them; elsewhere what cannot be read is left out, never guessed.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from pathlib import Path

# What the kernel paths ask of a processor, by the names of /proc/cpuinfo.
KERNEL_FEATURES = ("avx2", "fma", "avx512f", "avx512dq", "avx512vl", "avx512ifma")


def cpu_fields(cpuinfo: Path = Path("/proc/cpuinfo")) -> dict[str, str]:
    """The fields of the first processor, empty where the file does not exist."""
    try:
        text = cpuinfo.read_text(errors="replace")
    except OSError:
        return {}
    lines = (line.partition(":") for line in text.split("\n\n")[0].splitlines())
    return {key.strip(): value.strip() for key, _, value in lines}


def cpu_model(fields: dict[str, str]) -> str:
    """The processor's name for itself, or the name of its architecture."""
    return fields.get("model name") or platform.processor() or platform.machine()


def cpu_features(fields: dict[str, str]) -> tuple[str, ...]:
    """Those of `KERNEL_FEATURES` that the processor and the operating system offer."""
    flags = set(fields.get("flags", "").split())
    return tuple(feature for feature in KERNEL_FEATURES if feature in flags)


def usable_cores() -> int:
    """Cores that this process may run on (its affinity mask, where there is one)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def compiler() -> str | None:
    """The first line of `--version` of the C++ compiler that a build would take, or None."""
    for name in filter(None, (os.environ.get("CXX"), "c++", "g++", "clang++")):
        if path := shutil.which(name):
            answer = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
            if answer.returncode == 0:
                return answer.stdout.partition("\n")[0]
    return None
