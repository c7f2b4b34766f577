"""Line plots on logarithmic or linear axes as SVG text: no more than the report needs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

WIDTH, HEIGHT = 420, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 16, 32, 44
_LETTER, _ROW = 7, 15
"""Pixels from letter to letter, and from line to line of the legend, roughly."""


@dataclass(frozen=True)
class Line:
    """Positive points to be joined, from left to right."""

    label: str
    colour: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class _Axis:
    """Positive values to places between two ends, logarithmically."""

    low: float
    high: float
    begin: float
    end: float

    @classmethod
    def around(cls, values: Sequence[float], begin: float, end: float) -> "_Axis":
        low, high = min(values), max(values)
        if high < 1.5 * low:
            low, high = low / 1.5, high * 1.5
        return cls(low, high, begin, end)

    def __call__(self, value: float) -> float:
        share = math.log(value / self.low) / math.log(self.high / self.low)
        return self.begin + share * (self.end - self.begin)

    def ticks(self) -> list[float]:
        """1, 2 and 5 times the powers of ten; the powers alone where those are many, the ends where there are none."""
        powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        steps = (1,) if len(powers) > 3 else (1, 2, 5)
        values = [step * 10.0**power for power in powers for step in steps]
        within = [value for value in values if self.low <= value * (1 + 1e-9) and value <= self.high * (1 + 1e-9)]
        return within if len(within) > 1 else [float(f"{end:.3g}") for end in (self.low, self.high)]


class _LinearAxis(_Axis):
    """The same of any values, in proportion to their distance, between whole numbers."""

    @classmethod
    def around(cls, values: Sequence[float], begin: float, end: float) -> "_LinearAxis":
        low = math.floor(min(values))
        return cls(low, max(math.ceil(max(values)), low + 1), begin, end)

    def __call__(self, value: float) -> float:
        return self.begin + (value - self.low) / (self.high - self.low) * (self.end - self.begin)

    def ticks(self) -> list[float]:
        """Whole numbers, about six of them."""
        step = max(1, round((self.high - self.low) / 6))
        return [float(value) for value in range(math.ceil(self.low), math.floor(self.high) + 1, step)]


def plot(title: str, x_label: str, lines: Sequence[Line], linear_x: bool = False, linear_y: bool = False) -> str:
    """An SVG document; ticks of x at the points themselves, or at every fifth value of a linear axis."""
    points = [point for line in lines for point in line.points]
    along = sorted({x for x, _ in points})
    x_axis = (_LinearAxis if linear_x else _Axis).around(along, _LEFT, WIDTH - _RIGHT)
    y_axis = (_LinearAxis if linear_y else _Axis).around([y for _, y in points], HEIGHT - _BOTTOM, _TOP)
    parts = [_text(WIDTH / 2, 18, title, "middle", "bold"), _text(WIDTH / 2, HEIGHT - 8, x_label, "middle")]
    for value in y_axis.ticks():
        y = y_axis(value)
        parts.append(f'<line x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>')
        parts.append(_text(_LEFT - 6, y + 4, f"{value:g}", "end"))
    for value in _apart([x for x in along if x % 5 == 0] if linear_x else along, x_axis):
        parts.append(_text(x_axis(value), HEIGHT - _BOTTOM + 16, f"{value:g}", "middle"))
    drawn = [[(x_axis(x), y_axis(y)) for x, y in line.points] for line in lines]
    left, top, anchor = _free_place(drawn, [line.label for line in lines])
    for line, places in zip(lines, drawn, strict=True):
        joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<polyline points="{joined}" fill="none" stroke="{line.colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{line.colour}"/>' for x, y in places]
    for i, line in enumerate(lines):
        parts.append(_text(left, top + 12 + _ROW * i, line.label, anchor, colour=line.colour))
    size = f'width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}"'
    background = f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>'
    body = "\n".join([background, *parts])
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">\n{body}\n</svg>\n'


def _apart(values: Sequence[float], axis: _Axis) -> list[float]:
    """The last of these values, and before it those whose labels do not touch the next."""
    kept: list[float] = []
    for value in reversed(values):
        letters = len(f"{value:g} {kept[-1]:g}") if kept else 0
        if not kept or axis(kept[-1]) - axis(value) >= _LETTER * letters / 2:
            kept.append(value)
    return kept[::-1]


def _free_place(lines: Sequence[Sequence[tuple[float, float]]], labels: Sequence[str]) -> tuple[float, float, str]:
    """Where the legend covers least of the lines: its x, its top, and how its lines are anchored."""
    points = [point for line in lines for point in _along(line)]
    width, height = _LETTER * max(map(len, labels)), _ROW * len(labels)
    left, right, room = _LEFT + 6, WIDTH - _RIGHT - 6, HEIGHT - _BOTTOM - _TOP - height

    def covered(place: tuple[float, float, str]) -> int:
        x, top, anchor = place
        begin = x if anchor == "start" else x - width
        return sum(begin <= px <= begin + width and top <= py <= top + height for px, py in points)

    tops = [_TOP + room * share / 8 for share in range(9)]
    return min(((x, top, a) for x, a in ((left, "start"), (right, "end")) for top in tops), key=covered)


def _along(line: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Points of a line, and nineteen between each two."""
    shares = [k / 20 for k in range(20)]
    between = [(x + k * (u - x), y + k * (v - y)) for (x, y), (u, v) in pairwise(line) for k in shares]
    return [*between, *line[-1:]]


def _text(x: float, y: float, text: str, anchor: str, weight: str = "normal", colour: str = "#333") -> str:
    halo = 'paint-order="stroke" stroke="white" stroke-width="4"'
    style = f'text-anchor="{anchor}" font-weight="{weight}" fill="{colour}" {halo}'
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{escape(text)}</text>'
