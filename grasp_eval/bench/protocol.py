"""Benchmark protocols: the rules of the field by name, one YAML file each in config/protocols."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator
from typing_extensions import Self

from grasp_core import config
from grasp_core.errors import ConfigError

Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Span = tuple[float, float]
Scene = Literal["pile", "packed", "bin", "single", "occluded"]


class SceneRules(config.StrictModel):
    """How the objects of one kind of scene are chosen and placed; lengths in m.

    Attributes:
        count: objects.
        scale: range of a factor on every object's size, uniform.
        half: objects are dropped (pile) or stood up with their centres (packed) within this distance of the middle in x
            and in y; None: anywhere in the workspace, but a pile within a patch that grows with the number of objects.
        gap: least distance between footprints (packed).
        tries: attempts at standing up another object (packed); what has no room is left out. None: until all stand.
    """

    count: Annotated[int, Field(ge=1)]
    scale: Span = (1.0, 1.0)
    half: Positive | None = None
    gap: NonNegative = 0.012
    tries: Annotated[int, Field(ge=1)] | None = None


class Views(config.StrictModel):
    """Where the camera stands: on a sphere around a point above the middle of the workspace, looking at that point.

    Attributes:
        height: of that point above the table, in workspace edges.
        count: pictures that make one look; their clouds are merged. They are spread evenly in azimuth from a random one
            where count > 1.
        radius: range, in workspace edges. polar: range of the angle from straight down, deg. azimuth: range, deg.
    """

    count: Annotated[int, Field(ge=1)] = 1
    radius: tuple[Positive, Positive]
    polar: tuple[NonNegative, NonNegative]
    azimuth: Span = (0.0, 360.0)
    height: float = 0.0


class Motion(config.StrictModel):
    """How a grasp is executed; m, m/s, deg.

    Attributes:
        approach: straight distance before the grasp. retreat: after closing.
        speed: of the hand.
        lift_above: a hand tilted by more than this from straight down is lifted upwards, others draw back along their
            approach; 0: always upwards.
        touch: what touching something before closing does: fail, fail only where the approach starts (start), or
            nothing but being written down (record).
        contact: push: the hand goes on against little force, and is blocked where it meets more; stop: it stops at the
            first contact and closes there.
        shake: whether the object is shaken about two axes after the lift.
        max_slip: what moves farther than this in the hand counts as slipped, not as held; None: no limit.
    """

    approach: Positive = 0.05
    retreat: Positive = 0.10
    speed: Positive = 0.10
    lift_above: NonNegative = 0.0
    touch: Literal["fail", "start", "record"] = "record"
    contact: Literal["push", "stop"] = "push"
    shake: bool = True
    max_slip: Positive | None = None


class Protocol(config.StrictModel):
    """Model of ``config/protocols/*.yaml``.

    Attributes:
        source: where the rules come from. deviations: where ours differ, in words.
        workspace: edge of the cube above the table that counts, m; its middle is the origin of the base frame.
        scenes: kinds of scenes and their rules.
        camera: a profile in config/cameras. noise: a mode of grasp_sim.noise, or None: the profile's.
        friction: of every object, instead of its own; None: its own.
        skips: new views that a detector may ask for in a row, by finding nothing, before the round ends.
        max_failures: so many failures in a row end the round; None: no limit.
        max_attempts: per object of the scene.
        choice: which grasp is tried: the best, or a random one of those with at least min_score.
        repeats: whether a grasp within 1.5 cm of one that failed on an unchanged scene may be tried again.
    """

    name: str
    source: str
    deviations: str = ""
    workspace: Positive = 0.30
    scenes: dict[Scene, SceneRules]
    camera: str
    noise: str | None = None
    views: Views
    friction: Positive | None = None
    skips: Annotated[int, Field(ge=0)] = 0
    max_failures: Annotated[int, Field(ge=1)] | None = 2
    max_attempts: Annotated[int, Field(ge=1)] = 4
    choice: Literal["best", "random"] = "best"
    min_score: NonNegative = 0.0
    repeats: bool = True
    motion: Motion = Motion()

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        for name in ("radius", "polar", "azimuth"):
            low, high = getattr(self.views, name)
            if low > high:
                raise ValueError(f"views.{name}: expected low <= high, got {low} and {high}")
        return self

    @classmethod
    def load(cls, name: str) -> Protocol:
        """Load by shipped name or path of a YAML file; raises ConfigError."""
        return config.load_model(config.find("protocols", name), cls)

    def rules(self, scene: str) -> SceneRules:
        """The rules of a kind of scene; ConfigError when the protocol has none."""
        if scene not in self.scenes:
            raise ConfigError(f"protocol {self.name!r} has no scene {scene!r}; it has {', '.join(self.scenes)}")
        return self.scenes[scene]
