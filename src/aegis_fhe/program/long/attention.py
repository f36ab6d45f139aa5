"""Attention over long texts: scores by diagonals of tokens, produced, used and dropped giant step by step.

With slot = t S + kb H + h and one ciphertext for each feature c inside a head,

    P[b i + j] = exp( sum_c rot(q_c, -S b i) rot(k_c, S j) ),  0 <= j < b,
    O_c        = sum_i rot( sum_j P[b i + j] rot(v_c, S j), S b i ),
    D          = sum_i rot( sum_j P[b i + j], S b i ):

P is not aligned with its query, so neither masks nor sums inside a ciphertext are needed, and D comes out
aligned with O: the division is deferred. Where exp would cover too wide a range, rounds of
normalise-and-square (`rounds`) come between P and its sums, each behind a pass of its own that finds its D:
the factor 1/D turns back to its query as Q does. Scores stay from one pass to the next, or are made again.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import TypeVar

import msgspec
import numpy as np

from aegis_fhe.circuits.backend import Backend
from aegis_fhe.circuits.polynomial import polynomial_depth
from aegis_fhe.circuits.products import multiply
from aegis_fhe.ckks.slots import SlotVector
from aegis_fhe.errors import RangeError
from aegis_fhe.program.long.diagonals import ScoreDiagonals
from aegis_fhe.program.long.score_pass import ScorePass
from aegis_fhe.program.operators.arithmetic import Polynomial
from aegis_fhe.program.operators.context import Context

V = TypeVar("V")


class StreamingAttention(msgspec.Struct, frozen=True, tag=True):
    """Unnormalised attention of one group of heads over all token blocks: one pass over its scores.

    Inputs, each [token block][column]: Q with a copy in every key block kb; K and V folded (see PlaceHeads).
    Outputs: O [token block][column], then D [token block], both over the keys of their own kb alone: the sum
    over kb folds into what follows.

    rounds: of normalise-and-square behind exp, before the sums; 1/D of each [round][token block] are the last
    inputs. resident: scores after all rounds but the last come in instead of Q and K, in the order of
    `ScoreDiagonals.places`, and the factors of the last round alone. keeps: scores come out, before O and D:
    after the rounds, unmasked where there were none; those in which no query of a shorter text sees a key
    repeat another. weighs: whether there are V and O; a pass without finds D.

    queries, giants: a part of the pass: these token blocks of queries alone, whose Q and factors come in and
    whose O and D come out; these giant steps alone, whose sums add up to those of all. turned: K and V come
    in as their babies, [token block][column][baby] (see Babies).

    exponential: a series in u = score + offset, squared `squarings` times. offset, growth: names of one
    number for each head: offset = offset_h - growth_h log(visible(i)) where query i sees visible(i) keys, and
    -1 at tokens that are not encrypted, where exp vanishes. masked: keys that a query may not see, or beyond
    the text, are multiplied by zero; score ciphertexts without any other are left out.

    Levels: exponentials lie `exponential_depth` below the lowest of Q and K; probabilities where
    `round_level` puts them, without rounds one lower for a mask. D lies with them, O one below; V may lie as
    low as D.
    """

    scores: ScoreDiagonals
    exponential: Polynomial
    squarings: int
    offset: str
    masked: bool
    growth: str | None = None
    rounds: int = 0
    resident: bool = False
    keeps: bool = False
    weighs: bool = True
    queries: tuple[int, int] | None = None
    giants: tuple[int, int] | None = None
    turned: bool = False

    @property
    def query_blocks(self) -> range:
        """Token blocks of queries."""
        return range(*self.queries) if self.queries else range(self.scores.layout.blocks)

    @property
    def giant_steps(self) -> Sequence[int]:
        """Which giant steps are summed, in rising order."""
        return range(*self.giants) if self.giants else range(self.scores.giants)

    @property
    def places(self) -> list[tuple[int, int]]:
        """(block of queries, giant step) of its part."""
        return list(product(self.query_blocks, self.giant_steps))

    @property
    def exponential_depth(self) -> int:
        """Levels from Q and K to exponentials: the product, the series, the squarings."""
        return 1 + polynomial_depth(len(self.exponential.coefficients) - 1) + self.squarings

    @property
    def depth(self) -> int:
        """Levels from Q and K to O without rounds."""
        return self.exponential_depth + self.masks + 1

    @property
    def masks(self) -> bool:
        """Whether this pass masks what it sums: scores that come in after a round have been."""
        return self.masked and not (self.resident and self.rounds > 1)

    @property
    def factors(self) -> int:
        """How many of the rounds this pass does itself."""
        return min(self.rounds, 1) if self.resident else self.rounds

    def lower(self, backend: Backend[V], inputs: list[V], context: Context) -> list[V]:
        """Giant steps from the last to the first: Q turns forward by one step, and so do the sums behind it.

        Rotations: C (b - 1) of K and of V for each token block, C (g - 1) of Q and of O, g - 1 of D and of
        each factor, by b + 1 different steps at most; none of Q and K where scores come in, of K and V where
        they come turned, of V and O where nothing is weighed. Relinearisations: one a score, two a score and
        round, C for each giant step. Raises as `check`.
        """
        self.check(context)
        return ScorePass(self, backend, context, inputs).results()

    def check(self, context: Context) -> None:
        """Raises RangeError for a text with padding where scores are not masked."""
        capacity = self.scores.layout.tokens * self.scores.layout.blocks
        if not self.masked and context.tokens < capacity:
            raise RangeError(
                f"the text has {context.tokens} tokens, the program was compiled for exactly {capacity}: "
                "compile it for fewer tokens"
            )

    def offsets(self, i: int, block: int, context: Context) -> SlotVector:
        """What is added to a block's scores in giant step i."""
        offset = np.asarray(context.constants[self.offset])
        if self.growth is None:
            return self.scores.by_head(offset)
        query = self.scores.queries(block, i)
        last = query + 1 if self.scores.causal else context.tokens
        visible = np.minimum(last, np.full_like(query, context.tokens))
        grown = offset - np.log(visible)[:, None] * context.constants[self.growth]
        encrypted = (query >= context.public_tokens) & (query < context.tokens)
        return self.scores.by_head(np.where(encrypted[:, None], grown, -1.0))

    def exponentiated(self, backend: Backend[V], product: V, offsets: SlotVector, context: Context) -> V:
        """exp of a score: the sum of products of Q and K, not yet relinearised."""

        def run(x: V) -> V:
            score = backend.relinearize_rescale(x)
            (p,) = self.exponential.lower(backend, [backend.add_plain(score, offsets)], context)
            for _ in range(self.squarings):
                p = multiply(backend, p, p)
            return p

        # There are thousands of scores: an interpreter of counts and levels looks at one.
        repeated = getattr(backend, "repeated", None)
        known = offsets.period, self.exponential, self.squarings
        found: V = run(product) if repeated is None else repeated(known, product, run)
        return found
