"""Seeded scenes: at rest, inside, apart, and the same every time."""

import mujoco
import numpy as np
import pytest

from grasp_core import se3
from grasp_core.cell import Cell
from grasp_core.errors import InputError
from grasp_sim.objects import FAMILIES
from grasp_sim.scenes import MAX_PENETRATION, Scene, lies_inside, pick_area, sample_scene
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
