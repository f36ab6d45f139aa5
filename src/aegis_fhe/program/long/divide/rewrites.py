"""Where the order of nodes hides what moves under what is computed, and each of these switched off.

Rewrites change no value: results are those of the undivided program, bit for bit, with and without them.
"""

from __future__ import annotations

from dataclasses import replace

from aegis_fhe.program.long.divide.division import Division, NodeDivisions

REWRITES = {
    "early babies": "babies of the next chunk or token block come before this one's products",
    "turns": "nodes that groups compute at the same time stand together",
    "own terms": "products begin with the terms of a group's own babies",
    "late sums": "sums over groups follow the products of the next columns",
}
"""What each does, by name. All are on where a division asks for parts that they are about."""


def without(division: Division | NodeDivisions, rewrite: str) -> Division | NodeDivisions:
    """The same division without one. Raises KeyError for a rewrite that there is not."""
    assert REWRITES[rewrite]
    if isinstance(division, Division):
        return replace(division, without=division.without | {rewrite})
    return NodeDivisions(
        tuple((name, replace(one, without=one.without | {rewrite})) for name, one in division.divisions)
    )
