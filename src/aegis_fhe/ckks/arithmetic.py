"""Sums, scalars, ciphertext products, rescaling: everything on ciphertexts that needs no evaluation key."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from aegis_fhe.ckks.ciphertext import Ciphertext
from aegis_fhe.ckks.parameters import Parameters
from aegis_fhe.errors import CompatibilityError, LevelError, RangeError, ScaleError

SCALE_TOLERANCE = 2.0**-30


class Arithmetic:
    """Operations of one parameter set. None rescales or relinearises by itself; inputs are never changed.

    Operands of different levels meet at the lower one (the higher loses limbs, exactly); scales are floats.
    Nothing here needs to see all limbs of a ciphertext, but the rescale: on one of several devices that share
    them, `limbs_at` are those that it holds, ascending, so that a lower level is still a first part of a
    higher one's.
    """

    def __init__(self, params: Parameters) -> None:
        self.params = params
        self._monomials: dict[tuple[int, ...], torch.Tensor] = {}

    @property
    def slots(self) -> int:
        """N / 2."""
        return self.params.slots

    @property
    def moduli(self) -> tuple[int, ...]:
        """q_0 ... q_L: a rescale from level l divides by moduli[l]."""
        return self.params.q

    def limbs_at(self, level: int) -> tuple[int, ...]:
        """Ring limbs of the rows of a ciphertext at `level`. Raises LevelError."""
        return self.params.q_limbs(level)

    def made(self, parts: torch.Tensor, level: int, scale: float) -> Ciphertext:
        """A ciphertext of this evaluator at `level`, from [component, rows of `limbs_at`, N]."""
        made = Ciphertext(parts=parts, scale=scale)
        assert made.level == level
        return made

    def level(self, x: Ciphertext) -> int:
        """Rescalings that remain."""
        return x.level

    def scale(self, x: Ciphertext) -> float:
        """The factor between slot values and the encrypted polynomial."""
        return x.scale

    def add(self, x: Ciphertext, y: Ciphertext) -> Ciphertext:
        """x + y, of 2 or 3 components each.

        Level: the lower. Scale: x's. Raises ScaleError when the scales differ by more than 2^-30 (relative).
        """
        self._check_operands([x, y])
        ring, level = self.params.ring, min(x.level, y.level)
        limbs = self.limbs_at(level)
        if x.parts.shape == y.parts.shape:
            return self.made(ring.add(x.parts, y.parts, limbs), level, x.scale)
        parts = [c.parts[:, : len(limbs)] for c in (x, y)]
        return self.made(ring.combination(parts, [1, 1], limbs), level, x.scale)

    def sum(self, xs: Sequence[Ciphertext]) -> Ciphertext:
        """x_0 + x_1 + ..., each read once: the same bits as one `add` after the other.

        Level: the lowest. Scale: of the first. Components: equal ones where there are several terms; of one
        term itself. Raises CompatibilityError for none, ScaleError as `add`.
        """
        if not xs or len({x.components for x in xs}) > 1:
            raise CompatibilityError(
                f"a sum of ciphertexts with {[x.components for x in xs]} components: equal ones are expected"
            )
        if len(xs) == 1:
            return xs[0]
        self._check_operands(xs)
        level = min(x.level for x in xs)
        limbs = self.limbs_at(level)
        parts = [x.parts[:, : len(limbs)] for x in xs]
        return self.made(self.params.ring.sum(parts, limbs), level, xs[0].scale)

    def sub(self, x: Ciphertext, y: Ciphertext) -> Ciphertext:
        """x - y. Level, scale, errors as `add`."""
        self._check_operands([x, y])
        ring, level = self.params.ring, min(x.level, y.level)
        limbs = self.limbs_at(level)
        if x.parts.shape == y.parts.shape:
            return self.made(ring.sub(x.parts, y.parts, limbs), level, x.scale)
        parts = [c.parts[:, : len(limbs)] for c in (x, y)]
        return self.made(ring.combination(parts, [1, -1], limbs), level, x.scale)

    def negate(self, x: Ciphertext) -> Ciphertext:
        """-x; level and scale unchanged."""
        return self.made(self.params.ring.neg(x.parts, self._limbs(x)), x.level, x.scale)

    def add_scalar(self, x: Ciphertext, c: float) -> Ciphertext:
        """x + c in every slot: adds round(c * scale) to the constant coefficient. Level, scale unchanged.

        Raises RangeError when c is not finite.
        """
        constant = scaled_integer(c, x.scale)
        parts = self.params.ring.combination([x.parts], [1], self._limbs(x), constant=constant)
        return self.made(parts, x.level, x.scale)

    def mul_scalar(self, x: Ciphertext, c: float, scale: float) -> Ciphertext:
        """c * x, by the integer round(c * scale). Level unchanged, scale x.scale * `scale`.

        Raises ScaleError when the product does not fit the modulus, RangeError when c is not finite.
        """
        product_scale = self._product_scale(x.scale, scale, x.level)
        return self.made(self.mul_integer(x, scaled_integer(c, scale)).parts, x.level, product_scale)

    def mul_integer(self, x: Ciphertext, m: int) -> Ciphertext:
        """m * x for an integer m of any size and sign; level and scale unchanged, noise times |m|."""
        limbs = self._limbs(x)
        return self.made(self.params.ring.mul_scalar(x.parts, [m] * len(limbs), limbs), x.level, x.scale)

    def linear_combination(
        self,
        xs: Sequence[Ciphertext],
        coefficients: Sequence[float],
        scale: float,
        *,
        constant: float = 0.0,
        onto: Ciphertext | None = None,
    ) -> Ciphertext:
        """onto + sum_i c_i x_i + constant by the integers round(c_i * s_i), s_i = scale / x_i.scale.

        Bit for bit `mul_scalar(x_i, c_i, s_i)` added one after the other, then `add_scalar`, then added to
        `onto`; here every operand is read once and the result written once. Level: the lowest. Components:
        the most. Scale: of onto, else x_0.scale * s_0, which is `scale` but for its rounding. Raises
        CompatibilityError for no or unequal counts, ScaleError as `mul_scalar` and where onto's scale is
        another, RangeError when a coefficient is not finite.
        """
        if not xs or len(xs) != len(coefficients):
            raise CompatibilityError(f"a linear combination of {len(xs)} and {len(coefficients)} operands")
        operands = xs if onto is None else [*xs, onto]
        for x in operands:
            self._limbs(x)
        level = min(x.level for x in operands)
        found = self._product_scale(xs[0].scale, scale / xs[0].scale, level)
        integers = [scaled_integer(c, scale / x.scale) for c, x in zip(coefficients, xs, strict=True)]
        if onto is not None:
            self._check_sum(onto, found)
            integers.append(1)
        limbs = self.limbs_at(level)
        parts = self.params.ring.combination(
            [x.parts[:, : len(limbs)] for x in operands],
            integers,
            limbs,
            constant=scaled_integer(constant, found),
        )
        return self.made(parts, level, found if onto is None else onto.scale)

    def mul_i(self, x: Ciphertext) -> Ciphertext:
        """The imaginary unit times x, exactly: the monomial X^(N/2), whose every slot is i. Noise as x's."""
        ring, limbs = self.params.ring, self._limbs(x)
        monomial = self._monomials.get(limbs)
        if monomial is None:  # kept, and not in the arena, whose memory is that of values
            values = ring.periodic_ntt(torch.tensor([[0, 1]]), limbs)
            monomial = self._monomials[limbs] = values[None].clone()
        return self.made(ring.periodic_dot([x.parts], monomial, limbs)[0], x.level, x.scale)

    def multiply(self, x: Ciphertext, y: Ciphertext) -> Ciphertext:
        """x * y, slot by slot, not relinearised: 3 components, scale x.scale * y.scale, the lower level."""
        return self.multiply_sum([x], [y])

    def multiply_sum(
        self, xs: Sequence[Ciphertext], ys: Sequence[Ciphertext], onto: Ciphertext | None = None
    ) -> Ciphertext:
        """onto + sum_i xs[i] * ys[i] as one tensor product, reduced once (lazy relinearisation).

        In, out and errors as `multiply_matrix`, of which it is one entry. Bit for bit as added afterwards.
        """
        if not xs or len(xs) != len(ys):
            raise CompatibilityError(f"multiply_sum needs equally many factors, got {len(xs)} and {len(ys)}")
        return self.multiply_matrix([xs], [[y] for y in ys], [] if onto is None else [[onto]])[0][0]

    def multiply_matrix(
        self,
        xs: Sequence[Sequence[Ciphertext]],
        ys: Sequence[Sequence[Ciphertext]],
        onto: Sequence[Sequence[Ciphertext]] = (),
    ) -> list[list[Ciphertext]]:
        """The matrix product onto[r][s] + sum_b xs[r][b] * ys[b][s], slot by slot, not relinearised.

        d_0 = sum x_0 y_0, d_1 = sum x_0 y_1 + x_1 y_0, d_2 = sum x_1 y_1, each reduced once. In: 2 components
        each, equal scales in xs and in ys. Out: 3 components, the product of both scales, the lowest level.
        onto: none, or of 3 components at the scale of the product. Cost: 4 products per entry of the residues
        for each r, b, s. Raises CompatibilityError for ragged rows or other components, ScaleError when
        scales differ or the product does not fit the modulus.
        """
        if not xs or not ys or not ys[0] or any(len(row) != len(ys) for row in xs):
            raise CompatibilityError(
                f"rows of {sorted({len(row) for row in xs})} ciphertexts do not match {len(ys)} of factors"
            )
        if any(len(row) != len(ys[0]) for row in ys):
            raise CompatibilityError(
                f"rows of {sorted({len(row) for row in ys})} factors; one length expected"
            )
        left, right = [x for row in xs for x in row], [y for row in ys for y in row]
        for operands in (left, right):
            self._check_operands(operands)
            for ciphertext in operands:
                require_two_components(ciphertext, "multiply")
        sums = [x for row in onto for x in row]
        level = min(c.level for c in (*left, *right, *sums))
        scale = self._product_scale(left[0].scale, right[0].scale, level)
        self._check_onto(sums, scale)
        limbs = self.limbs_at(level)
        x_parts, y_parts, sum_parts = (
            [[c.parts[:, : len(limbs)] for c in row] for row in m] for m in (xs, ys, onto)
        )
        products = self.params.ring.tensor_product(x_parts, y_parts, limbs, sum_parts)
        return [[self.made(parts, level, scale) for parts in row] for row in products]

    def rescale(self, x: Ciphertext) -> Ciphertext:
        """round(x / q_level), of 2 or 3 components: level - 1, scale / q_level exactly.

        Noise: `noise.rescale_noise`. Raises LevelError at level 0.
        """
        self._require_rescale(x.level)
        limbs = self._limbs(x)
        parts = self.params.ring.mod_down(x.parts, limbs[:-1], limbs[-1:])
        return self.made(parts, x.level - 1, x.scale / self.params.q[x.level])

    def drop_to(self, x: Ciphertext, level: int) -> Ciphertext:
        """The same message and scale on fewer limbs (exact): a view, which keeps x's memory. Cost: none.

        Raises LevelError when `level` is above x's or below 0.
        """
        if not 0 <= level <= x.level:
            raise LevelError(
                f"cannot drop a ciphertext of level {x.level} to level {level}; expected 0 to {x.level}"
            )
        if level == x.level:
            return x
        return self.made(x.parts[:, : len(self.limbs_at(level))], level, x.scale)

    def with_scale(self, x: Ciphertext, scale: float) -> Ciphertext:
        """The same polynomial read at another scale: slot values change by x.scale / scale. Cost: none."""
        return self.made(x.parts, x.level, scale)

    def _check_operands(self, xs: Sequence[Ciphertext]) -> None:
        """Raises LevelError for a level that the parameters lack, ScaleError unless all scales agree."""
        for x in xs:
            self._limbs(x)
        check_scales(xs)

    def _check_onto(self, sums: Sequence[Ciphertext], scale: float) -> None:
        """Raises CompatibilityError, ScaleError unless products of a scale can be added to them."""
        for x in sums:
            self._limbs(x)
            if x.components != 3:
                raise CompatibilityError(
                    f"products cannot be added to a ciphertext of {x.components} components"
                )
            self._check_sum(x, scale)

    def _check_sum(self, x: Ciphertext, scale: float) -> None:
        """Raises ScaleError unless products of a scale can be added to x."""
        if abs(x.scale - scale) > SCALE_TOLERANCE * scale:
            raise ScaleError(
                f"products of scale {describe_scale(scale)} cannot be added to a sum of scale "
                f"{describe_scale(x.scale)} (level {x.level})"
            )

    def _require_rescale(self, level: int) -> None:
        if level == 0:
            raise LevelError("cannot rescale at level 0: no prime is left to drop; start at a higher level")

    def _limbs(self, x: Ciphertext) -> tuple[int, ...]:
        return self.limbs_at(x.level)

    def _product_scale(self, a: float, b: float, level: int) -> float:
        """a * b, refused when values of 1 would wrap around the modulus."""
        if not 0 < a * b < math.inf or math.log2(a * b) >= self.params.log_q(level):
            raise ScaleError(
                f"a product of scales {describe_scale(a)} and {describe_scale(b)} does not fit the "
                f"{self.params.log_q(level):.0f} bits of level {level}: rescale first, or use a higher level"
            )
        return a * b


def check_scales(xs: Sequence[Ciphertext]) -> None:
    """Raises ScaleError unless all scales agree within 2^-30 (relative)."""
    for x in xs[1:]:
        if abs(x.scale - xs[0].scale) > SCALE_TOLERANCE * xs[0].scale:
            raise ScaleError(
                f"scales {describe_scale(xs[0].scale)} (level {xs[0].level}) and {describe_scale(x.scale)} "
                f"(level {x.level}) must agree within 2^-30: multiply one operand by 1.0 at the missing "
                "scale, or correct it with with_scale"
            )


def scaled_integer(c: float, scale: float) -> int:
    """round(c * scale), exactly. Raises RangeError when c is not finite."""
    if not math.isfinite(c):
        raise RangeError(f"the scalar is {c}; expected a finite number")
    (c_above, c_below), (above, below) = float(c).as_integer_ratio(), float(scale).as_integer_ratio()
    return _rounded(c_above * above, c_below * below)


def _rounded(above: int, below: int) -> int:
    """The integer nearest to a fraction, ties to even, as `round` of a Fraction; below > 0."""
    quotient, rest = divmod(above, below)
    return quotient + (2 * rest > below or (2 * rest == below and quotient % 2 == 1))


def require_two_components(x: Ciphertext, operation: str) -> None:
    """Raises CompatibilityError for an unrelinearised product."""
    if x.components != 2:
        raise CompatibilityError(
            f"{operation} needs a ciphertext of 2 components, got {x.components}: relinearize it first"
        )


def describe_scale(scale: float) -> str:
    """`2^40.0003`, or the number itself when it has no logarithm."""
    return f"2^{math.log2(scale):.6g}" if 0 < scale < math.inf else str(scale)
