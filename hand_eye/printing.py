"""A board on paper, in its true size, with a ruler that shows whether the printer kept it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from grasp_core.board import Board
from grasp_core.errors import ConfigError

PAPERS = {"a4": (0.297, 0.210), "a3": (0.420, 0.297), "a2": (0.594, 0.420), "a1": (0.841, 0.594)}  # m, lying
PER_MM = 20  # px: 508 dpi
RULER = 0.1  # m
_STRIP = 0.012  # m below the board for ruler and text
_EDGE = 0.005  # m that printers leave white


def page(board: Board) -> tuple[str, Image.Image]:
    """The smallest paper that takes the board, and the page in black and white.

    Raises:
        ConfigError: the board is larger than the largest paper, or its squares are no whole number of dots.
    """
    width, height = board.size
    paper = next(
        (name for name, (w, h) in PAPERS.items() if width + 2 * _EDGE <= w and height + _STRIP + 2 * _EDGE <= h),
        None,
    )
    if paper is None:
        raise ConfigError(f"board {board.name}: {width * 1e3:.0f} x {height * 1e3:.0f} mm is larger than A1 paper")
    dots = board.square * 1e3 * PER_MM
    if abs(dots - round(dots)) > 1e-6:
        raise ConfigError(
            f"board {board.name}: square {board.square} m is no multiple of {1 / PER_MM} mm: cannot print it"
        )
    size = tuple(round(edge * 1e3 * PER_MM) for edge in PAPERS[paper])
    sheet = Image.new("L", size, 255)
    face = Image.fromarray(board.picture(round(dots)))
    left = (size[0] - face.width) // 2
    top = (size[1] - face.height - _px(_STRIP)) // 2
    sheet.paste(face, (left, top))
    _ruler(sheet, board, left, top + face.height + _px(_STRIP / 2))
    return paper, sheet.convert("1", dither=Image.Dither.NONE)


def write(board: Board, path: Path) -> str:
    """Write the page as .pdf or .png, whose resolution says its true size; returns what to tell the user."""
    if path.suffix.lower() not in (".pdf", ".png"):
        raise ConfigError(f"{path}: expected a name that ends in .pdf or .png")
    paper, sheet = page(board)
    dpi = PER_MM * 25.4
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix.lower() == ".pdf":
            sheet.save(path, resolution=dpi)
        else:
            sheet.save(path, dpi=(dpi, dpi))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error}") from error
    return (
        f"{path}: board {board.name} for {paper.upper()} paper. Print it at 100 % (no 'fit to page'), glue it to "
        f"something flat and stiff, and measure: the ruler is {RULER * 1e3:.0f} mm long, a square "
        f"{board.square * 1e3:g} mm."
    )


def _px(metres: float) -> int:
    return round(metres * 1e3 * PER_MM)


def _ruler(sheet: Image.Image, board: Board, x: int, y: int) -> None:
    pen, width = ImageDraw.Draw(sheet), max(1, PER_MM // 5)
    pen.line([(x, y), (x + _px(RULER), y)], fill=0, width=width)
    for mm in np.arange(0, RULER * 1e3 + 1, 10):
        at = x + round(mm * PER_MM)
        pen.line([(at, y - _px(0.0015)), (at, y + _px(0.0015))], fill=0, width=width)
    columns, rows = board.squares
    text = (
        f"{RULER * 1e3:.0f} mm    {board.name}: {columns} x {rows} squares of {board.square * 1e3:g} mm, "
        f"markers {board.marker * 1e3:g} mm, {board.dictionary}{', legacy' if board.legacy else ''}"
    )
    pen.text((x + _px(RULER + 0.004), y), text, fill=0, font=ImageFont.load_default(_px(0.004)), anchor="lm")
