"""Which ciphertexts are switched while a key is read from memory: keys are most of what a switch reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

AT_ONCE = 4  # on one device: their sums stay in registers beside both halves of the key


def switched_together(levels: Mapping[int, int], at_once: int) -> Iterator[tuple[int, list[int]]]:
    """(level, places) of ciphertexts that are switched while a key is read: of one level, `at_once` or fewer.

    levels: by place.
    """
    for level in sorted(set(levels.values())):
        places = [place for place, own in levels.items() if own == level]
        for start in range(0, len(places), at_once):
            yield level, places[start : start + at_once]
