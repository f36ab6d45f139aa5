"""What a collective moves: messages from device to device, in the pairwise form that the runtime sends.

Every pair of devices exchanges what one has and the other needs, own data excluded; nothing is forwarded and
nothing padded. With parts v_0, ..., v_{G-1} of V bytes: an all-gather receives V - v_p on device p, a
reduce-scatter (G - 1) v_p, a broadcast V on every device but the root.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from aegis_fhe.errors import ParameterError
from aegis_fhe.placement.limbs import Rows


@dataclass(frozen=True, kw_only=True)
class Message:
    """`bytes` from one device to another, in `messages` sends."""

    source: int
    destination: int
    bytes: int
    messages: int = 1

    def __post_init__(self) -> None:
        if self.source == self.destination or min(self.source, self.destination) < 0:
            raise ParameterError(
                f"a message from device {self.source} to device {self.destination}: two devices are expected"
            )
        if self.bytes < 0 or self.messages < 1:
            raise ParameterError(
                f"{self.bytes} bytes in {self.messages} messages: at least 0 bytes in 1 message are expected"
            )


def all_gather(parts: Sequence[int]) -> tuple[Message, ...]:
    """Device p has parts[p] bytes; all devices have everything afterwards."""
    return _pairs(len(parts), lambda source, destination: parts[source])


def reduce_scatter(parts: Sequence[int]) -> tuple[Message, ...]:
    """All devices have everything; device p has the sum of parts[p] bytes afterwards."""
    return _pairs(len(parts), lambda source, destination: parts[destination])


def broadcast(size: int, devices: int, root: int = 0) -> tuple[Message, ...]:
    """`size` bytes from `root` to all others. Raises ParameterError for a root that is no device."""
    if not 0 <= root < devices:
        raise ParameterError(f"device {root} of {devices} cannot send: 0 to {devices - 1} are expected")
    return _pairs(devices, lambda source, destination: size if source == root else 0)


def row_messages(moves: Iterable[Rows], components: int, row_bytes: int) -> tuple[Message, ...]:
    """What a limb placement lets move: one message for each pair of devices, as `runtime.limbs` sends it."""
    return tuple(
        Message(
            source=move.source,
            destination=move.destination,
            bytes=len(move.limbs) * components * row_bytes,
        )
        for move in moves
    )


def received_bytes(messages: Iterable[Message], device: int) -> int:
    """Bytes that a device receives."""
    return sum(message.bytes for message in messages if message.destination == device)


def _pairs(devices: int, size: Callable[[int, int], int]) -> tuple[Message, ...]:
    """Between all pairs with something to send."""
    ranks = range(devices)
    return tuple(
        Message(source=s, destination=d, bytes=size(s, d))
        for s in ranks
        for d in ranks
        if s != d and size(s, d)
    )
