"""The doctor's look at a camera's pictures: whether depth is aligned to colour."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from seegrasp.doctor import Finding, ok, problem

ALIGN = (
    "realsense-ros: align_depth.enable:=true; topics.depth of the camera profile is the aligned image (docs/CAMERAS.md)"
)
SAME = "image and camera_info must come from the same stream: compare the topics of the camera profile"


class Seen(NamedTuple):
    """Size and frame of the newest image or camera_info of a topic."""

    width: int
    height: int
    frame: str

    def __str__(self) -> str:
        return f"{self.width}x{self.height} in {self.frame}"


def check_alignment(camera: str, seen: Mapping[str, Seen]) -> list[Finding]:
    """What the newest depth, color, depth_info and color_info, as far as they were seen, say to each other."""
    name = f"images {camera}"
    for kind in ("depth", "color"):
        image, info = seen.get(kind), seen.get(f"{kind}_info")
        if image is not None and info is not None and image != info:
            return [problem(name, f"{kind} is {image}, its camera_info {info}", SAME)]
    depth, color = seen.get("depth"), seen.get("color")
    if depth is None or color is None:
        return []  # silence is told of elsewhere
    if depth != color:
        return [problem(name, f"depth is not aligned to colour: depth is {depth}, colour {color}", ALIGN)]
    return [ok(name, f"depth is aligned to colour, {depth}")]
