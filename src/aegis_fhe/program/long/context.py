"""What operators may know in a program on grids."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aegis_fhe.program.operators.context import Context


@dataclass(frozen=True, kw_only=True)
class GridContext(Context):
    """A context without a layout of its own: operators on grids carry theirs."""

    layout: Any = None
