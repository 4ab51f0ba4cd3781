"""What a benchmark run is asked for and what it writes: one JSON line per attempt, one per round.

A round is one scene with all attempts on it, and the unit of work: seeded by itself, independent of every other round,
written whole or not at all. Everything but ``timings_ms`` is the same for the same configuration, whoever computes it.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, fields
from typing import Any, TypeVar

from grasp_core.errors import InputError
from grasp_perception.detectors import DEFAULT

# Why an attempt ended as it did; "held" alone is a success.
HELD = "held"
BLOCKED = "approach_blocked"  # the hand could not get there
TOUCHED = "touched"  # it touched something on the way, under a protocol that forbids it
CLOSED_ON_NOTHING = "closed_on_nothing"
DROPPED_IN_LIFT = "dropped_in_lift"
DROPPED_IN_SHAKE = "dropped_in_shake"
SLIPPED = "slipped"  # held to the end, but not where it was gripped, under a protocol that minds
WRONG_OBJECT = "wrong_object"  # held, but not the target
UNPHYSICAL = "unphysical"
REASONS = (
    HELD,
    BLOCKED,
    TOUCHED,
    CLOSED_ON_NOTHING,
    DROPPED_IN_LIFT,
    DROPPED_IN_SHAKE,
    SLIPPED,
    WRONG_OBJECT,
    UNPHYSICAL,
)

# Why a round ended.
CLEARED = "cleared"
NO_GRASP = "no_grasp"
FAILURES = "failures"  # as many failures in a row as the protocol allows
ATTEMPTS = "attempts"  # as many attempts as the protocol allows
DETECTOR_ERROR = "detector_error"
DETECTOR_TIMEOUT = "detector_timeout"
WORKER_DIED = "worker_died"
SCENE_ERROR = "scene_error"
ENDINGS = (
    CLEARED,
    NO_GRASP,
    FAILURES,
    ATTEMPTS,
    DETECTOR_ERROR,
    DETECTOR_TIMEOUT,
    WORKER_DIED,
    SCENE_ERROR,
)


@dataclass(frozen=True)
class RunConfig:
    """All that determines a run's results. What is None is as the protocol has it.

    Attributes:
        protocol: name of a file in config/protocols, or a path.
        scene: pile, packed, bin, single or occluded.
        objects: name of an object set, or a folder of meshes.
        detector: a name for ``make_detector``, or one of the bed's own (oracle, top_down).
        detector_python: the Python that the detector runs in, in a process of its own; None: in the worker itself.
        count: objects in a scene.
        seed: of the run; round i uses nothing but (seed, i).
        detector_timeout: s of wall clock for one call.
        pictures: of failures, at most, in the whole run.
    """

    protocol: str = "seegrasp"
    scene: str = "pile"
    objects: str = "procedural"
    detector: str = DEFAULT
    detector_params: dict[str, Any] = field(default_factory=dict)
    detector_python: str | None = None
    gripper: str = "robotiq_2f85"
    rounds: int = 100
    count: int | None = None
    noise: str | None = None
    seed: int = 0
    detector_timeout: float = 60.0
    pictures: int = 24

    def key(self) -> str:
        """Digest of what must be equal for two runs to be one: all but the number of rounds and pictures."""
        values = {k: v for k, v in asdict(self).items() if k not in ("rounds", "pictures", "detector_timeout")}
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]

    def scene_key(self) -> str:
        """Digest of what must be equal for two runs to meet the same scenes, so that they can be compared in pairs."""
        names = ("protocol", "scene", "objects", "count", "noise", "seed", "gripper")
        return hashlib.sha256(json.dumps([getattr(self, n) for n in names]).encode()).hexdigest()[:16]


@dataclass
class Attempt:
    """One grasp that was tried.

    Attributes:
        round, index: which round, and the how manieth attempt in it.
        success: held to the end (and the target, where there is one).
        reason: one of REASONS.
        score, width, depth, stability: as the detector gave them; position (m) and quaternion (x, y, z, w) in base.
        grasps: how many the detector offered in this look.
        target: what was to be picked; empty where anything will do. expected: the object nearest to the grasp.
        held: what hung between the fingers at the end. touched: what the hand touched before it closed.
        moved: objects that were shifted by more than 1 cm and are not held; what was dropped is among them.
        slip: m that the held object moved in the hand from lifting on. opening: m between the pads when closed.
        penetration: deepest overlap of two bodies, m. unphysical: what was not believable, empty for nothing.
        timings_ms: wall clock, of look, detect, physics.
        picture: name of the file in pictures/.
    """

    round: int
    index: int
    success: bool
    reason: str
    score: float
    width: float
    depth: float
    stability: float
    position: list[float]
    quaternion: list[float]
    grasps: int = 0
    target: str = ""
    expected: str = ""
    held: list[str] = field(default_factory=list)
    touched: list[str] = field(default_factory=list)
    moved: list[str] = field(default_factory=list)
    slip: float | None = None
    opening: float | None = None
    penetration: float = 0.0
    unphysical: str = ""
    timings_ms: dict[str, float] = field(default_factory=dict)
    picture: str = ""


@dataclass
class Round:
    """One scene from its first look to its end.

    Attributes:
        objects: names of all objects in the scene, in order. families: of each. cleared: taken out by grasps.
        lost: left the workspace in another way; they count as not cleared.
        target: of a target-driven scene; occlusion: hidden share of its pixels in the first look, 0 to 1.
        ended: one of ENDINGS. error: the message that came with it.
        looks, skips: how often the detector was asked; how often it found nothing and got a new view.
        first: of the first look: grasps, points, visible objects, covered objects (with at least one grasp), grasps per
            visible object, covered share of the visible surface, ``ap`` (mean over k and friction) and ``ap_mu``
            (friction -> mean over k).
        timings_ms: wall clock, of settling, looking, detecting (each call), physics.
    """

    round: int
    scene_seed: int
    objects: list[str]
    families: list[str]
    cleared: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    target: str = ""
    occlusion: float | None = None
    ended: str = ""
    error: str = ""
    looks: int = 0
    skips: int = 0
    first: dict[str, Any] = field(default_factory=dict)
    timings_ms: dict[str, Any] = field(default_factory=dict)


@dataclass
class RoundResult:
    """A finished round: its line, the lines of its attempts, and pictures by file name (PNG or JPEG bytes)."""

    round: Round
    attempts: list[Attempt] = field(default_factory=list)
    pictures: dict[str, bytes] = field(default_factory=dict)


Record = TypeVar("Record", Attempt, Round, RunConfig)


def to_line(record: Attempt | Round | RunConfig) -> str:
    """One JSON line, without the line's end; InputError when a number is NaN or infinite."""
    try:
        return json.dumps(asdict(record), allow_nan=False)
    except ValueError as error:
        raise InputError(f"a {type(record).__name__} with NaN or infinity cannot be written: {record}") from error


def from_dict(data: dict[str, Any], kind: type[Record]) -> Record:
    """Inverse of ``to_line`` after ``json.loads``; InputError on missing or unknown keys."""
    try:
        return kind(**data)
    except TypeError as error:
        known = ", ".join(f.name for f in fields(kind))
        raise InputError(f"not a {kind.__name__}: {error}; expected the keys {known}") from error


def untimed(record: Attempt | Round) -> dict[str, Any]:
    """The record without its wall-clock times: what must be equal between two runs."""
    return {k: v for k, v in asdict(record).items() if k != "timings_ms"}
