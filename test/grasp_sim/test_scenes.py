"""Seeded scenes: at rest, inside, apart, and the same every time."""

import hashlib

import mujoco
import numpy as np
import pytest

from grasp_core import se3
from grasp_core.cell import Box, Cell
from grasp_core.errors import InputError
from grasp_sim import packing, scenes
from grasp_sim.objects import FAMILIES, ObjectSpec, Part
from grasp_sim.scenes import MAX_PENETRATION, Placing, Scene, lies_inside, pick_area, sample_scene
from grasp_sim.settling import settle


@pytest.fixture(scope="module")
def cell() -> Cell:
    return Cell.load("bin_picking")


def check(scene: Scene, n: int, cell: Cell) -> None:
    assert len(scene) == len(scene.objects) == n
    assert scene.poses.shape == (n, 4, 4)
    assert len({obj.name for obj in scene.objects}) == n
    assert se3.is_rotation(scene.poses[:, :3, :3]).all()
    for obj, pose in zip(scene.objects, scene.poses, strict=True):
        assert lies_inside(obj, pose, scene.area), obj.name
    still = settle(scene.objects, scene.poses, cell, scene.with_bin)
    assert still.penetration.max() <= MAX_PENETRATION
    # what lies at rest stays where it is
    assert np.linalg.norm((still.poses - scene.poses)[:, :3, 3], axis=1).max() < 0.003


@pytest.mark.parametrize("seed", range(5))
def test_bin_of_ten(cell: Cell, seed: int) -> None:
    scene = sample_scene("bin", 10, seed, cell)
    check(scene, 10, cell)
    assert scene.with_bin
    assert scene.area.min[2] == pytest.approx(cell.table.height + cell.bin.floor_thickness)


@pytest.mark.parametrize(("kind", "n"), [("pile", 6), ("packed", 6), ("single", 1), ("bin", 1), ("bin", 18)])
def test_other_kinds(cell: Cell, kind: str, n: int) -> None:
    scene = sample_scene(kind, n, 1, cell)
    check(scene, n, cell)
    assert scene.with_bin == (kind == "bin")


@pytest.mark.parametrize(("kind", "n"), [("bin", 6), ("pile", 4), ("packed", 5), ("single", 1)])
def test_same_arguments_same_scene_bit_for_bit(cell: Cell, kind: str, n: int) -> None:
    one, two = (sample_scene(kind, n, 11, cell) for _ in range(2))
    assert [obj.name for obj in one.objects] == [obj.name for obj in two.objects]
    assert [obj.mass for obj in one.objects] == [obj.mass for obj in two.objects]
    assert one.poses.tobytes() == two.poses.tobytes()
    other = sample_scene(kind, n, 12, cell)
    assert other.poses.tobytes() != one.poses.tobytes()


def test_packed_objects_stand_apart(cell: Cell) -> None:
    scene = sample_scene("packed", 7, 3, cell, families=["box", "can", "mug"])
    assert (scene.poses[:, 2, 2] > 0.99).all()
    spheres = np.array([np.linalg.norm(obj.extents[:2]) / 2 for obj in scene.objects])
    gaps = np.linalg.norm(scene.poses[:, None, :2, 3] - scene.poses[None, :, :2, 3], axis=2)
    smallest = np.array([obj.extents[:2].min() / 2 for obj in scene.objects])
    apart = gaps >= smallest[:, None] + smallest[None, :]
    assert (apart | np.eye(7, dtype=bool)).all()
    assert (gaps <= 0.5 + spheres.max()).all()


def test_families_and_extra_objects(cell: Cell) -> None:
    scene = sample_scene("bin", 6, 0, cell, families=["ball"])
    assert {obj.family for obj in scene.objects} == {"ball"}
    extra = FAMILIES["wrench"](np.random.default_rng(0))
    scene = sample_scene("pile", 3, 0, cell, families=(), extra_objects=[extra])
    assert [obj.name for obj in scene.objects] == ["wrench_00", "wrench_01", "wrench_02"]


def test_an_object_that_falls_outside_is_not_inside(cell: Cell) -> None:
    obj = FAMILIES["box"](np.random.default_rng(0))
    area = pick_area(cell, with_bin=True)
    centre = (area.min + area.max) / 2
    assert lies_inside(obj, se3.make(np.eye(3), centre), area)
    assert not lies_inside(obj, se3.make(np.eye(3), centre - [0.3, 0, 0]), area)
    assert not lies_inside(obj, se3.make(np.eye(3), centre - [0, 0, 0.5]), area)


def test_a_box_settles_flat_on_the_table(cell: Cell) -> None:
    obj = FAMILIES["box"](np.random.default_rng(5))
    start = se3.make(np.eye(3), [0.5, 0.0, 0.2])
    result = settle([obj], start[None], cell, with_bin=False)
    assert result.poses[0, 2, 3] == pytest.approx(cell.table.height + obj.extents[2] / 2, abs=5e-4)
    np.testing.assert_allclose(result.poses[0, :2, 3], [0.5, 0.0], atol=2e-3)


def test_an_unstable_simulation_is_not_taken_for_a_scene(cell: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    obj = FAMILIES["box"](np.random.default_rng(5))
    original = mujoco.mj_step

    def explode(model: mujoco.MjModel, data: mujoco.MjData, nstep: int) -> None:
        data.qvel[:] = np.inf
        original(model, data, nstep)

    monkeypatch.setattr(mujoco, "mj_step", explode)
    result = settle([obj], se3.make(np.eye(3), [0.5, 0.0, 0.2])[None], cell, with_bin=False)
    assert np.isinf(result.penetration).all()


@pytest.mark.parametrize(
    ("kind", "n", "message"),
    [
        ("heap", 3, "pile, packed, single, bin"),
        ("bin", 0, "at least 1"),
        ("single", 2, "single"),
        ("packed", 60, "fewer"),
    ],
)
def test_bad_requests_say_what_to_do(cell: Cell, kind: str, n: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        sample_scene(kind, n, 0, cell, families=["can"])


def test_bin_scene_needs_a_bin(cell: Cell) -> None:
    without = cell.model_copy(update={"bin": None})
    with pytest.raises(InputError, match="no bin"):
        sample_scene("bin", 3, 0, without)
    assert len(sample_scene("single", 1, 0, without)) == 1


def test_nothing_to_draw_from(cell: Cell) -> None:
    with pytest.raises(InputError, match="neither"):
        sample_scene("bin", 3, 0, cell, families=())


def test_settle_refuses_bad_starts(cell: Cell) -> None:
    obj = FAMILIES["box"](np.random.default_rng(5))
    for starts in (np.zeros((2, 4, 4)), np.full((1, 4, 4), np.nan)):
        with pytest.raises(InputError, match="start pose"):
            settle([obj], starts, cell, with_bin=False)


@pytest.mark.parametrize(
    ("kind", "n", "digest"),
    [
        ("bin", 10, "f349ff2fd041d92d"),
        ("pile", 6, "23afb29ec7225cf5"),
        ("packed", 6, "d8492cd9563ed1a6"),
        ("single", 1, "8ec402398279c861"),
    ],
)
def test_scenes_are_drawn_as_ever(cell: Cell, kind: str, n: int, digest: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The objects and where they start, before any physics: what a seed means must not change between versions."""

    class Started(Exception):
        pass

    def stop(objects: list[ObjectSpec], starts: np.ndarray, *args: object, **kwargs: object) -> None:
        raise Started(objects, starts)

    monkeypatch.setattr(scenes, "settle", stop)
    with pytest.raises(Started) as caught:
        sample_scene(kind, n, 1, cell)
    objects, starts = caught.value.args
    said = [f"{obj.name} {obj.mass:.9f}" for obj in objects]
    said += [f"{value:.6f}" for value in np.round(starts, 6).ravel() + 0.0]
    assert hashlib.sha256(" ".join(said).encode()).hexdigest()[:16] == digest


def brick(name: str, size: tuple[float, float, float]) -> ObjectSpec:
    return ObjectSpec(name, "brick", (Part("box", tuple(s / 2 for s in size)),), 0.2, 0.5, (1, 0, 0, 1), min(size))


def test_scale_and_friction_of_drawn_objects(cell: Cell) -> None:
    original = brick("mine", (0.04, 0.05, 0.06))
    placing = Placing(scale=(0.5, 0.8), friction=0.9)
    scene = sample_scene("pile", 5, 2, cell, families=(), extra_objects=[original], placing=placing)
    factors = [float(obj.metadata["scale"]) for obj in scene.objects]
    assert all(0.5 <= factor <= 0.8 for factor in factors)
    assert len(set(factors)) == 5
    for obj, factor in zip(scene.objects, factors, strict=True):
        np.testing.assert_allclose(obj.extents, factor * original.extents)
        assert obj.mass == pytest.approx(factor**3 * original.mass)
        assert obj.friction == 0.9
        assert obj.metadata["shape"] == "mine"
    check(scene, 5, cell)


def test_a_pile_is_dropped_within_half_of_the_middle(cell: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[np.ndarray] = []
    original = scenes.settle

    def spy(objects: list[ObjectSpec], starts: np.ndarray, *args: object, **kwargs: object) -> object:
        seen.append(np.array(starts))
        return original(objects, starts, *args, **kwargs)

    monkeypatch.setattr(scenes, "settle", spy)
    area = Box([0.35, -0.12, 0.0], [0.59, 0.12, 0.3])
    small = [brick("mine", (0.03, 0.03, 0.03))]
    scene = sample_scene("pile", 8, 0, cell, (), small, Placing(half=0.05), area)
    offsets = np.abs(seen[0][:, :2, 3] - [0.47, 0.0])
    assert offsets.max() <= 0.05
    assert offsets.max() > 0.03
    assert scene.area is area
    assert all(lies_inside(obj, pose, area) for obj, pose in zip(scene.objects, scene.poses, strict=True))


def test_packed_by_tries_leaves_out_what_has_no_room(cell: Cell) -> None:
    area = Box([0.35, -0.12, 0.0], [0.59, 0.12, 0.3])
    crowd = [brick("mine", (0.06, 0.06, 0.08))]
    placing = Placing(half=0.07, gap=0.0, tries=12)
    counts = []
    for seed in range(4):
        scene = sample_scene("packed", 5, seed, cell, (), crowd, placing, area)
        counts.append(len(scene))
        assert np.abs(scene.poses[:, :2, 3] - [0.47, 0.0]).max() < 0.071
        assert (scene.poses[:, 2, 2] > 0.999).all()
        check(scene, len(scene), cell)
    assert 1 < min(counts) < 5
    with pytest.raises(InputError, match="too large"):
        sample_scene("packed", 5, 0, cell, (), [brick("wide", (0.5, 0.5, 0.1))], placing, area)


def test_parts_stand_apart_where_their_boxes_overlap() -> None:
    legs = (Part("box", (0.05, 0.01, 0.02), (0.0, -0.04, 0.0)), Part("box", (0.01, 0.05, 0.02), (-0.04, 0.0, 0.0)))
    corner = ObjectSpec("corner", "corner", legs, 0.2, 0.5, (1, 0, 0, 1), 0.02)
    cube, pose = brick("cube", (0.03, 0.03, 0.03)), se3.make(np.eye(3), [0.0, 0.0, 0.02])
    spot = Box([0.0199, 0.0199, 0.0], [0.0201, 0.0201, 0.1])  # inside the corner's box, off its legs
    room = Box([-0.2, -0.2, 0.0], [0.2, 0.2, 0.1])
    beside = packing.footprint(cube, se3.make(np.eye(3), [0.02, 0.02, 0.0]))
    assert packing.polygon_gap(beside, packing.footprint(corner, pose)) < 0

    class Fixed:
        def uniform(self, low: object, high: object) -> object:
            return 0.0 if np.isscalar(low) else (spot.min + spot.max)[:2] / 2

    assert packing.try_place(Fixed(), cube, [corner], [pose], room, None, 0.0) is not None
    assert packing.try_place(Fixed(), cube, [corner], [pose], room, None, 0.036) is None
    assert packing.try_place(Fixed(), cube, [cube], [se3.make(np.eye(3), [0.04, 0.02, 0.015])], room, None, 0.0) is None
