"""Families of the workshop: screwdriver, hammer, wrench, T and L profile, ring."""

from __future__ import annotations

import math

import numpy as np

from grasp_sim.objects.shapes import (
    assemble,
    axis_quat,
    box,
    cylinder,
    pick_colour,
    prism,
    shell_ring,
    uniform,
    yaw_quat,
)
from grasp_sim.objects.solids import PLASTIC, WOOD
from grasp_sim.objects.spec import ObjectSpec, Part

STEEL = [(0.62, 0.63, 0.65), (0.5, 0.51, 0.53), (0.72, 0.72, 0.7)]
ALUMINIUM = [(0.75, 0.76, 0.77), (0.55, 0.58, 0.62), (0.65, 0.5, 0.35)]


def screwdriver(rng: np.random.Generator) -> ObjectSpec:
    """Handle, shaft and flat blade, along x."""
    grip, grip_length = uniform(rng, 0.011, 0.016), uniform(rng, 0.075, 0.1)
    shaft, shaft_length = uniform(rng, 0.003, 0.004), uniform(rng, 0.05, 0.09)
    steel = pick_colour(rng, STEEL)
    ridge = np.array([[0.0, *xy] for xy in _polygon(grip, 6)])
    handle = np.concatenate([ridge, ridge + np.array([grip_length, 0, 0])])
    handle[:6, 1:] *= 0.8
    parts = [
        Part("mesh", vertices=handle),
        cylinder(
            shaft,
            shaft_length + 0.005,
            (grip_length + shaft_length / 2, 0, 0),
            "x",
            rgba=steel,
        ),
        box(
            0.012,
            2.2 * shaft,
            0.8 * shaft,
            (grip_length + shaft_length + 0.006, 0, 0),
            rgba=steel,
        ),
    ]
    colour = pick_colour(rng, PLASTIC)
    return assemble(
        rng,
        "screwdriver",
        parts,
        (900, 1500),
        colour,
        1.7 * grip,
        grip=grip,
        length=grip_length,
    )


def hammer(rng: np.random.Generator) -> ObjectSpec:
    """A wooden handle along x and a steel head across it."""
    grip, length = uniform(rng, 0.01, 0.014), uniform(rng, 0.13, 0.18)
    head, head_length = uniform(rng, 0.012, 0.016), uniform(rng, 0.07, 0.095)
    steel = pick_colour(rng, STEEL)
    parts = [
        Part("capsule", (grip, length / 2 - grip), (0.0, 0.0, 0.0), axis_quat("x")),
        cylinder(head, 0.6 * head_length, (length / 2, 0.2 * head_length, 0), "y", rgba=steel),
        box(
            1.6 * head,
            0.4 * head_length,
            1.6 * head,
            (length / 2, -0.3 * head_length, 0),
            rgba=steel,
        ),
    ]
    colour = pick_colour(rng, WOOD)
    return assemble(
        rng,
        "hammer",
        parts,
        (1200, 2200),
        colour,
        2 * grip,
        grip=grip,
        length=length,
        head=head,
    )


def wrench(rng: np.random.Generator) -> ObjectSpec:
    """A combination wrench lying flat: bar along x, ring at one end, open jaw at the other."""
    length, width, thick = (
        uniform(rng, 0.09, 0.13),
        uniform(rng, 0.015, 0.02),
        uniform(rng, 0.013, 0.017),
    )
    outer = width * uniform(rng, 0.85, 1.0)
    inner = 0.55 * outer
    parts = [box(length, width, 0.75 * thick)]
    for part in shell_ring((inner, outer, -thick / 2), (inner, outer, thick / 2), 12):
        parts.append(part.moved(np.array([length / 2 + 0.8 * outer, 0, 0])))
    root = -length / 2
    parts.append(
        prism(
            [
                [root + 0.002, -width / 2],
                [root + 0.002, width / 2],
                [root - 0.8 * width, 0.9 * width],
                [root - 0.8 * width, -0.9 * width],
            ],
            -thick / 2,
            thick / 2,
        )
    )
    for side in (-1, 1):
        parts.append(
            Part(
                "box",
                (0.45 * width, 0.22 * width, thick / 2),
                (root - 1.2 * width, side * 0.68 * width, 0.0),
                yaw_quat(side * 0.15),
            )
        )
    colour = pick_colour(rng, STEEL)
    return assemble(
        rng,
        "wrench",
        parts,
        (1800, 3500),
        colour,
        width,
        length=length,
        width=width,
        thickness=thick,
    )


def t_profile(rng: np.random.Generator) -> ObjectSpec:
    """A T section, extruded along x."""
    length, flange, web = (
        uniform(rng, 0.05, 0.12),
        uniform(rng, 0.04, 0.07),
        uniform(rng, 0.025, 0.05),
    )
    thick = uniform(rng, 0.009, 0.014)
    parts = [
        box(length, flange, thick, (0, 0, thick / 2)),
        box(length, thick, web, (0, 0, thick + web / 2)),
    ]
    colour = pick_colour(rng, ALUMINIUM + PLASTIC)
    return assemble(
        rng,
        "t_profile",
        parts,
        (700, 2000),
        colour,
        thick,
        length=length,
        flange=flange,
        web=web,
    )


def l_profile(rng: np.random.Generator) -> ObjectSpec:
    """An L bracket, extruded along x."""
    length, base, leg = (
        uniform(rng, 0.03, 0.1),
        uniform(rng, 0.04, 0.07),
        uniform(rng, 0.03, 0.07),
    )
    thick = uniform(rng, 0.009, 0.014)
    parts = [
        box(length, base, thick, (0, 0, thick / 2)),
        box(length, thick, leg, (0, -base / 2 + thick / 2, thick + leg / 2)),
    ]
    colour = pick_colour(rng, ALUMINIUM + PLASTIC)
    return assemble(
        rng,
        "l_profile",
        parts,
        (700, 2000),
        colour,
        thick,
        length=length,
        base=base,
        leg=leg,
    )


def ring(rng: np.random.Generator) -> ObjectSpec:
    """A round ring of capsules, lying flat."""
    tube, count = uniform(rng, 0.008, 0.011), 12
    major = uniform(rng, 0.026, 0.042)
    half = major * math.tan(math.pi / count)
    half_pi = math.sqrt(0.5)
    parts = []
    for k in range(count):
        angle = 2 * math.pi * k / count
        turn = yaw_quat(angle)
        # z to y first (a quarter turn about -x), then the yaw
        quat = (
            turn[0] * half_pi,
            -turn[0] * half_pi,
            -turn[3] * half_pi,
            turn[3] * half_pi,
        )
        parts.append(
            Part(
                "capsule",
                (tube, half),
                (major * math.cos(angle), major * math.sin(angle), 0.0),
                quat,
            )
        )
    colour = pick_colour(rng, PLASTIC + WOOD)
    return assemble(rng, "ring", parts, (500, 1200), colour, 2 * tube, tube=tube, major=major)


def _polygon(radius: float, count: int) -> np.ndarray:
    angles = np.arange(count) * 2 * np.pi / count
    return np.stack([radius * np.cos(angles), radius * np.sin(angles)], axis=1)
