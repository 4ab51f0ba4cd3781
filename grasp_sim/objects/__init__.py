"""Procedural objects of household and bin-picking size, each built of convex parts.

`sample_object(rng)` draws one; `FAMILIES` maps a family's name to its generator; `add_object` puts one into a model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from grasp_core.errors import InputError
from grasp_sim.objects import parts_bin, solids, vessels
from grasp_sim.objects.mjcf import add_object
from grasp_sim.objects.spec import ObjectSpec, Part

FAMILIES: dict[str, Callable[[np.random.Generator], ObjectSpec]] = {
    make.__name__: make
    for make in (
        solids.box,
        solids.cylinder,
        solids.cone,
        solids.ball,
        solids.superquadric,
        solids.blob,
        solids.egg_cup,
        vessels.bottle,
        vessels.can,
        vessels.carton,
        vessels.mug,
        vessels.bowl,
        vessels.plate,
        parts_bin.screwdriver,
        parts_bin.hammer,
        parts_bin.wrench,
        parts_bin.t_profile,
        parts_bin.l_profile,
        parts_bin.ring,
    )
}


def sample_object(rng: np.random.Generator, families: Sequence[str] | None = None) -> ObjectSpec:
    """Draw an object of a random family (all, or the named ones); InputError names an unknown family."""
    names = list(FAMILIES) if families is None else list(families)
    unknown = [name for name in names if name not in FAMILIES]
    if unknown or not names:
        raise InputError(f"unknown object families {unknown}: expected one or more of {', '.join(FAMILIES)}")
    return FAMILIES[names[int(rng.integers(len(names)))]](rng)


__all__ = ["FAMILIES", "ObjectSpec", "Part", "add_object", "sample_object"]
