"""What a calibration looks at: windows of sample texts, at every length that a program will meet."""

from __future__ import annotations

from collections.abc import Sequence

# Short texts are as common as long ones, and their ranges are others.
SHORT = (1, 2, 4, 8, 16)


def windows(texts: Sequence[Sequence[int]], tokens: int) -> list[list[int]]:
    """Token ids [special, words, special] -> every window of `tokens` of them, and a short one of each text.

    The special tokens at both ends are kept around every window. The short windows take the lengths of SHORT
    in turn.
    """
    room, found = tokens - 2, []
    for index, ids in enumerate(texts):
        first, *words, last = ids
        for start in range(0, max(len(words), 1), room):
            found.append([first, *words[start : start + room], last])
        found.append([first, *words[: SHORT[index % len(SHORT)]], last])
    return found
