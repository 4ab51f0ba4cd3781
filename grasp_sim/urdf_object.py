"""URDF files of single objects, as data sets of the field have them: a link with a mesh, its scale, pose and mass."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from grasp_core import se3
from grasp_core.errors import InputError

SUFFIX = ".urdf"


@dataclass(frozen=True, eq=False)
class UrdfMesh:
    """A mesh of the link: file, factors to the URDF's metres, pose (4, 4) in the link's frame."""

    path: Path
    scale: tuple[float, float, float]
    pose: np.ndarray


@dataclass(frozen=True, eq=False)
class UrdfBody:
    """What a URDF says of its link; mass (kg) and friction are None where it does not say."""

    visual: tuple[UrdfMesh, ...]
    collision: tuple[UrdfMesh, ...]
    mass: float | None
    friction: float | None


def read_urdf(path: Path) -> UrdfBody:
    """The one link of a URDF file.

    Friction is Bullet's `contact/lateral_friction`. InputError, naming the file, when it is no URDF, when the link is
    not alone, and on geometry that is not a mesh in a file beside it.
    """
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError) as error:
        raise InputError(f"{path} cannot be read as a URDF ({error})") from error
    links = root.findall("link")
    if root.tag != "robot" or len(links) != 1:
        raise InputError(f"{path} has {len(links)} links: an object is a <robot> of one rigid link; join them")
    visual, collision = links[0].findall("visual"), links[0].findall("collision")
    if not visual and not collision:
        raise InputError(f"{path} has neither <visual> nor <collision> geometry")
    return UrdfBody(
        visual=tuple(_mesh(path, shape) for shape in visual),
        collision=tuple(_mesh(path, shape) for shape in collision),
        mass=_value(path, links[0].find("inertial/mass")),
        friction=_value(path, links[0].find("contact/lateral_friction")),
    )


def _mesh(path: Path, shape: ElementTree.Element) -> UrdfMesh:
    mesh = shape.find("geometry/mesh")
    if mesh is None or not mesh.get("filename"):
        raise InputError(f"{path}: <{shape.tag}> has no <mesh> with a filename; other geometry is not read")
    name = mesh.get("filename", "").removeprefix("file://")
    if "://" in name:
        raise InputError(f"{path}: mesh {name!r} cannot be found: give its path relative to the URDF")
    origin = shape.find("origin")
    xyz, rpy = ("0 0 0", "0 0 0") if origin is None else (origin.get("xyz", "0 0 0"), origin.get("rpy", "0 0 0"))
    scale = _three(path, "scale", mesh.get("scale", "1 1 1"))
    if min(scale) <= 0:
        raise InputError(f"{path}: mesh scale must be positive, got {mesh.get('scale')!r}")
    pose = se3.make(se3.rpy_matrix(*_three(path, "rpy", rpy)), np.array(_three(path, "xyz", xyz)))
    return UrdfMesh(path.parent / name, scale, pose)


def _three(path: Path, name: str, text: str) -> tuple[float, float, float]:
    try:
        x, y, z = (float(word) for word in text.split())
    except ValueError as error:
        raise InputError(f"{path}: {name} must be three numbers, got {text!r}") from error
    if not np.isfinite([x, y, z]).all():
        raise InputError(f"{path}: {name} must be finite, got {text!r}")
    return x, y, z


def _value(path: Path, element: ElementTree.Element | None) -> float | None:
    if element is None:
        return None
    try:
        return float(element.get("value", ""))
    except ValueError as error:
        text = element.get("value")
        raise InputError(f"{path}: <{element.tag}> must have a number as value, got {text!r}") from error
