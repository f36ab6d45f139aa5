"""Points in a plane as an SVG drawing: the horizontal axis logarithmic, the vertical one linear from zero,
or logarithmic too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 820, 500
LEFT, RIGHT, TOP, BOTTOM = 90, 230, 50, 60
# Okabe and Ito's colours, which colour-blind readers tell apart.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
MOST_TICKS = 8


@dataclass(frozen=True, kw_only=True)
class Series:
    """Points (x, y) >= 0 of one name and colour; joined: by a line in their order."""

    name: str
    points: Sequence[tuple[float, float]]
    joined: bool = False


@dataclass(frozen=True, kw_only=True)
class Axis:
    """label: under or beside it; show: a value as text at a tick; logarithmic: of the vertical one."""

    label: str
    show: Callable[[float], str]
    logarithmic: bool = False


def scatter_svg(title: str, x: Axis, y: Axis, series: Sequence[Series]) -> str:
    """A complete SVG document. x = 0 has a place of its own, left of the least positive x.

    Raises ValueError when there is no point, and where a logarithmic axis has one at zero.
    """
    points = [point for one in series for point in one.points]
    if not points:
        raise ValueError("nothing to draw: expected a series with at least one point")
    if y.logarithmic and min(value for _, value in points) <= 0:
        raise ValueError("a logarithmic axis has no place for zero: expected positive values")
    plane = _Plane.around(points, logarithmic=y.logarithmic)
    parts = [_text(LEFT, TOP - 24, title, size=16), *_axes(plane, x, y)]
    for number, one in enumerate(series):
        colour = COLOURS[number % len(COLOURS)]
        parts += [*_drawn(one, plane, colour), *_legend(one, number, colour)]
    return "\n".join([_head(), *parts, "</svg>", ""])


def stacked_svg(drawings: Sequence[str]) -> str:
    """Drawings of `scatter_svg` one below the other, as one document."""
    height = HEIGHT * len(drawings)
    shifted = [f'<g transform="translate(0 {HEIGHT * i})">\n{one}</g>' for i, one in enumerate(drawings)]
    return "\n".join([_head(height), *shifted, "</svg>", ""])


@dataclass(frozen=True)
class _Plane:
    """Where values lie on paper. low, high: exponents of 2; zero: whether some x is 0; top: the largest y;
    bottom: the exponent of 2 at the foot of a logarithmic y.
    """

    low: int
    high: int
    zero: bool
    top: float
    bottom: int | None = None

    @classmethod
    def around(cls, points: Sequence[tuple[float, float]], *, logarithmic: bool = False) -> _Plane:
        logs = [math.log2(x) for x, _ in points if x > 0] or [0.0]
        low, high = math.floor(min(logs)), math.ceil(max(logs))
        top = max(y for _, y in points) or 1.0
        bottom = math.floor(math.log2(min(y for _, y in points))) if logarithmic else None
        zero = any(x <= 0 for x, _ in points)
        return cls(low, max(high, low + 1), zero, 1.05 * top, bottom)

    def x(self, value: float) -> float:
        start = LEFT + (50 if self.zero else 10)
        if value <= 0:
            return LEFT + 15
        share = (math.log2(value) - self.low) / (self.high - self.low)
        return start + share * (WIDTH - RIGHT - start)

    def y(self, value: float) -> float:
        share = value / self.top
        if self.bottom is not None:
            share = (math.log2(value) - self.bottom) / (math.log2(self.top) - self.bottom)
        return HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - TOP)

    def x_ticks(self) -> list[float]:
        step = -(-(self.high - self.low) // (MOST_TICKS - 1))
        return [0.0] * self.zero + [2.0**k for k in range(self.low, self.high + 1, step)]

    def y_ticks(self) -> list[float]:
        """Multiples of 1, 2 or 5 times a power of ten; powers of two on a logarithmic axis."""
        if self.bottom is not None:
            last = math.floor(math.log2(self.top))
            stride = max(1, -(-(last - self.bottom) // (MOST_TICKS - 1)))
            return [2.0**k for k in range(self.bottom, last + 1, stride)]
        rough = self.top / MOST_TICKS
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough)
        return [k * step for k in range(int(self.top / step) + 1)]


def _head(height: int = HEIGHT) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}" font-family="sans-serif">\n'
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>'
    )


def _axes(plane: _Plane, x: Axis, y: Axis) -> Iterator[str]:
    floor, end = HEIGHT - BOTTOM, WIDTH - RIGHT
    yield f'<path d="M{LEFT} {TOP} V{floor} H{end}" fill="none" stroke="black"/>'
    for value in plane.x_ticks():
        at = plane.x(value)
        yield f'<path d="M{at:.1f} {TOP} V{floor}" stroke="#dddddd"/>'
        yield _text(at, floor + 18, x.show(value), anchor="middle")
    for value in plane.y_ticks():
        at = plane.y(value)
        yield f'<path d="M{LEFT} {at:.1f} H{end}" stroke="#dddddd"/>'
        yield _text(LEFT - 8, at + 4, y.show(value), anchor="end")
    middle = (LEFT + end) / 2
    yield _text(middle, HEIGHT - 14, x.label, size=13, anchor="middle")
    yield _text(LEFT, TOP - 6, y.label, size=13, anchor="middle")


def _drawn(series: Series, plane: _Plane, colour: str) -> Iterator[str]:
    places = [(plane.x(x), plane.y(y)) for x, y in series.points]
    if series.joined and len(places) > 1:
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        yield f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
    for x, y in places:
        yield _mark(x, y, colour, joined=series.joined)


def _legend(series: Series, number: int, colour: str) -> Iterator[str]:
    x, y = WIDTH - RIGHT + 24, TOP + 12 + 22 * number
    yield _mark(x, y - 4, colour, joined=series.joined)
    yield _text(x + 14, y, series.name)


def _mark(x: float, y: float, colour: str, *, joined: bool) -> str:
    """A disc on a line, a diamond alone."""
    if joined:
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}"/>'
    return f'<path d="M{x:.1f} {y - 6:.1f} l6 6 l-6 6 l-6 -6 z" fill="{colour}"/>'


def _text(x: float, y: float, text: str, *, size: int = 12, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}">{escape(text)}</text>'
