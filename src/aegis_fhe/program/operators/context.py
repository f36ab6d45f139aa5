"""What every operator may know besides its inputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aegis_fhe.circuits.bootstrap.plan import BootstrapPlan
from aegis_fhe.ckks.slots import SlotVector
from aegis_fhe.program.layout import TokenMajorLayout
from aegis_fhe.program.selection import Where, select

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Context:
    """The layout, the program's constants, the nominal scale, and the length of this run's text (public).

    bootstrap: how values are refreshed, in programs that do. public_tokens: so many tokens at the start of
    the text are public; nothing of them is encrypted, and their places hold zero.
    """

    layout: TokenMajorLayout
    constants: Mapping[str, Array]
    scale: float
    tokens: int
    bootstrap: BootstrapPlan | None = None
    public_tokens: int = 0

    def plain(self, constant: str, where: Where, block: int, queries: int | None = None) -> SlotVector:
        """A constant of one period on the chosen slots."""
        return select(
            self.layout, self.constants[constant], where, block=block, tokens=self.tokens, queries=queries
        )
