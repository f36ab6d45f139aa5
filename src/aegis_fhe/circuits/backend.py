"""What a circuit may ask for: the operations of CKKS, whatever a value is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from aegis_fhe.ckks.slots import SlotVector

V = TypeVar("V")


class Backend(Protocol[V]):
    """CKKS operations on values of type V.

    `aegis_fhe.ckks.Evaluator` gives them meaning on ciphertexts; the interpreters of `aegis_fhe.program` on
    float64 slots, on (level, scale) pairs and on operation counters. No operation rescales or relinearises
    unless its name says so. Level l means l + 1 limbs; a product adds components (2 -> 3) and multiplies
    scales.
    """

    @property
    def slots(self) -> int:
        """Number of slots, N / 2."""
        ...

    @property
    def moduli(self) -> tuple[int, ...]:
        """q_0 ... q_L: a rescale from level l divides by moduli[l]."""
        ...

    def level(self, x: V) -> int:
        """Rescalings left."""
        ...

    def scale(self, x: V) -> float:
        """Factor between slot values and the encoded integers."""
        ...

    def add(self, x: V, y: V) -> V:
        """x + y at the lower of both levels; equal scales."""
        ...

    def sum(self, xs: Sequence[V]) -> V:
        """x_0 + x_1 + ... as `add`; equally many components. Of one term itself."""
        ...

    def sub(self, x: V, y: V) -> V:
        """x - y at the lower of both levels; equal scales."""
        ...

    def negate(self, x: V) -> V:
        """-x."""
        ...

    def add_plain(self, x: V, v: SlotVector) -> V:
        """x + v, v encoded at x's scale."""
        ...

    def add_scalar(self, x: V, c: float) -> V:
        """x + c in every slot."""
        ...

    def mul_plain(self, x: V, v: SlotVector, scale: float) -> V:
        """x * v, v encoded at `scale`; scales multiply."""
        ...

    def mul_plain_sums(
        self, xs: Sequence[V], rows: Sequence[Sequence[SlotVector | None]], scale: float
    ) -> list[V]:
        """For each row r: sum_b xs[b] * rows[r][b]; None is zero; scales multiply."""
        ...

    def mul_scalar(self, x: V, c: float, scale: float) -> V:
        """x * round(c * scale); scales multiply."""
        ...

    def mul_integer(self, x: V, m: int) -> V:
        """x * m, scale unchanged."""
        ...

    def linear_combination(
        self,
        xs: Sequence[V],
        coefficients: Sequence[float],
        scale: float,
        *,
        constant: float = 0.0,
        onto: V | None = None,
    ) -> V:
        """onto + sum_i coefficients[i] * xs[i] + constant, each coefficient encoded so that its term has
        `scale`; the lowest level, the most components. Of terms at `scale` already, integers are exact.
        """
        ...

    def mul_i(self, x: V) -> V:
        """The imaginary unit times x: exact, level and scale unchanged."""
        ...

    def multiply(self, x: V, y: V) -> V:
        """x * y, three components; scales multiply."""
        ...

    def multiply_sum(self, xs: Sequence[V], ys: Sequence[V], onto: V | None = None) -> V:
        """onto + sum_i xs[i] * ys[i], three components; onto: three too, at the scale of the product."""
        ...

    def multiply_matrix(
        self, xs: Sequence[Sequence[V]], ys: Sequence[Sequence[V]], onto: Sequence[Sequence[V]] = ()
    ) -> list[list[V]]:
        """onto[r][s] + sum_b xs[r][b] * ys[b][s], each as `multiply_sum`; onto: none, or one for each."""
        ...

    def relinearize(self, x: V) -> V:
        """Three components -> two, one key switch."""
        ...

    def rescale(self, x: V) -> V:
        """Level l -> l - 1, scale / moduli[l]."""
        ...

    def relinearize_rescale(self, x: V) -> V:
        """rescale(relinearize(x)) at the price of the key switch, rounded once."""
        ...

    def relinearize_rescale_each(self, xs: Sequence[V]) -> list[V]:
        """`relinearize_rescale` of each, which share what is read of a key."""
        ...

    def drop_to(self, x: V, level: int) -> V:
        """The same value at a lower level, same scale."""
        ...

    def rotate(self, x: V, step: int) -> V:
        """Slot j of the result is slot j + step of x."""
        ...

    def rotate_many(self, x: V, steps: Sequence[int]) -> list[V]:
        """All rotations of one value, one ModUp."""
        ...

    def rotate_many_each(self, xs: Sequence[V], steps: Sequence[int]) -> list[list[V]]:
        """`rotate_many` of each, [value][step], which share what is read of a key."""
        ...

    def rotate_sum(self, xs: Sequence[V], steps: Sequence[int]) -> V:
        """sum_i rot(xs[i], steps[i]), one ModDown."""
        ...

    def rotate_sum_rescale(self, xs: Sequence[V], steps: Sequence[int]) -> V:
        """rescale(rotate_sum(xs, steps)) at the price of the sum, rounded once."""
        ...

    def conjugate(self, x: V) -> V:
        """Complex conjugate of every slot."""
        ...

    def raise_modulus(self, x: V) -> V:
        """Level 0 -> the highest: m + q_0 I, I small integers in the coefficients."""
        ...

    def with_scale(self, x: V, scale: float) -> V:
        """The same integers read at another scale: multiplies the values by scale(x) / scale."""
        ...
