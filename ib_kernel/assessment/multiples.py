"""Small pictures of one session each, drawn alike so that they can be read side by side: plain inline SVG."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from ib_kernel.assessment.compared import Compared, Picture
from ib_kernel.text import several

WIDTH, HEIGHT = 176, 64
_LEFT, _RIGHT, _TOP, _BOTTOM = 2, WIDTH - 2, 4, 44
_CELLS = 54
_USED, _BAD, _LINE = "#2f81f7", "#d5473d", "#808080"


def picture_svg(session: Compared) -> Markup:
    """Return the picture of one session: tokens left over the time, and the cells that were run beneath.

    Colours reach 3:1 on light and dark grounds alike, and the label says in words what is drawn.

    Args:
        session: One session of a comparison.
    """
    picture = session.picture
    label = picture_words(picture)
    parts = [
        f'<svg class="ib-multiple" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        f'role="img" aria-label="{label}"><title>{label}</title>',
        f'<path d="M{_LEFT} {_BOTTOM}H{_RIGHT}M{_LEFT} {_TOP}V{_BOTTOM}" fill="none" stroke="{_LINE}" '
        'stroke-opacity=".5"/>',
        f'<path d="M{_LEFT} {_TOP}L{_RIGHT} {_BOTTOM}" fill="none" stroke="{_LINE}" stroke-dasharray="2 4"/>',
        f'<path d="{_steps(picture.left)}" fill="none" stroke="{_USED}" stroke-width="2"/>',
        *(_cell(x, ok) for x, ok in picture.cells),
        "</svg>",
    ]
    return Markup("".join(parts))  # noqa: S704 - numbers and words of ours


def picture_words(picture: Picture) -> str:
    """Return in one sentence what the picture of a session shows."""
    end, left = picture.left[-1] if picture.left else (0.0, 1.0)
    failed = sum(not ok for _, ok in picture.cells)
    return (
        f"{left:.0%} of the tokens left after {end:.0%} of the time; "
        f"{several(len(picture.cells), 'cell')} run, {failed} of them failed"
    )


def _steps(points: Sequence[Sequence[float]]) -> str:
    if not points:
        return ""
    (x, y), *rest = points
    path = f"M{_x(x)} {_y(y)}"
    for x, y in rest:
        path += f"H{_x(x)}V{_y(y)}"
    return path


def _cell(share: float, ok: float) -> str:
    x = _x(share)
    if ok:
        return f'<path d="M{x} {_CELLS - 5}V{_CELLS + 5}" stroke="{_LINE}" stroke-width="2"/>'
    path = f"M{x - 3} {_CELLS - 3}L{x + 3} {_CELLS + 3}M{x + 3} {_CELLS - 3}L{x - 3} {_CELLS + 3}"
    return f'<path d="{path}" stroke="{_BAD}" stroke-width="2"/>'


def _x(share: float) -> float:
    return round(_LEFT + (_RIGHT - _LEFT) * min(1.0, max(0.0, share)), 1)


def _y(share: float) -> float:
    return round(_BOTTOM - (_BOTTOM - _TOP) * min(1.0, max(0.0, share)), 1)
