"""What an evaluation of a model's predicted accuracy finds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aegis_fhe.ckks.parameters import Parameters


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Predicted, not encrypted: exact results of a model beside those of its simulated program.

    facts: JSON data, kept with the circumstances of the run. rows: (quantity, value) for people. params: of
    the program, None where it has none yet.
    """

    title: str
    facts: Mapping[str, Any]
    rows: Sequence[tuple[str, str]]
    params: Parameters | None
