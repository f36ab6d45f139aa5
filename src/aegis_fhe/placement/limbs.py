"""Ciphertexts whose limbs are shared by several devices, and what an operation on them makes cross.

Limb i of q lies on device i mod M, so every level is shared as evenly as it can be and a lower level is a
first part of a higher one. Special limbs lie on all devices (`replicated`), or each on one (`split`). Rows
that move are in coefficient form, so that each is transformed once, by the device that holds it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

from aegis_fhe.errors import ParameterError

Specials = Literal["replicated", "split"]
Aggregation = Literal["none", "exact", "rounded"]


@dataclass(frozen=True, kw_only=True)
class Rows:
    """The rows of these limbs go from one device to another, in every component."""

    source: int
    destination: int
    limbs: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class LimbPlacement:
    """Which of `world_size` devices holds which limb, and how sums of rotations are computed.

    limbs, specials: how many primes q and p has; special j is ring limb `limbs` + j. aggregation: how a sum
    of rotations of several ciphertexts is switched: with the inputs gathered as for any other key switch
    ("none"), or each device with its own digits, the products summed over devices modulo QP before the one
    rounding ("exact"), or each rounded first ("rounded": fewer bytes, other bits). The last two need whole
    digits on one device: strided ones whose number `digits` the devices divide.
    """

    world_size: int
    limbs: int
    specials: int
    placed: Specials = "replicated"
    aggregation: Aggregation = "none"
    digits: int = 0

    def __post_init__(self) -> None:
        if self.world_size < 1:
            raise ParameterError(f"{self.world_size} devices cannot share limbs: at least one is needed")
        if self.aggregation != "none" and (self.digits == 0 or self.digits % self.world_size):
            raise ParameterError(
                f"sums over {self.world_size} devices need whole digits on each: parameters of strided "
                f"digits, their number a multiple of {self.world_size}, not {self.digits}"
            )

    def shared_by(self, devices: int) -> LimbPlacement:
        """The same limbs on so many devices, special ones on all of them, sums not aggregated."""
        return replace(self, world_size=devices, placed="replicated", aggregation="none", digits=0)

    def owner(self, limb: int) -> int:
        """The device that holds a limb of q, or, of a special one, adds it up and gives it out.

        Special limbs are dealt from the last device on: at most levels it holds fewer of q.
        """
        if limb < self.limbs:
            return limb % self.world_size
        return self.world_size - 1 - (limb - self.limbs) % self.world_size

    def q_limbs(self, level: int, rank: int) -> tuple[int, ...]:
        """Limbs of a ciphertext at `level` on one device, ascending."""
        return tuple(range(rank, level + 1, self.world_size))

    def own_specials(self, rank: int) -> tuple[int, ...]:
        """Special limbs that this device owns."""
        return self._specials_by_owner[rank]

    def p_limbs(self, rank: int) -> tuple[int, ...]:
        """Special limbs on which one device computes."""
        return self._special_limbs if self.placed == "replicated" else self.own_specials(rank)

    def own_digits(self, count: int, rank: int) -> tuple[int, ...]:
        """Digits, of `count`, whose limbs all lie on one device: where sums are aggregated."""
        return tuple(range(rank, count, self.world_size))

    def aggregates(self, sources: int, level: int) -> bool:
        """Whether a sum of rotations of so many ciphertexts moves fewer rows when it is aggregated."""
        if self.aggregation == "none" or self.world_size == 1:
            return False
        exact = self.aggregation == "exact"
        summed = 2 * _total(self.scatter(level, extended=exact))
        summed += 2 * _total(self.gather_sums(level)) if exact else 0
        gathered = sources * _total(self.gather(level)) + 2 * _total(self.gather_specials(level))
        return summed < gathered

    def gather(self, level: int) -> tuple[Rows, ...]:
        """Every limb at `level` to every device that has something to compute of them."""
        held = [self.q_limbs(level, r) for r in range(self.world_size)]
        return _to_all(held, [r for r, own in enumerate(held) if own or self.p_limbs(r)])

    def gather_specials(self, kept_level: int) -> tuple[Rows, ...]:
        """Split special limbs to every device that holds limbs up to `kept_level`; nothing if replicated."""
        if self.placed == "replicated":
            return ()
        return self._special_moves(kept_level)

    def drop(self, level: int) -> tuple[Rows, ...]:
        """The limb that a rescale at `level` divides by, to the devices that keep some."""
        kept = (r for r in range(self.world_size) if self.q_limbs(level - 1, r))
        return _moves((self.owner(level), d, (level,)) for d in kept)

    def base(self) -> tuple[Rows, ...]:
        """Limb 0 to every other device: what raising the modulus starts from."""
        return _moves((0, d, (0,)) for d in range(self.world_size))

    def scatter(self, level: int, *, extended: bool) -> tuple[Rows, ...]:
        """Of what every device has in all limbs, each limb to its owner, which adds them up.

        extended: special limbs too.
        """
        ranks = range(self.world_size)
        owned = [self.q_limbs(level, r) + (self.own_specials(r) if extended else ()) for r in ranks]
        return _moves((s, d, owned[d]) for s in ranks for d in ranks)

    def gather_sums(self, kept_level: int) -> tuple[Rows, ...]:
        """Special limbs after `scatter`, however they are placed, to those that divide by them."""
        return self._special_moves(kept_level)

    @property
    def _special_limbs(self) -> tuple[int, ...]:
        return tuple(range(self.limbs, self.limbs + self.specials))

    @cached_property
    def _specials_by_owner(self) -> tuple[tuple[int, ...], ...]:
        found: list[list[int]] = [[] for _ in range(self.world_size)]
        for limb in self._special_limbs:
            found[self.owner(limb)].append(limb)
        return tuple(map(tuple, found))

    def _special_moves(self, kept_level: int) -> tuple[Rows, ...]:
        kept = [r for r in range(self.world_size) if self.q_limbs(kept_level, r)]
        return _to_all(self._specials_by_owner, kept)


def _to_all(held: Sequence[tuple[int, ...]], needing: Iterable[int]) -> tuple[Rows, ...]:
    """What each device holds, to every other one that needs it."""
    needing = tuple(needing)
    return _moves((s, d, own) for s, own in enumerate(held) for d in needing)


def _moves(triples: Iterable[tuple[int, int, tuple[int, ...]]]) -> tuple[Rows, ...]:
    return tuple(Rows(source=s, destination=d, limbs=limbs) for s, d, limbs in triples if s != d and limbs)


def _total(moves: Iterable[Rows]) -> int:
    return sum(len(move.limbs) for move in moves)


def rows_received(moves: Iterable[Rows], devices: int) -> list[int]:
    """How many rows of N residues each of so many devices receives, for each component."""
    received = [0] * devices
    for move in moves:
        received[move.destination] += len(move.limbs)
    return received
