"""Families of the kitchen shelf: bottle, can, carton, mug, bowl, plate."""

from __future__ import annotations

import itertools

import numpy as np

from grasp_sim.objects.shapes import (
    assemble,
    box,
    circle,
    cylinder,
    frustum,
    pick_colour,
    shell_ring,
    uniform,
)
from grasp_sim.objects.solids import PAPER, PLASTIC
from grasp_sim.objects.spec import ObjectSpec, Part

CERAMIC = [
    (0.92, 0.91, 0.88),
    (0.35, 0.5, 0.65),
    (0.75, 0.3, 0.25),
    (0.45, 0.6, 0.45),
    (0.88, 0.78, 0.55),
]
LABEL = [(0.8, 0.12, 0.12), (0.1, 0.45, 0.25), (0.15, 0.3, 0.65), (0.95, 0.8, 0.2)]
STEEL = (0.72, 0.73, 0.75, 1.0)


def bottle(rng: np.random.Generator) -> ObjectSpec:
    """A filled plastic bottle: body, shoulder, neck, cap."""
    radius, height = uniform(rng, 0.022, 0.035), uniform(rng, 0.12, 0.19)
    neck = uniform(rng, 0.011, 0.015)
    body, shoulder = 0.6 * height, 0.8 * height
    cap = (*pick_colour(rng, LABEL)[:3], 1.0)
    parts = [
        cylinder(radius, body, (0, 0, body / 2)),
        frustum(radius, neck, body, shoulder),
        cylinder(neck, 0.09 * height, (0, 0, shoulder + 0.045 * height)),
        cylinder(neck * 1.12, 0.11 * height, (0, 0, 0.945 * height), rgba=cap),
    ]
    colour = pick_colour(rng, PLASTIC + CERAMIC)
    return assemble(rng, "bottle", parts, (350, 900), colour, 2 * neck, radius=radius, height=height)


def can(rng: np.random.Generator) -> ObjectSpec:
    """A tin or drinks can with a label and bare metal ends."""
    radius, height = uniform(rng, 0.026, 0.036), uniform(rng, 0.06, 0.125)
    end = 0.08 * height
    parts = [
        frustum(0.9 * radius, radius, 0.0, end, rgba=STEEL),
        cylinder(radius, height - 2 * end, (0, 0, height / 2)),
        frustum(radius, 0.88 * radius, height - end, height, rgba=STEEL),
    ]
    return assemble(
        rng,
        "can",
        parts,
        (300, 950),
        pick_colour(rng, LABEL),
        2 * radius,
        radius=radius,
        height=height,
    )


def carton(rng: np.random.Generator) -> ObjectSpec:
    """A drinks carton: a box with a gable and a ridge."""
    width, depth, height = (
        uniform(rng, 0.045, 0.07),
        uniform(rng, 0.045, 0.07),
        uniform(rng, 0.08, 0.14),
    )
    gable, ridge = 0.35 * depth, 0.012
    roof = np.array(
        [[sx * width / 2, sy * depth / 2, height] for sx in (-1, 1) for sy in (-1, 1)]
        + [[sx * width / 2, sy * 0.003, height + gable] for sx in (-1, 1) for sy in (-1, 1)]
    )
    parts = [
        box(width, depth, height, (0, 0, height / 2)),
        Part("mesh", vertices=roof),
        box(width, 0.006, ridge, (0, 0, height + gable + ridge / 2)),
    ]
    colour = pick_colour(rng, PAPER)
    return assemble(
        rng,
        "carton",
        parts,
        (200, 900),
        colour,
        min(width, depth),
        width=width,
        depth=depth,
        height=height,
    )


def mug(rng: np.random.Generator) -> ObjectSpec:
    """A mug with an angular handle; held by its wall, its handle or around the body."""
    radius, height, wall = (
        uniform(rng, 0.031, 0.038),
        uniform(rng, 0.07, 0.095),
        uniform(rng, 0.0045, 0.006),
    )
    thickness = uniform(rng, 0.009, 0.012)
    reach, span = uniform(rng, 0.024, 0.03), 0.6 * height
    parts = [cylinder(radius, 0.007, (0, 0, 0.0035))]
    parts += shell_ring((radius - wall, radius, 0.007), (radius - wall, radius, height), 16)
    start = radius - wall * 0.7
    for z in (height / 2 - span / 2, height / 2 + span / 2 - thickness):
        parts.append(
            box(
                radius + reach - start,
                thickness,
                thickness,
                ((start + radius + reach) / 2, 0, z + thickness / 2),
            )
        )
    parts.append(
        box(
            thickness,
            thickness,
            span - 2 * thickness,
            (radius + reach - thickness / 2, 0, height / 2),
        )
    )
    colour = pick_colour(rng, CERAMIC)
    return assemble(
        rng,
        "mug",
        parts,
        (1600, 2200),
        colour,
        wall,
        radius=radius,
        height=height,
        wall=wall,
    )


def bowl(rng: np.random.Generator) -> ObjectSpec:
    """A bowl on a foot: two rings of wall segments; held by its wall or, upside down, by its foot."""
    rim, height = uniform(rng, 0.045, 0.065), uniform(rng, 0.045, 0.06)
    wall, foot = uniform(rng, 0.0045, 0.006), uniform(rng, 0.022, 0.03)
    stand, knee = 0.013, 0.022
    base = foot + 0.004
    parts = [
        cylinder(foot, stand, (0, 0, stand / 2)),
        cylinder(base, wall, (0, 0, stand + wall / 2)),
    ]
    levels = [
        (base - 1.5 * wall, base, stand),
        (0.82 * rim - wall, 0.82 * rim, stand + knee - wall),
        (rim - wall, rim, height + stand),
    ]
    for lower, upper in itertools.pairwise(levels):
        parts += shell_ring(lower, upper, 16)
    colour = pick_colour(rng, CERAMIC)
    return assemble(
        rng,
        "bowl",
        parts,
        (1200, 1900),
        colour,
        wall,
        rim=rim,
        height=height,
        foot=foot,
    )


def plate(rng: np.random.Generator) -> ObjectSpec:
    """A small plate on a foot; held by its raised rim or, upside down, by its foot."""
    rim, wall = uniform(rng, 0.055, 0.075), uniform(rng, 0.0045, 0.006)
    foot, stand, rise = uniform(rng, 0.026, 0.034), 0.014, uniform(rng, 0.016, 0.024)
    flat = 0.62 * rim
    parts = [
        cylinder(foot, stand, (0, 0, stand / 2)),
        Part(
            "mesh",
            vertices=np.concatenate([circle(flat, z, 16) for z in (stand, stand + wall)]),
        ),
    ]
    parts += shell_ring((flat - wall, flat, stand), (rim - wall, rim, stand + rise), 16)
    colour = pick_colour(rng, CERAMIC)
    return assemble(rng, "plate", parts, (1200, 1900), colour, wall, rim=rim, foot=foot)
