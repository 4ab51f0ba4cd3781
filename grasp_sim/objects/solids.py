"""Families of plain solids: box, cylinder, cone, ball, superquadric, blob."""

from __future__ import annotations

import numpy as np

from grasp_sim.objects.shapes import assemble, circle, frustum, pick_colour, uniform
from grasp_sim.objects.shapes import box as box_part
from grasp_sim.objects.shapes import cylinder as cylinder_part
from grasp_sim.objects.spec import ObjectSpec, Part

PAPER = [
    (0.78, 0.62, 0.42),
    (0.85, 0.2, 0.18),
    (0.16, 0.38, 0.72),
    (0.92, 0.82, 0.25),
    (0.9, 0.9, 0.88),
]
WOOD = [(0.72, 0.53, 0.32), (0.82, 0.66, 0.45), (0.55, 0.36, 0.2)]
PLASTIC = [
    (0.85, 0.25, 0.15),
    (0.2, 0.55, 0.3),
    (0.95, 0.75, 0.1),
    (0.2, 0.4, 0.8),
    (0.9, 0.45, 0.1),
    (0.5, 0.3, 0.6),
]
FRUIT = [(0.8, 0.15, 0.12), (0.95, 0.6, 0.1), (0.6, 0.72, 0.2), (0.9, 0.8, 0.2)]
GRASPABLE = 0.075  # m, widest side of a solid that 85 mm fingers have to go around


def box(rng: np.random.Generator) -> ObjectSpec:
    """A small package; only one side may be longer than the gripper opens."""
    a, b = uniform(rng, 0.025, GRASPABLE), uniform(rng, 0.025, GRASPABLE)
    c = uniform(rng, 0.04, 0.14)
    return assemble(
        rng,
        "box",
        [box_part(c, a, b)],
        (150, 500),
        pick_colour(rng, PAPER),
        min(a, b, c),
        length=c,
        width=a,
        height=b,
    )


def cylinder(rng: np.random.Generator) -> ObjectSpec:
    """A wooden or plastic rod, from a puck to a pole."""
    radius, height = uniform(rng, 0.014, GRASPABLE / 2), uniform(rng, 0.04, 0.15)
    part = cylinder_part(radius, height)
    colour = pick_colour(rng, WOOD + PLASTIC)
    return assemble(
        rng,
        "cylinder",
        [part],
        (300, 700),
        colour,
        min(2 * radius, height),
        radius=radius,
        height=height,
    )


def cone(rng: np.random.Generator) -> ObjectSpec:
    """A cone stump, like a cup turned over or a toy cone."""
    bottom, height = uniform(rng, 0.022, GRASPABLE / 2), uniform(rng, 0.05, 0.11)
    top = bottom * uniform(rng, 0.25, 0.8)
    part = frustum(bottom, top, 0.0, height)
    colour = pick_colour(rng, PLASTIC)
    return assemble(
        rng,
        "cone",
        [part],
        (250, 600),
        colour,
        2 * top,
        bottom=bottom,
        top=top,
        height=height,
    )


def ball(rng: np.random.Generator) -> ObjectSpec:
    """A ball or a fruit: an ellipsoid of nearly equal axes."""
    radius = uniform(rng, 0.02, 0.036)
    half = tuple(float(v) for v in radius * rng.uniform(0.88, 1.0, 3))
    part = Part("ellipsoid", half)
    colour = pick_colour(rng, FRUIT)
    return assemble(rng, "ball", [part], (500, 900), colour, 2 * min(half), radius=radius)


def superquadric(rng: np.random.Generator) -> ObjectSpec:
    """A superellipsoid between a rounded box, a cylinder and an octahedron (Barr 1981), as the hull of its surface."""
    half = np.array(
        [
            uniform(rng, 0.02, GRASPABLE / 2),
            uniform(rng, 0.02, GRASPABLE / 2),
            uniform(rng, 0.03, 0.06),
        ]
    )
    e1, e2 = uniform(rng, 0.25, 1.6), uniform(rng, 0.25, 1.6)
    polar = np.linspace(-np.pi / 2, np.pi / 2, 11)[:, None]
    around = np.linspace(-np.pi, np.pi, 20, endpoint=False)[None, :]

    def power(value: np.ndarray, exponent: float) -> np.ndarray:
        return np.sign(value) * np.abs(value) ** exponent

    points = np.stack(
        np.broadcast_arrays(
            half[0] * power(np.cos(polar), e1) * power(np.cos(around), e2),
            half[1] * power(np.cos(polar), e1) * power(np.sin(around), e2),
            half[2] * power(np.sin(polar), e1),
        ),
        axis=-1,
    ).reshape(-1, 3)
    part = Part("mesh", vertices=np.unique(points.round(6), axis=0))
    colour = pick_colour(rng, PLASTIC)
    return assemble(
        rng,
        "superquadric",
        [part],
        (300, 700),
        colour,
        2 * half[:2].min(),
        e1=e1,
        e2=e2,
    )


def blob(rng: np.random.Generator) -> ObjectSpec:
    """A stone-like random convex hull."""
    half = np.array(
        [
            uniform(rng, 0.018, 0.034),
            uniform(rng, 0.018, 0.034),
            uniform(rng, 0.022, 0.05),
        ]
    )
    directions = rng.normal(size=(36, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    points = directions * half * rng.uniform(0.88, 1.08, (36, 1))
    part = Part("mesh", vertices=points)
    width = float(np.ptp(points[:, :2], axis=0).min())
    return assemble(rng, "blob", [part], (600, 1200), pick_colour(rng, WOOD + FRUIT), width)


def egg_cup(rng: np.random.Generator) -> ObjectSpec:
    """A turned solid with a waist: foot, stem and head, like an egg cup or a chess piece."""
    foot, head = uniform(rng, 0.018, 0.028), uniform(rng, 0.016, 0.028)
    stem, height = uniform(rng, 0.008, 0.012), uniform(rng, 0.06, 0.1)
    low, high = 0.18 * height, 0.55 * height
    parts = [
        frustum(foot, stem, 0.0, low),
        cylinder_part(stem, high - low, (0, 0, (low + high) / 2)),
        Part(
            "mesh",
            vertices=np.concatenate(
                [
                    circle(stem, high),
                    circle(head, 0.75 * height),
                    circle(0.6 * head, height),
                ]
            ),
        ),
    ]
    colour = pick_colour(rng, WOOD)
    return assemble(
        rng,
        "egg_cup",
        parts,
        (500, 900),
        colour,
        2 * stem,
        foot=foot,
        head=head,
        height=height,
    )
