"""What client and files ask of a program, whatever its layers are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from aegis_fhe.circuits.bootstrap.plan import BootstrapPlan
from aegis_fhe.circuits.symbolic import Symbol
from aegis_fhe.ckks.key_request import KeyRequest
from aegis_fhe.ckks.parameters import Parameters
from aegis_fhe.program.returns import Returns

if TYPE_CHECKING:
    from typing_extensions import Self

Array = NDArray[np.float64]


class ServedProgram(Protocol):
    """Hidden states [tokens, features] as ciphertexts in, what it `returns` as ciphertexts out.

    `CompiledProgram` and `DecoderProgram` are ones.
    """

    @property
    def params(self) -> Parameters:
        """Of every ciphertext and key."""
        ...

    @property
    def bootstrap(self) -> BootstrapPlan | None:
        """How values are refreshed, in programs that do."""
        ...

    @property
    def input_level(self) -> int:
        """Level at which the client encrypts."""
        ...

    @property
    def features(self) -> int:
        """Hidden width."""
        ...

    @property
    def returns(self) -> Returns:
        """What `unpack` makes of the results."""
        ...

    @property
    def fingerprint(self) -> str:
        """Digest of everything that must agree between client and worker."""
        ...

    def with_kernels(self, path: str | None) -> Self:
        """The same on a kernel path, by default the processor's best."""
        ...

    def key_requests(self) -> list[KeyRequest]:
        """The evaluation keys that the program uses, each at the highest level that uses it."""
        ...

    def check_tokens(self, tokens: int) -> None:
        """Raises RangeError for the length of a text that the program does not take."""
        ...

    def input_names(self) -> list[str]:
        """Of the input ciphertexts."""
        ...

    def pack(self, hidden: Array) -> list[Array]:
        """Hidden states -> slot values of each input. Raises RangeError, LayoutError."""
        ...

    def unpack(self, blocks: list[Array], tokens: int) -> Array:
        """Slot values of each result, in order -> what `returns` says."""
        ...

    def result_symbols(self) -> dict[str, Symbol]:
        """Level and scale of each result, in order."""
        ...
