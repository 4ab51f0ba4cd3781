"""Families of long, heavy things: bar, mallet, club. Where they are held decides whether they stay in the hand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from grasp_sim.objects.parts_bin import ALUMINIUM, STEEL
from grasp_sim.objects.shapes import assemble, box, cylinder, frustum, pick_colour, uniform
from grasp_sim.objects.solids import WOOD
from grasp_sim.objects.spec import ObjectSpec

MASS = (0.2, 0.8)  # kg
DENSITY = (1200.0, 2800.0)  # kg/m3, hard plastic to aluminium


def bar(rng: np.random.Generator) -> ObjectSpec:
    """A solid bar; its middle is its centre of mass."""
    length, width, height = uniform(rng, 0.17, 0.25), uniform(rng, 0.022, 0.045), uniform(rng, 0.022, 0.045)
    part = box(length, width, height)
    colour = pick_colour(rng, STEEL + ALUMINIUM)
    return assemble(rng, "bar", [part], DENSITY, colour, min(width, height), mass=MASS, length=length)


def mallet(rng: np.random.Generator) -> ObjectSpec:
    """A handle along x and a thick head across its end, in which most of the mass is."""
    grip, length = uniform(rng, 0.011, 0.015), uniform(rng, 0.16, 0.21)
    head, across = uniform(rng, 0.04, 0.055), uniform(rng, 0.06, 0.09)
    parts = [
        cylinder(grip, length, axis="x", rgba=pick_colour(rng, WOOD)),
        box(head, across, head, (length / 2 + head / 2, 0.0, 0.0)),
    ]
    colour = pick_colour(rng, STEEL)
    return assemble(rng, "mallet", parts, DENSITY, colour, 2 * grip, mass=MASS, length=length, head=head)


def club(rng: np.random.Generator) -> ObjectSpec:
    """A long cone stump; its centre of mass is near the thick end."""
    thin, thick, length = uniform(rng, 0.011, 0.014), uniform(rng, 0.024, 0.032), uniform(rng, 0.18, 0.25)
    part = frustum(thick, thin, 0.0, length)
    colour = pick_colour(rng, WOOD + ALUMINIUM)
    return assemble(rng, "club", [part], DENSITY, colour, 2 * thin, mass=MASS, length=length, thick=thick)


LONG: dict[str, Callable[[np.random.Generator], ObjectSpec]] = {"bar": bar, "mallet": mallet, "club": club}
