"""The six lines that introduce the package run as printed; only the checkpoint is a small one here."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import numpy as np
import pytest

import aegis_fhe
from aegis_fhe.models import text_encoder
from aegis_fhe.models.minilm import recipe
from program.encoder.tiny_encoder import tiny_encoder

from .stand_in import stand_in

LINES = textwrap.dedent(
    "\n".join(line for line in (aegis_fhe.__doc__ or "").splitlines() if line.startswith("    "))
)


def test_the_six_lines(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    layers, program = tiny_encoder(16, mean=True)
    encoder = stand_in(layers)
    monkeypatch.setattr(text_encoder.TextEncoder, "load", lambda: encoder)
    monkeypatch.setattr(recipe, "compile_sentence_encoder", lambda given: program)
    assert len(LINES.splitlines()) == 6
    names: dict[str, object] = {"aegis_fhe": aegis_fhe}
    exec(LINES, names)
    assert capsys.readouterr().out == "(1, 32)\n"
    outcome, hidden = names["outcome"], names["hidden"]
    assert np.abs(outcome.result.hidden[0] - encoder.sentence(hidden)).max() < 1e-2
    assert outcome.report.bytes_between_devices > 0


def test_importing_the_package_loads_nothing_heavy() -> None:
    program = """
import sys, aegis_fhe
print({"torch", "numpy", "aegis_fhe.ckks"} & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_every_public_name_resolves_and_no_other_does() -> None:
    assert [name for name in aegis_fhe.__all__ if not callable(getattr(aegis_fhe, name))] == []
    with pytest.raises(AttributeError, match="'absent'"):
        _ = aegis_fhe.absent
