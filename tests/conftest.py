"""`pytest --kernel-path portable`: every test on that path, also in the workers that tests start.

It takes the place of the best path, in this process: a Ring that names no path gets it, and a job names the
path of its parent's choice to its workers. Tests that name paths themselves keep them.
"""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kernel-path", help="the kernel path to use instead of the best one")


def pytest_configure(config: pytest.Config) -> None:
    path = config.getoption("kernel_path")
    if path is None:
        return
    from aegis_fhe.errors import ParameterError
    from aegis_fhe.ring import native

    try:
        chosen = native.choose_path(path)
    except ParameterError as error:
        raise pytest.UsageError(str(error)) from error
    patch = pytest.MonkeyPatch()
    config.add_cleanup(patch.undo)
    patch.setattr(native, "default_path", lambda: chosen)


def pytest_report_header(config: pytest.Config) -> str:
    from aegis_fhe.ring import native

    return f"kernels: {native.default_path()}"
