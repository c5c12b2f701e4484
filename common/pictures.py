"""Pictures beside results: drawn last, whole or absent, and never the reason why a result is lost."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from common.errors import one_line
from common.files import atomic_path

log = logging.getLogger(__name__)

DEFAULT_FONT = "DejaVu Sans"
"""Comes with matplotlib; has no Chinese, Japanese or Korean characters."""


def save_picture(path: Path, draw: Callable[[Any], None], size: tuple[float, float]) -> bool:
    """Draws a PNG; where that fails, logs why and goes on.

    Args:
      path: where it appears once it is whole.
      draw: draws on a matplotlib `Figure`.
      size: width and height in inches.

    Returns:
      Whether the picture was written.
    """
    try:
        import matplotlib
        from matplotlib.figure import Figure

        # The Figure class draws without pyplot, so no display and no global state are needed. Label names are text,
        # never mathematics.
        with matplotlib.rc_context({"text.parse_math": False, "text.usetex": False}):
            figure = Figure(figsize=size, layout="constrained")
            draw(figure)
            with atomic_path(path) as temporary, temporary.open("wb") as stream:
                figure.savefig(stream, format="png")
    except Exception as error:
        log.warning("%s: not drawn (%s: %s); the results are complete", path, type(error).__name__, one_line(error))
        return False
    return True


def font_for(texts: Sequence[str]) -> str | None:
    """The name of an installed font that has every character of the texts; None where there is none."""
    from matplotlib import font_manager
    from matplotlib.ft2font import FT2Font

    wanted = {ord(char) for text in texts for char in text}
    fonts = sorted(font_manager.fontManager.ttflist, key=lambda font: font.name != DEFAULT_FONT)
    for font in fonts:
        try:
            if (
                font.style == "normal"
                and not font.name.startswith("Last Resort")
                and wanted <= FT2Font(font.fname).get_charmap().keys()
            ):
                return str(font.name)
        except (OSError, RuntimeError):  # a broken font file
            continue
    return None


def shortened(text: str, limit: int = 28) -> str:
    """A label name that fits beside an axis."""
    return text if len(text) <= limit else f"{text[: limit - 1]}\N{HORIZONTAL ELLIPSIS}"
