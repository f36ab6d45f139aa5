"""Bootstraps on several devices: a batch is shared by ciphertext, so that none of them waits for another."""

from __future__ import annotations

from collections.abc import Sequence

from aegis_fhe.circuits.bootstrap.bootstrapper import Bootstrapper
from aegis_fhe.ckks.ciphertext import Ciphertext
from aegis_fhe.errors import CompatibilityError


def share_of_batch(count: int, rank: int, world_size: int) -> range:
    """Which of `count` ciphertexts a rank refreshes: every world_size-th, from its own number on.

    Raises CompatibilityError for a rank outside its world.
    """
    if not 0 <= rank < world_size:
        raise CompatibilityError(f"rank {rank} is not in a world of {world_size}")
    return range(rank, count, world_size)


def refresh_share(
    bootstrapper: Bootstrapper, batch: Sequence[Ciphertext], *, rank: int, world_size: int
) -> dict[int, Ciphertext]:
    """The refreshed ciphertexts of this rank's share, by their place in the batch.

    No communication: a bootstrap couples all limbs of one ciphertext and nothing else, so the bits do not
    depend on world_size. Raises what `Bootstrapper.refresh` raises.
    """
    return {i: bootstrapper.refresh(batch[i]) for i in share_of_batch(len(batch), rank, world_size)}
