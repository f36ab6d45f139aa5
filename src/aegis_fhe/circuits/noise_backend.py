"""The noise interpreter: what any circuit does to the message and to the standard deviation of its noise.

Each operation applies its formula of `ckks.noise`; `slot_noise` keeps track of which noise is the same noise.

Exact on average over keys and to first order, under three assumptions: noises made by different operations
are independent of each other and of messages; the secret has its average norm, |s|^2 = 2N/3; rounding errors
are uniform. Second order (noise times noise) is kept as noise independent of the first.

Where it is only an estimate:

* An operation repeated on the same operand (the same rotation of x asked for twice) makes the same noise
  again, bit for bit, and is predicted as two independent ones: too low by sqrt(2) when both are added. Keep
  the value instead. Repeated terms of one `rotate_sum` are recognised.
* Where several values or rotations are summed, origins beyond `limit` lose their identity, the weakest first.
  If they meet themselves again the sum is taken as independent: too high if they cancel (d * (1/d)), too low
  if they add up (a value copied to many slots, then summed over them). A higher limit costs time and memory:
  each origin that has met a dense message holds N/2 numbers.
* A product by a multiple of the prime that the next rescale drops (a mask of ones at scale q) is divided
  without rounding: too high.
* A value's worst slot is bounded by its noisiest slot, too high when few slots are that noisy.
* Noise is taken to be spread alike over both parts of a slot. That of x + conj(x) is real: its variance is
  right, its worst slot may be sqrt(2) worse.
* Float64 in the encoder (scales beyond 2^53) is not modelled; it lies far below the noise of such a scale.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aegis_fhe.circuits.one_by_one import OneByOne
from aegis_fhe.circuits.slot_noise import SlotNoise, Weights, periodic_product, periodic_sum
from aegis_fhe.ckks import noise
from aegis_fhe.ckks.arithmetic import SCALE_TOLERANCE
from aegis_fhe.ckks.key_shape import narrow_parameters
from aegis_fhe.ckks.parameters import Parameters
from aegis_fhe.ckks.slots import SlotVector
from aegis_fhe.errors import CompatibilityError, LevelError, ScaleError

# `add` may keep this many times the limit: the powers of one polynomial must not lose what they share.
ROOM = 4


@dataclass(frozen=True, kw_only=True, eq=False)
class NoiseValue:
    """A message in the open [N/2], its level, scale and components, and the noise of its ciphertext."""

    slots: NDArray[Any]
    level: int
    scale: float
    components: int = 2
    error: SlotNoise

    @property
    def noise(self) -> float:
        """Standard deviation of the noise's coefficients, in units of the integer polynomial."""
        return self.error.std


class NoiseBackend(OneByOne):
    """Noise prediction for one parameter set. Implements `circuits.Backend`; needs no key.

    `limit`: origins of noise told apart in a sum of several values; single values carry on with a few more.
    sparse_weight: non-zero coefficients of the secret behind a raised modulus; overflow_seed: of the integers
    that it adds.
    """

    def __init__(
        self, params: Parameters, *, limit: int = 64, sparse_weight: int = 32, overflow_seed: int = 0
    ) -> None:
        self.params = params
        self.limit = limit
        self.sparse_weight = sparse_weight
        self._overflow = np.random.default_rng(overflow_seed)
        self._sources = count()

    @property
    def slots(self) -> int:
        """N / 2."""
        return self.params.slots

    @property
    def moduli(self) -> tuple[int, ...]:
        """q_0 ... q_L."""
        return self.params.q

    def encode(self, values: ArrayLike, level: int, scale: float) -> NoiseValue:
        """What a fresh ciphertext of these slots would be: `noise.fresh_noise`."""
        vector = SlotVector.of(values)
        fresh = math.hypot(noise.ERROR_SIGMA, noise.plain_rounding_noise(self.params, vector.period))
        return NoiseValue(
            slots=vector.dense(self.slots), level=level, scale=scale, error=self._new_noise(fresh)
        )

    def precision(self, x: NoiseValue) -> noise.Precision:
        """Bits of precision of a value's slots: rms over slots, and in the worst of them."""
        noisiest = math.sqrt(float(x.error.variances.max()))
        return noise.Precision(
            mean_bits=noise.precision_bits(math.sqrt(2) * noise.slot_std(self.params, x.noise, x.scale)),
            worst_bits=noise.precision_bits(noise.worst_slot_error(self.params, noisiest, x.scale)),
        )

    def level(self, x: NoiseValue) -> int:
        """Rescalings left."""
        return x.level

    def scale(self, x: NoiseValue) -> float:
        """Factor between slot values and the integer polynomial."""
        return x.scale

    def add(self, x: NoiseValue, y: NoiseValue) -> NoiseValue:
        """Independent noises in squares, common ones with their signs."""
        self._same_scale([x, y])
        return NoiseValue(
            slots=x.slots + y.slots,
            level=min(x.level, y.level),
            scale=x.scale,
            components=max(x.components, y.components),
            error=SlotNoise.sum([x.error, y.error]).merged(ROOM * self.limit, next(self._sources)),
        )

    def sum(self, xs: Sequence[NoiseValue]) -> NoiseValue:
        """As add."""
        total = xs[0]
        for x in xs[1:]:
            total = self.add(total, x)
        return total

    def sub(self, x: NoiseValue, y: NoiseValue) -> NoiseValue:
        """As add: x - x has no noise."""
        return self.add(x, self.negate(y))

    def negate(self, x: NoiseValue) -> NoiseValue:
        """The noise's sign changes too."""
        return self.mul_integer(x, -1)

    def add_plain(self, x: NoiseValue, v: SlotVector) -> NoiseValue:
        """The rounding of v's coefficients."""
        rounding = self._new_noise(noise.plain_rounding_noise(self.params, v.period))
        return replace(x, slots=x.slots + v.dense(self.slots), error=SlotNoise.sum([x.error, rounding]))

    def add_scalar(self, x: NoiseValue, c: float) -> NoiseValue:
        """The rounding of one coefficient, computed."""
        rounding = self._new_noise(_rounding(c, x.scale) / math.sqrt(self.params.degree))
        return replace(x, slots=x.slots + c, error=SlotNoise.sum([x.error, rounding]))

    def mul_plain(self, x: NoiseValue, v: SlotVector, scale: float) -> NoiseValue:
        """noise * scale v, and the message times the rounding of v: `noise.plain_product_noise`."""
        return self.mul_plain_sums([x], [[v]], scale)[0]

    def mul_plain_sums(
        self, xs: Sequence[NoiseValue], rows: Sequence[Sequence[SlotVector | None]], scale: float
    ) -> list[NoiseValue]:
        """Row by row, the sum of the products' noises."""
        if not xs or any(len(row) != len(xs) for row in rows):
            raise CompatibilityError(f"rows of {len(xs)} plaintexts expected, one for each ciphertext")
        if len({x.components for x in xs}) > 1:
            raise CompatibilityError("a sum of products needs equally many components: relinearize first")
        self._same_scale(xs)
        low = replace(xs[0], level=min(x.level for x in xs), scale=xs[0].scale * scale)
        return [self._weighted_sum(low, xs, row, scale) for row in rows]

    def _weighted_sum(
        self, low: NoiseValue, xs: Sequence[NoiseValue], row: Sequence[SlotVector | None], scale: float
    ) -> NoiseValue:
        mix = self._mixed if len(row) > 1 else SlotNoise.sum
        slots: Weights = np.zeros(self.slots)
        noises, rounding = [], np.zeros(1)
        for x, v in zip(xs, row, strict=True):
            if v is None:
                continue
            slots = slots + periodic_product(x.slots, v.values)
            noises.append(x.error.times(scale * v.values))
            own = x.scale * noise.plain_rounding_noise(self.params, v.period)
            rounding = periodic_sum(rounding, np.square(own * np.abs(x.slots)))
        return replace(low, slots=slots, error=mix([*noises, self._new_noise(np.sqrt(rounding))]))

    def mul_scalar(self, x: NoiseValue, c: float, scale: float) -> NoiseValue:
        """noise * round(c * scale), and the message times what that rounding lost."""
        lost = x.scale * _rounding(c, scale) / math.sqrt(self.params.degree)
        product = self.mul_integer(x, round(Fraction(float(c)) * Fraction(scale)))
        error = SlotNoise.sum([product.error, self._new_noise(lost * np.abs(x.slots))])
        return replace(product, slots=x.slots * c, scale=x.scale * scale, error=error)

    def mul_integer(self, x: NoiseValue, m: int) -> NoiseValue:
        """noise * m."""
        return replace(x, slots=x.slots * m, error=x.error.times(float(m)))

    def linear_combination(
        self,
        xs: Sequence[NoiseValue],
        coefficients: Sequence[float],
        scale: float,
        *,
        constant: float = 0.0,
        onto: NoiseValue | None = None,
    ) -> NoiseValue:
        """The sum of the terms' noises, and the rounding of the constant."""
        self._pairs(xs, coefficients)
        terms = [self.mul_scalar(x, c, scale / x.scale) for x, c in zip(xs, coefficients, strict=True)]
        total = self.sum(terms)
        total = self.add_scalar(total, constant) if constant else total
        return total if onto is None else self.add(onto, total)

    def mul_i(self, x: NoiseValue) -> NoiseValue:
        """noise * i."""
        return replace(x, slots=x.slots * 1j, error=x.error.times(np.array([1j])))

    def multiply(self, x: NoiseValue, y: NoiseValue) -> NoiseValue:
        """m_x e_y + m_y e_x + e_x e_y, slot by slot."""
        return self.multiply_sum([x], [y])

    def multiply_sum(
        self, xs: Sequence[NoiseValue], ys: Sequence[NoiseValue], onto: NoiseValue | None = None
    ) -> NoiseValue:
        """The sum of the products' noises, and of what they are added to."""
        self._pairs(xs, ys)
        self._two_components([*xs, *ys])
        self._same_scale(xs)
        self._same_scale(ys)
        noises = []
        slots, second = np.zeros(self.slots), np.zeros(1)
        for x, y in zip(xs, ys, strict=True):
            slots = slots + x.slots * y.slots
            noises += [x.error.times(y.scale * y.slots), y.error.times(x.scale * x.slots)]
            # For a circular Gaussian E|e^2|^2 = 2 v^2; for two independent ones E|e_x e_y|^2 = v_x v_y.
            product = periodic_product(x.error.variances, y.error.variances)
            second = periodic_sum(second, self.params.degree * product * (2 if x is y else 1))
        mix = self._mixed if len(xs) > 1 else SlotNoise.sum
        error = mix([*noises, self._new_noise(np.sqrt(second))])
        level, scale = min(v.level for v in (*xs, *ys)), xs[0].scale * ys[0].scale
        found = NoiseValue(slots=slots, level=level, scale=scale, components=3, error=error)
        return found if onto is None else self.add(onto, found)

    def relinearize(self, x: NoiseValue) -> NoiseValue:
        """One key switch."""
        return replace(self._key_switched(x), components=2) if x.components > 2 else x

    def rescale(self, x: NoiseValue) -> NoiseValue:
        """noise / q_level, and a rounding: `noise.rescale_noise`."""
        return self._rescaled(x, noise.mod_down_noise(self.params, x.components))

    def relinearize_rescale(self, x: NoiseValue) -> NoiseValue:
        """One key switch and one rounding: `noise.fused_rescale_noise`."""
        if x.components == 2:
            return self.rescale(x)
        return replace(self._rescaled(x, noise.fused_rescale_noise(self.params, 0.0, x.level)), components=2)

    def drop_to(self, x: NoiseValue, level: int) -> NoiseValue:
        """Exact."""
        if not 0 <= level <= x.level:
            raise LevelError(f"cannot drop from level {x.level} to level {level}; expected 0 to {x.level}")
        return replace(x, level=level)

    def rotate(self, x: NoiseValue, step: int) -> NoiseValue:
        """One key switch; no noise for step 0."""
        return self.rotate_many(x, [step])[0]

    def rotate_many(self, x: NoiseValue, steps: Sequence[int]) -> list[NoiseValue]:
        """One key switch each: they share their digits, not their keys."""
        self._two_components([x])
        # Merged once, before: what the rotations share stays shared.
        source = replace(x, error=self._mixed([x.error]))
        return [self._key_switched(self._moved(source, step)) if step % self.slots else x for step in steps]

    def rotate_sum(self, xs: Sequence[NoiseValue], steps: Sequence[int]) -> NoiseValue:
        """Double hoisted: the inner products of all that moves, one rounding."""
        self._pairs(xs, steps)
        self._two_components(xs)
        self._same_scale(xs)
        total, products = self._moved_sum(xs, steps)
        added = self._new_noise(noise.rotate_sum_noise(self.params, total.level, products))
        return replace(total, error=self._mixed([total.error, added]))

    def rotate_sum_rescale(self, xs: Sequence[NoiseValue], steps: Sequence[int]) -> NoiseValue:
        """The same inner products, one rounding for both: `noise.fused_rescale_noise`."""
        total, products = self._moved_sum(xs, steps)
        merged = replace(total, error=self._mixed([total.error]))
        return self._rescaled(merged, noise.fused_rescale_noise(self.params, 0.0, total.level, products))

    def conjugate(self, x: NoiseValue) -> NoiseValue:
        """One key switch."""
        self._two_components([x])
        return self._key_switched(replace(x, slots=x.slots.conj(), error=x.error.conjugate()))

    def raise_modulus(self, x: NoiseValue) -> NoiseValue:
        """m + q_0 I with an I of the right distribution: a rounded sum of 1 + weight uniform numbers.

        Noise of both key switches; under the sparse secret the rounding of the first one weighs 1 + weight,
        not 1 + 2N / 3.
        """
        self._two_components([x])
        if x.level != 0:
            raise LevelError(f"the modulus is raised from level 0, not from level {x.level}: drop it first")
        params, narrow = self.params, narrow_parameters(self.params)
        top, count = params.max_level, self.sparse_weight + 1
        integers = np.rint(self._overflow.uniform(-0.5, 0.5, (count, params.degree)).sum(axis=0))
        added = params.encoder.decode(integers * params.q[0], x.scale).values
        first = math.hypot(noise.key_product_noise(narrow, 0), math.sqrt(count * noise.ROUNDING_VARIANCE))
        switches = self._new_noise(math.hypot(first, noise.key_switch_noise(params, top)))
        return replace(x, slots=x.slots + added, level=top, error=SlotNoise.sum([x.error, switches]))

    def with_scale(self, x: NoiseValue, scale: float) -> NoiseValue:
        """The same polynomial, the same noise; precision changes with the values."""
        return replace(x, slots=x.slots * (x.scale / scale), scale=scale)

    def _moved_sum(self, xs: Sequence[NoiseValue], steps: Sequence[int]) -> tuple[NoiseValue, int]:
        """The rotated values added up, without the key switches' noise; how many inner products make that."""
        self._pairs(xs, steps)
        self._two_components(xs)
        self._same_scale(xs)
        moved = [self._moved(x, step) for x, step in zip(xs, steps, strict=True)]
        # The same value rotated twice alike brings the same noise twice: 2^2, not 1 + 1.
        times = Counter(
            (id(x), step % self.slots) for x, step in zip(xs, steps, strict=True) if step % self.slots
        )
        slots = np.sum([x.slots for x in moved], axis=0)
        error = SlotNoise.sum([x.error for x in moved])
        total = replace(xs[0], slots=slots, level=min(x.level for x in xs), error=error)
        return total, sum(n * n for n in times.values())

    def _rescaled(self, x: NoiseValue, rounding: float) -> NoiseValue:
        if x.level == 0:
            raise LevelError("cannot rescale at level 0: start at a higher level")
        modulus = self.moduli[x.level]
        error = SlotNoise.sum([x.error.times(1 / modulus), self._new_noise(rounding)])
        return replace(x, level=x.level - 1, scale=x.scale / modulus, error=error)

    def _moved(self, x: NoiseValue, step: int) -> NoiseValue:
        return replace(x, slots=np.roll(x.slots, -step), error=x.error.rotated(step, self.slots))

    def _key_switched(self, x: NoiseValue) -> NoiseValue:
        added = self._new_noise(noise.key_switch_noise(self.params, x.level))
        return replace(x, error=SlotNoise.sum([x.error, added]))

    def _new_noise(self, weight: float | Weights) -> SlotNoise:
        return SlotNoise.of(next(self._sources), weight)

    def _mixed(self, noises: Sequence[SlotNoise]) -> SlotNoise:
        """The sum of noises of several values or rotations, which are unlikely to meet apart again."""
        return SlotNoise.sum(noises).merged(self.limit, next(self._sources))

    def _same_scale(self, xs: Sequence[NoiseValue]) -> None:
        for x in xs:
            if abs(x.scale / xs[0].scale - 1) > SCALE_TOLERANCE:
                raise ScaleError(f"scales {xs[0].scale:.9g} and {x.scale:.9g} cannot be added: rescale first")

    def _pairs(self, xs: Sequence[object], ys: Sequence[object]) -> None:
        if not xs or len(xs) != len(ys):
            raise CompatibilityError(f"expected pairs, got {len(xs)} and {len(ys)} operands")

    def _two_components(self, xs: Sequence[NoiseValue]) -> None:
        if any(x.components != 2 for x in xs):
            raise CompatibilityError("a product must be relinearised before it is rotated or multiplied")


def _rounding(c: float, scale: float) -> float:
    """What a constant loses when it becomes an integer: |round(c * scale) - c * scale|."""
    exact = Fraction(float(c)) * Fraction(scale)
    return abs(float(round(exact) - exact))
