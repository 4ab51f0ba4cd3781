"""Grasps drawn into a picture as gripper outlines, coloured by score."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from grasp_core import se3
from grasp_core.camera import Camera
from grasp_core.cloud import Cloud
from grasp_core.errors import InputError
from grasp_core.grasps import Grasps
from grasp_core.gripper import Gripper

_STEM = 0.03  # m, the line behind the palm
_LOW, _MIDDLE, _HIGH = np.array([214, 39, 40]), np.array([255, 191, 0]), np.array([44, 190, 60])


def score_color(score: float) -> tuple[int, int, int]:
    """RGB from red (0) over amber (0.5) to green (1)."""
    s = float(np.clip(score, 0.0, 1.0))
    mixed = _LOW + (_MIDDLE - _LOW) * (2 * s) if s < 0.5 else _MIDDLE + (_HIGH - _MIDDLE) * (2 * s - 1)
    return tuple(int(c) for c in mixed)


def outlines(grasps: Grasps, gripper: Gripper) -> NDArray[np.float64]:
    """Polylines of N grippers in the frame of the grasps, (N, 7, 3): finger, palm, stem out and back, palm, finger."""
    half = grasps.width.astype(np.float64) / 2.0
    back = -gripper.finger.length
    zero = np.zeros_like(half)
    local = np.stack(
        [
            np.stack([-half, zero, zero], -1),
            np.stack([-half, zero, zero + back], -1),
            np.stack([zero, zero, zero + back], -1),
            np.stack([zero, zero, zero + back - _STEM], -1),
            np.stack([zero, zero, zero + back], -1),
            np.stack([half, zero, zero + back], -1),
            np.stack([half, zero, zero], -1),
        ],
        axis=1,
    )
    return local @ np.swapaxes(grasps.R.astype(np.float64), 1, 2) + grasps.t[:, None].astype(np.float64)


def draw_grasps(
    color: NDArray[np.uint8],
    grasps: Grasps,
    gripper: Gripper,
    camera: Camera,
    T_base_cam: NDArray[np.float64],
    top: int | None = None,
    highlight: int | None = 0,
) -> NDArray[np.uint8]:
    """The picture (H, W, 3) uint8 with the grasps in it, the best on top.

    Args:
        color: picture of ``camera``.
        grasps: in the base frame.
        top: draw only that many of the best; None draws all.
        highlight: index (by rank) of the grasp drawn with a white rim; None for none.

    Raises:
        InputError: the picture does not have the camera's size.
    """
    if color.shape != (camera.height, camera.width, 3):
        raise InputError(f"picture has shape {color.shape}, camera {camera.frame} has {camera.width}x{camera.height}")
    image = Image.fromarray(color)
    draw = ImageDraw.Draw(image)
    ranked = grasps.sorted()[slice(0, top)]
    thick = max(2, round(camera.width / 320))
    if len(ranked):
        lines = se3.transform(se3.inverse(T_base_cam), outlines(ranked, gripper))
        pixels = camera.project(lines)
        for i in reversed(range(len(ranked))):
            if not np.isfinite(pixels[i]).all():
                continue  # behind the camera
            path = [(float(u), float(v)) for u, v in pixels[i]]
            if i == highlight:
                draw.line(path, fill=(255, 255, 255), width=thick + 4, joint="curve")
            draw.line(path, fill=score_color(ranked.score[i]), width=thick, joint="curve")
    _legend(draw, camera, len(ranked), len(grasps), ranked.score)
    return np.asarray(image)


def _legend(draw: ImageDraw.ImageDraw, camera: Camera, shown: int, total: int, score: NDArray[np.float32]) -> None:
    """A colour bar with what it means, lower left."""
    unit = max(1, camera.width // 640)
    left, bottom, width, height = 10 * unit, camera.height - 12 * unit, 120 * unit, 8 * unit
    text = f"{shown} of {total} grasps" + (f", score {score.min():.2f}..{score.max():.2f}" if shown else "")
    draw.rectangle((left - 6, bottom - height - 36, left + max(width, 230) + 6, camera.height - 2), fill=(20, 20, 20))
    draw.text((left, bottom - height - 32), text, fill=(255, 255, 255))
    draw.text((left, bottom - height - 15), "score 0", fill=(255, 255, 255))
    draw.text((left + width - 6, bottom - height - 15), "1", fill=(255, 255, 255))
    for i in range(width):
        color = score_color(i / (width - 1))
        draw.line((left + i, bottom - height, left + i, bottom), fill=color)


def render_cloud(cloud: Cloud, camera: Camera, T_base_cam: NDArray[np.float64]) -> NDArray[np.uint8]:
    """A picture (H, W, 3) of a cloud, nearest points in front; grey by height where it has no colours."""
    local = se3.transform(se3.inverse(T_base_cam), cloud.points.astype(np.float64))
    pixel = camera.project(local)
    if cloud.colors is None:
        low, high = np.percentile(cloud.points[:, 2], [1, 99])
        grey = 40 + 180 * np.clip((cloud.points[:, 2] - low) / max(high - low, 1e-6), 0, 1)
        colors = np.repeat(grey.astype(np.uint8)[:, None], 3, axis=1)
    else:
        colors = cloud.colors
    seen = np.isfinite(pixel).all(axis=1)
    order = np.flatnonzero(seen)[np.argsort(-local[seen, 2])]
    image = np.full((camera.height, camera.width, 3), 25, dtype=np.uint8)
    for du, dv in ((0, 0), (1, 0), (0, 1), (1, 1)):
        u, v = (pixel[order] + (du, dv)).astype(int).T
        inside = (u >= 0) & (u < camera.width) & (v >= 0) & (v < camera.height)
        image[v[inside], u[inside]] = colors[order][inside]
    return image
