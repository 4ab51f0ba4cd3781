"""What the labels of an object depend on, as one digest, so that labels of another recipe are never used."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass

from grasp_core.gripper import Gripper
from grasp_perception.dense.template import ANGLES, DEPTHS, VIEWS
from grasp_sim.objects import ObjectSpec

HAND = {"max_width", "min_width", "finger", "knuckles", "palm"}  # of a gripper's profile: what labels depend on
CODE_VERSION = 1  # raise it whenever the same recipe would give other labels


@dataclass(frozen=True)
class Recipe:
    """shape: digest of the object's parts. spacing: m. gripper: see ``hand_of``. code: CODE_VERSION."""

    name: str
    shape: str
    spacing: float
    gripper: str
    code: int = CODE_VERSION
    template: tuple[int, int, tuple[float, ...]] = (VIEWS, ANGLES, DEPTHS)

    @classmethod
    def of(cls, spec: ObjectSpec, gripper: Gripper, spacing: float) -> Recipe:
        """The recipe of an object's labels."""
        return cls(spec.name, shape_digest(spec), float(spacing), hand_of(gripper))

    @property
    def digest(self) -> str:
        """SHA-256 in hexadecimal."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


def hand_of(gripper: Gripper) -> str:
    """The shape of a gripper as JSON: not how it is driven, nor what it is called."""
    return gripper.model_dump_json(include=HAND)


def shape_digest(spec: ObjectSpec) -> str:
    """SHA-256 of all parts, with their dimensions and poses, and of where the centre of mass is."""
    whole = hashlib.sha256(spec.centre_of_mass.tobytes())
    for part in spec.parts:
        whole.update(repr((part.kind, part.size, part.position, part.quaternion)).encode())
        if part.vertices is not None:
            whole.update(part.vertices.astype("<f8").tobytes())
    return whole.hexdigest()
