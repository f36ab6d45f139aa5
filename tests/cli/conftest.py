"""The command line inside this process."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest

from aegis_fhe.cli.main import main


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
