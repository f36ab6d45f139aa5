"""`pytest --kernel-path portable`: tests on that path, also in the workers that tests start.

It takes the place of the best path, in this process: a Ring that names no path gets it, and a job names the
path of its parent's choice to its workers. Tests that name paths themselves keep them. Path "stand-in-gpu" is
"cuda" on a device that this machine's memory stands in for (`stand_in_gpu`), in this process alone.
"""

from __future__ import annotations

from pathlib import Path

import pytest

# All paths give the same bits, and these tests hold every kernel to that: what is built on kernels need not
# be tested again for each path. Where no test is named, a chosen path runs the packages that call kernels,
# but for what is marked `best_path` (minutes, and no kernel of its own), and one encrypted program in this
# process and one in workers.
CALL_KERNELS = ("ring", "ckks", "circuits", "program/encoder/test_encoder.py", "service/test_quick_start.py")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kernel-path", help="the kernel path to use instead of the best one")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "best_path: long, and of no kernel that other tests do not run")
    path = config.getoption("kernel_path")
    if path is None:
        return
    from aegis_fhe.errors import ParameterError
    from aegis_fhe.ring import native

    patch = pytest.MonkeyPatch()
    config.add_cleanup(patch.undo)
    if path == "stand-in-gpu":
        from stand_in_gpu import stand_in

        stand_in(patch)
        path = "cuda"
    try:
        chosen = native.choose_path(path)
    except ParameterError as error:
        raise pytest.UsageError(str(error)) from error
    patch.setattr(native, "default_path", lambda: chosen)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    named = config.args_source is not pytest.Config.ArgsSource.TESTPATHS
    if config.getoption("kernel_path") is None or named:
        return
    folders = [Path(__file__).parent / name for name in CALL_KERNELS]

    def calls_kernels(item: pytest.Item) -> bool:
        inside = any(folder in (item.path, *item.path.parents) for folder in folders)
        return inside and item.get_closest_marker("best_path") is None

    chosen = [item for item in items if calls_kernels(item)]
    config.hook.pytest_deselected(items=[item for item in items if not calls_kernels(item)])
    items[:] = chosen


def pytest_report_header(config: pytest.Config) -> str:
    from aegis_fhe.ring import native

    return f"kernels: {native.default_path()}"
