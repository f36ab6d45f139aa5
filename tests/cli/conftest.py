"""The command line inside this process."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from aegis_fhe.cli.main import main

TINY_PLAN = "--model tiny --parameters tiny --insecure --tokens 64 --devices 2 --compare"


@pytest.fixture(scope="session")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All strategies for two devices, in one file."""
    path = tmp_path_factory.mktemp("plan") / "plan.json"
    with pytest.raises(SystemExit) as left:
        main(["plan", *TINY_PLAN.split(), "-o", str(path)])
    assert left.value.code == 0
    return path


@pytest.fixture(scope="session")
def undisturbed(plan: Path) -> dict[str, Any]:
    """Facts of a run of that plan by which nothing happens."""
    with redirect_stdout(io.StringIO()) as out, pytest.raises(SystemExit) as left:
        main(["layer", str(plan), "--insecure", "--json", "--seed", "layer"])
    assert left.value.code == 0
    found: dict[str, Any] = json.loads(out.getvalue())
    return found


class Answer(NamedTuple):
    """What a command left: exit status, standard output, standard error."""

    status: int
    out: str
    err: str


@pytest.fixture
def aegis(capsys: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    """`aegis(*arguments)` runs the command."""

    def run(*arguments: object) -> Answer:
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return Answer(int(left.value.code or 0), out, err)

    return run
