"""A plot of cost against size as SVG, both axes logarithmic: a straight line at 45° is linear growth."""

from __future__ import annotations

import math
from collections.abc import Sequence

WIDTH, HEIGHT, MARGIN = 560, 360, 64


def cost_plot(points: Sequence[tuple[int, float]]) -> str:
    """``points``: series and CPU seconds per tick."""
    xs, ys = [math.log10(size) for size, _ in points], [math.log10(max(cost, 1e-6)) for _, cost in points]
    left, right = math.floor(min(xs)), math.ceil(max(xs))
    low, high = math.floor(min(ys)), math.ceil(max(ys))
    right, high = max(right, left + 1), max(high, low + 1)

    def place(x: float, y: float) -> tuple[float, float]:
        across = MARGIN + (x - left) / (right - left) * (WIDTH - 2 * MARGIN)
        up = HEIGHT - MARGIN - (y - low) / (high - low) * (HEIGHT - 2 * MARGIN)
        return round(across, 1), round(up, 1)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"',
        ' font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{MARGIN}" y="28" font-size="14">CPU seconds of a tick by number of series, one core</text>',
    ]
    for power in range(left, right + 1):
        across, bottom = place(power, low)
        parts.append(f'<line x1="{across}" y1="{MARGIN}" x2="{across}" y2="{bottom}" stroke="#ddd"/>')
        parts.append(f'<text x="{across}" y="{bottom + 18}" text-anchor="middle">{10**power:,}</text>')
    for power in range(low, high + 1):
        start, up = place(left, power)
        parts.append(f'<line x1="{start}" y1="{up}" x2="{WIDTH - MARGIN}" y2="{up}" stroke="#ddd"/>')
        parts.append(f'<text x="{start - 8}" y="{up + 4}" text-anchor="end">{10.0**power:g} s</text>')
    # linear growth through the largest size, to compare with
    ends = [place(max(left, xs[-1] + low - ys[-1]), max(low, ys[-1] + left - xs[-1])), place(xs[-1], ys[-1])]
    parts.append(_line(ends, 'stroke="#999" stroke-dasharray="4 4"'))
    parts.append(_line([place(x, y) for x, y in zip(xs, ys, strict=True)], 'stroke="#1f77b4" stroke-width="2"'))
    for x, y, (size, cost) in zip(xs, ys, points, strict=True):
        across, up = place(x, y)
        parts.append(f'<circle cx="{across}" cy="{up}" r="4" fill="#1f77b4"/>')
        parts.append(f'<text x="{across + 6}" y="{up + 16}">{cost:.3g} s, {cost / size * 1e9:.0f} ns/series</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _line(points: Sequence[tuple[float, float]], style: str) -> str:
    return f'<polyline fill="none" {style} points="{" ".join(f"{x},{y}" for x, y in points)}"/>'
