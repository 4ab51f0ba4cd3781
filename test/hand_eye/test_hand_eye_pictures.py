"""Boards on paper, in pictures, and which pictures become views."""

import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from grasp_core import se3
from grasp_core.board import Board
from grasp_core.errors import ConfigError, InputError
from hand_eye import gate, printing
from hand_eye.detection import Detection, Detector, Lens, drawn
from hand_eye.gate import Answer, Gate, Shot
from hand_eye.views import View
from test.hand_eye.synthetic import BOARD, SIZE, K

CORNERS = len(BOARD.corners)
LENS = Lens(K, np.zeros(0), SIZE)


def picture(blur: float = 0.0, turn: float = 0.3, board: Board = BOARD) -> tuple[np.ndarray, np.ndarray]:
    """A picture (480, 640) of a board, seen from somewhere aslant, and where its corners are in it (N, 2)."""
    R = se3.exp_so3([0.3, -0.2, 0.0]) @ se3.exp_so3([0.0, 0.0, turn])
    T = se3.make(R, np.array([0.0, 0.0, 0.42]) - R @ board.centre)
    per_m = 40 / board.square
    # A pixel's centre is at a whole number in both pictures.
    flat = np.array([[1 / per_m, 0.0, 0.5 / per_m], [0.0, 1 / per_m, 0.5 / per_m], [0.0, 0.0, 1.0]])
    H = K @ np.column_stack([T[:3, 0], T[:3, 1], T[:3, 3]]) @ flat
    face, ones = board.picture(40), np.full((40 * board.squares[1], 40 * board.squares[0]), 255, np.uint8)
    size = (SIZE[0] * 2, SIZE[1] * 2)
    up = np.array([[2.0, 0.0, 0.5], [0.0, 2.0, 0.5], [0.0, 0.0, 1.0]]) @ H
    large = cv2.warpPerspective(face, up, size, flags=cv2.INTER_AREA, borderValue=140)
    inside = cv2.warpPerspective(ones, up, size, flags=cv2.INTER_AREA)
    out = cv2.resize(np.where(inside > 128, large, 140).astype(np.uint8), SIZE, interpolation=cv2.INTER_AREA)
    points = se3.transform(T, board.corners)
    if blur:
        out = cv2.GaussianBlur(out, (0, 0), blur)
    return out, points[:, :2] / points[:, 2:] * 612.0 + K[:2, 2]


# Printing.


def test_the_print_has_its_true_size(tmp_path: Path):
    said = printing.write(BOARD, tmp_path / "board.pdf")
    assert "A4" in said
    box = re.search(rb"MediaBox \[ 0 0 ([\d.]+) ([\d.]+) \]", (tmp_path / "board.pdf").read_bytes())
    np.testing.assert_allclose([float(v) * 25.4 / 72 for v in box.groups()], [297.0, 210.0], atol=0.05)
    printing.write(BOARD, tmp_path / "board.png")
    with Image.open(tmp_path / "board.png") as sheet:
        per_mm = sheet.info["dpi"][0] / 25.4
        pixels = np.asarray(sheet.convert("L"))
    assert per_mm == pytest.approx(printing.PER_MM, rel=1e-3)
    found = Detector(BOARD).find(cv2.resize(pixels, None, fx=0.2, fy=0.2, interpolation=cv2.INTER_AREA))
    assert len(found.ids) == CORNERS
    square = np.linalg.norm(found.pixels[1] - found.pixels[0]) * 5 / per_mm
    assert square == pytest.approx(BOARD.square * 1e3, rel=2e-3)


@pytest.mark.parametrize("name", ["a4", "a3"])
def test_shipped_boards_fit_their_paper(name: str):
    assert printing.page(Board.load(name))[0] == name


def test_what_cannot_be_printed_is_refused(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"ends in \.pdf or \.png"):
        printing.write(BOARD, tmp_path / "board.jpg")
    with pytest.raises(ConfigError, match="larger than A1"):
        printing.page(BOARD.model_copy(update={"square": 0.2, "marker": 0.15}))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"marker": 0.03}, "must be smaller than square"),
        ({"dictionary": "4X4_7"}, "expected one of 4X4_100"),
        ({"squares": [20, 20]}, "has 50 markers, this board needs 200"),
        ({"square": 0.0}, "square"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_board_that_is_none_is_refused(tmp_path: Path, change: dict, message: str):
    import yaml

    path = tmp_path / "mine.yaml"
    good = {"name": "mine", "squares": [9, 6], "square": 0.028, "marker": 0.021, "dictionary": "4X4_50"}
    path.write_text(yaml.safe_dump({**good, **change}))
    with pytest.raises(ConfigError, match=message):
        Board.load(str(path))


# Finding the board.


def test_corners_are_found_where_they_are():
    found = Detector(BOARD).find(picture()[0])
    error = found.pixels - picture()[1][found.ids]
    assert len(found.ids) == CORNERS
    assert np.sqrt((error**2).mean()) < 0.1
    assert np.abs(error.mean(axis=0)).max() < 0.05


def test_blur_is_measured():
    widths = [Detector(BOARD).find(picture(blur)[0]).blur for blur in (0.0, 1.0, 1.5)]
    assert widths == sorted(widths)
    assert widths[0] < gate.MOST_BLUR


def test_colour_pictures_will_do():
    assert len(Detector(BOARD).find(np.repeat(picture()[0][..., None], 3, axis=2)).ids) == CORNERS


@pytest.mark.parametrize(
    ("spoiled", "message"),
    [
        (lambda p: np.full_like(p, 128), "^no board in view$"),
        (lambda p: np.full_like(p, 4), "too dark"),
        (lambda p: np.full_like(p, 250), "too bright"),
        (lambda p: cv2.flip(p, 1), "mirrored"),
        (lambda p: cv2.GaussianBlur(p, (0, 0), 2.2), "blurred, or the board is not that of the file"),
        (lambda p: np.where(np.arange(640) < 190, p, 128).astype(np.uint8), "show all of it"),
    ],
)
def test_what_is_wrong_with_a_picture_is_said(spoiled, message: str):
    with pytest.raises(InputError, match=message):
        Detector(BOARD).find(spoiled(picture()[0]))


def test_another_board_is_not_taken_for_this_one():
    other = BOARD.model_copy(update={"dictionary": "5X5_50"})
    with pytest.raises(InputError):
        Detector(other).find(picture()[0])


def test_distortion_is_taken_out():
    bent = Lens(K, np.array([-0.1, 0.02, 0.001, -0.001, 0.0]), SIZE)
    straight = np.array([[100.0, 90.0], [320.0, 240.0], [600.0, 440.0]])
    rays = np.column_stack([(straight - K[:2, 2]) / 612.0, np.ones(3)])
    seen = cv2.projectPoints(rays, np.zeros(3), np.zeros(3), K, bent.distortion)[0][:, 0]
    assert np.abs(seen - straight).max() > 5.0
    np.testing.assert_allclose(bent.straight(seen), straight, atol=0.01)
    np.testing.assert_array_equal(LENS.straight(straight), straight)


def test_the_drawing_leaves_the_picture_alone():
    colour = np.repeat(picture()[0][..., None], 3, axis=2)
    before = colour.copy()
    shown = drawn(colour, Detector(BOARD).find(colour), "3 views")
    assert (shown != before).any()
    np.testing.assert_array_equal(colour, before)


# The gate.


def shot(
    step: int, flange: np.ndarray | None = None, shift: float = 0.0, blur: float = 0.7, count: int = CORNERS
) -> Shot:
    rng = np.random.default_rng(step)
    pixels = BOARD.corners[:count, :2] * 2000 + 50 + shift + rng.normal(0, 0.1, (count, 2))
    T = np.eye(4) if flange is None else flange
    return Shot(step * 100_000_000, Detection(np.arange(count), pixels, blur), T, np.zeros(6))


def offer(shots: list[Shot], taken: list[View] | None = None) -> list[Answer]:
    sieve = Gate(CORNERS, LENS)
    return [sieve.offer(s, taken or []) for s in shots]


def test_what_stands_still_for_a_while_becomes_a_view():
    answers = offer([shot(i) for i in range(1, 6)])
    assert [a.view is not None for a in answers] == [False] * 4 + [True]
    assert all(a.waiting and "hold still" in a.text for a in answers[:4])
    np.testing.assert_allclose(answers[-1].view.pixels, BOARD.corners[:, :2] * 2000 + 50, atol=0.2)


def test_corners_are_averaged_over_the_pictures():
    alone = np.std(shot(1).detection.pixels - BOARD.corners[:, :2] * 2000)
    view = offer([shot(i) for i in range(1, 6)])[-1].view
    assert np.std(view.pixels - BOARD.corners[:, :2] * 2000) < 0.7 * alone


def test_a_moving_arm_and_a_moving_board_wait():
    moved = se3.make(np.eye(3), [0.001, 0.0, 0.0])
    answers = offer([shot(1), shot(2, moved), shot(3, moved), shot(4, moved, shift=3.0)])
    assert "the arm is not at rest" in answers[1].text
    assert "the board moves in the picture by" in answers[3].text
    assert not any(a.view for a in answers)


def test_a_slow_drift_is_motion_too():
    drift = [se3.make(np.eye(3), [0.00015 * i, 0.0, 0.0]) for i in range(12)]
    answers = offer([shot(i + 1, T) for i, T in enumerate(drift)])
    assert not any(a.view for a in answers)


def test_blurred_and_partial_pictures_begin_the_wait_anew():
    answers = offer([shot(1), shot(2), shot(3, blur=2.5), shot(4), shot(5), shot(6, count=15), shot(7)])
    assert answers[2].text.startswith("blurred: edges are 2.5 px wide")
    assert answers[5].text == "partial: only 15 of 40 corners are in view"
    assert not any(a.view for a in answers)


def test_a_pose_that_was_there_before_is_refused():
    taken = [View(se3.make(se3.exp_so3([0.5, 0, 0]), [0, 0, 0]), np.arange(8), np.zeros((8, 2)), np.zeros(6))]
    taken.append(View(se3.make(np.eye(3), [0.01, 0, 0]), np.arange(8), np.zeros((8, 2)), np.zeros(6)))
    answers = offer([shot(i) for i in range(1, 7)], taken)
    assert all("too similar to view 2" in a.text and not a.waiting for a in answers)
    turned = se3.make(se3.exp_so3([0.0, 0.2, 0.0]), [0.01, 0, 0])
    assert offer([shot(i, turned) for i in range(1, 7)], taken)[4].view is not None


def test_a_pause_of_the_camera_begins_the_wait_anew():
    answers = offer([shot(1), shot(2), shot(3), shot(30), shot(31)])
    assert not any(a.view for a in answers)


def test_corners_that_come_and_go_are_matched_by_id():
    shots = [shot(1), shot(2, count=38), shot(3), shot(4), shot(5, count=30), shot(6)]
    view = next(a.view for a in offer(shots) if a.view)
    assert view.ids.tolist() == list(range(30))
