"""Building blocks for the families: hulls, shell segments, colours and the final assembly of an object."""

from __future__ import annotations

import math

import numpy as np

from grasp_sim.objects.spec import ObjectSpec, Part, bounds_of

MASS_RANGE = (0.03, 0.5)  # kg
FRICTION_RANGE = (0.4, 0.9)


def uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """One number, as a Python float."""
    return float(rng.uniform(low, high))


def box(x: float, y: float, z: float, position=(0.0, 0.0, 0.0), **kwargs) -> Part:
    """A box by its full edge lengths."""
    return Part("box", (x / 2, y / 2, z / 2), tuple(map(float, position)), **kwargs)


def cylinder(radius: float, height: float, position=(0.0, 0.0, 0.0), axis: str = "z", **kwargs) -> Part:
    """A cylinder by its radius and full height, along x, y or z."""
    return Part(
        "cylinder",
        (radius, height / 2),
        tuple(map(float, position)),
        axis_quat(axis),
        **kwargs,
    )


def axis_quat(axis: str) -> tuple[float, float, float, float]:
    """Quaternion wxyz that turns z into the named axis."""
    half = math.sqrt(0.5)
    return {
        "z": (1.0, 0.0, 0.0, 0.0),
        "x": (half, 0.0, half, 0.0),
        "y": (half, -half, 0.0, 0.0),
    }[axis]


def yaw_quat(angle: float) -> tuple[float, float, float, float]:
    """Quaternion wxyz of a turn about z."""
    return (math.cos(angle / 2), 0.0, 0.0, math.sin(angle / 2))


def circle(radius: float, z: float, count: int = 24, phase: float = 0.0) -> np.ndarray:
    """(count, 3) points on a horizontal circle."""
    angles = phase + np.arange(count) * 2 * np.pi / count
    return np.stack([radius * np.cos(angles), radius * np.sin(angles), np.full(count, z)], axis=1)


def frustum(
    r_bottom: float,
    r_top: float,
    z_bottom: float,
    z_top: float,
    count: int = 24,
    **kwargs,
) -> Part:
    """A solid cone stump; a radius of 0 makes a tip."""
    rings = [
        circle(r, z, count) if r > 0 else np.array([[0.0, 0.0, z]]) for r, z in ((r_bottom, z_bottom), (r_top, z_top))
    ]
    return Part("mesh", vertices=np.concatenate(rings), **kwargs)


def prism(outline: np.ndarray, z_bottom: float, z_top: float, **kwargs) -> Part:
    """The upright prism over a convex outline (V, 2)."""
    flat = np.asarray(outline, dtype=float)
    rings = [np.column_stack([flat, np.full(len(flat), z)]) for z in (z_bottom, z_top)]
    return Part("mesh", vertices=np.concatenate(rings), **kwargs)


def shell_ring(
    lower: tuple[float, float, float],
    upper: tuple[float, float, float],
    count: int,
    **kwargs,
) -> list[Part]:
    """A closed ring of convex wall segments between two levels, each level as (inner radius, outer radius, z).

    Neighbouring segments share their flat end faces.
    """
    parts = []
    for k in range(count):
        angles = np.array([k, k + 1]) * 2 * np.pi / count
        points = [
            (r * math.cos(a), r * math.sin(a), z)
            for inner, outer, z in (lower, upper)
            for r in (inner, outer)
            for a in angles
        ]
        parts.append(Part("mesh", vertices=np.array(points), **kwargs))
    return parts


def pick_colour(rng: np.random.Generator, palette: list[tuple[float, float, float]]) -> tuple[float, ...]:
    """One colour of a palette with a little variation, as rgba."""
    base = np.array(palette[int(rng.integers(len(palette)))])
    return (
        *(float(c) for c in np.clip(base + rng.normal(0, 0.03, 3), 0.03, 0.97)),
        1.0,
    )


def assemble(
    rng: np.random.Generator,
    family: str,
    parts: list[Part],
    density: tuple[float, float],
    rgba: tuple[float, ...],
    grasp_width: float,
    friction: tuple[float, float] = FRICTION_RANGE,
    mass: tuple[float, float] = MASS_RANGE,
    **metadata: float | str,
) -> ObjectSpec:
    """Centre the parts, draw friction and mass (kg/m3 range, kept within ``mass``, kg), and name the object."""
    centre = bounds_of(parts).mean(0)
    centred = tuple(part.moved(-centre) for part in parts)
    drawn = sum(part.volume for part in centred) * uniform(rng, *density)
    return ObjectSpec(
        name=f"{family}_{int(rng.integers(1 << 16)):04x}",
        family=family,
        parts=centred,
        mass=float(np.clip(drawn, *mass)),
        friction=uniform(rng, *friction),
        rgba=tuple(rgba),
        grasp_width=float(grasp_width),
        metadata=dict(metadata),
    )
