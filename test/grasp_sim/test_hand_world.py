"""The free hand: what it holds, drops, touches and refuses, in scenes whose outcome is known."""

from __future__ import annotations

import numpy as np
import pytest

from grasp_core import se3
from grasp_core.cell import Cell
from grasp_core.errors import InputError
from grasp_core.gripper import Gripper
from grasp_sim.hand_attempt import HandMotion, attempt
from grasp_sim.hand_world import HandWorld, Watch
from grasp_sim.objects import ObjectSpec, Part

DOWN = np.diag([1.0, -1.0, -1.0])
TABLE = Cell.model_validate(
    {
        "name": "table",
        "arm": "ur5e",
        "gripper": "robotiq_2f85",
        "base_frame": "base_link",
        "workspace": {"min": [-0.2, -0.2, -0.02], "max": [0.2, 0.2, 0.3]},
        "table": {"height": 0.0, "min": [-0.5, -0.5], "max": [0.5, 0.5]},
        "cameras": [],
    }
)
GRIPPER = Gripper.load("robotiq_2f85")


def block(name: str, x: float, y: float, z: float, mass: float = 0.2) -> ObjectSpec:
    part = Part("box", (x / 2, y / 2, z / 2))
    return ObjectSpec(name, "box", (part,), mass, 0.6, (0.5, 0.5, 0.5, 1.0), min(x, y))


def standing(obj: ObjectSpec, x: float = 0.0, y: float = 0.0) -> np.ndarray:
    return se3.make(np.eye(3), [x, y, -obj.bounds[0, 2]])


def world_of(*placed: tuple[ObjectSpec, float, float], **kwargs) -> HandWorld:
    objects = [obj for obj, _, _ in placed]
    poses = np.array([standing(obj, x, y) for obj, x, y in placed]).reshape(-1, 4, 4)
    return HandWorld(GRIPPER, objects, poses, TABLE, **kwargs)


def above(x: float, y: float, z: float, R: np.ndarray = DOWN) -> np.ndarray:
    return se3.make(R, [x, y, z])


def test_a_block_between_the_fingers_is_held_through_lift_and_shake():
    world = world_of((block("a", 0.04, 0.04, 0.08), 0.0, 0.0))
    trace = attempt(world, above(0.0, 0.0, 0.04), 0.08, HandMotion())
    assert trace.held == trace.lifted == trace.gripped == ["a"]
    assert not trace.touched
    assert not trace.blocked
    assert not trace.unphysical
    assert trace.opening == pytest.approx(0.04, abs=0.001)
    assert trace.slip < 0.002
    assert trace.penetration < 0.001
    assert world.object_poses()["a"][2, 3] == pytest.approx(0.04 + 0.10, abs=0.005)


def test_next_to_the_block_the_fingers_close_on_nothing():
    world = world_of((block("a", 0.04, 0.04, 0.08), 0.12, 0.0))
    trace = attempt(world, above(0.0, 0.0, 0.04), 0.08, HandMotion())
    assert not trace.gripped
    assert not trace.held
    assert trace.opening < 0.002
    assert world.object_poses()["a"][:3, 3] == pytest.approx([0.12, 0.0, 0.04], abs=1e-3)


def test_a_block_wider_than_the_opening_stops_the_hand():
    world = world_of((block("a", 0.10, 0.10, 0.08), 0.0, 0.0))
    trace = attempt(world, above(0.0, 0.0, 0.04), 0.08, HandMotion())
    assert "stops" in trace.blocked
    assert trace.touched == ["a"]
    assert not trace.held
    assert not trace.unphysical


def test_a_hand_that_would_start_inside_something_does_not_start():
    world = world_of((block("a", 0.10, 0.10, 0.20), 0.0, 0.0))
    before = world.object_poses()["a"]
    trace = attempt(world, above(0.0, 0.0, 0.04), 0.08, HandMotion())
    assert "inside a" in trace.blocked
    assert trace.start_touched == ["a"]
    assert np.array_equal(world.object_poses()["a"], before)


def test_too_heavy_a_block_slips_out():
    world = world_of((block("a", 0.04, 0.04, 0.08, mass=12.0), 0.0, 0.0))
    trace = attempt(world, above(0.0, 0.0, 0.04), 0.08, HandMotion())
    assert trace.gripped == ["a"]
    assert not trace.held


def test_without_friction_nothing_is_lifted():
    world = world_of((block("a", 0.04, 0.04, 0.08), 0.0, 0.0), friction=0.01)
    trace = attempt(world, above(0.0, 0.0, 0.04), 0.08, HandMotion())
    assert trace.gripped == ["a"]
    assert not trace.lifted


def test_held_at_its_end_a_long_bar_turns_more_than_held_in_its_middle():
    slips = []
    for x in (0.0, 0.08):
        world = world_of((block("bar", 0.20, 0.03, 0.03, mass=0.4), 0.0, 0.0))
        across = se3.rpy_matrix(0.0, 0.0, np.pi / 2) @ DOWN
        trace = attempt(world, above(x, 0.0, 0.012, across), 0.06, HandMotion())
        slips.append(np.inf if trace.slip is None else trace.slip)
    assert slips[0] < 0.003
    assert slips[1] > 3 * slips[0]


@pytest.mark.parametrize(("touch", "forbidden"), [("record", False), ("start", False), ("fail", True)])
def test_touching_on_the_way_ends_the_attempt_only_where_that_is_forbidden(touch: str, forbidden: bool):
    ball = ObjectSpec("b", "ball", (Part("sphere", (0.02,)),), 0.05, 0.6, (0.5, 0.5, 0.5, 1.0), 0.04)
    world = world_of((block("a", 0.04, 0.04, 0.08), 0.0, 0.0), (ball, 0.063, 0.0))  # in the right finger's way
    trace = attempt(world, above(0.0, 0.0, 0.02), 0.07, HandMotion(touch=touch, approach=0.06))
    assert "b" in trace.touched
    assert trace.forbidden is forbidden
    assert bool(trace.gripped) is not forbidden


def test_a_hand_that_stops_at_the_first_contact_closes_there():
    world = world_of((block("a", 0.10, 0.04, 0.08), 0.0, 0.0))
    trace = attempt(world, above(0.0, 0.0, 0.04), 0.08, HandMotion(contact="stop"))
    assert trace.touched == ["a"]
    assert not trace.blocked
    assert trace.opening == pytest.approx(0.0, abs=0.002)  # above it
    assert not trace.lifted


def test_what_was_lifted_along_without_being_held_is_written_down():
    below, on_top = block("a", 0.04, 0.04, 0.06), block("b", 0.02, 0.02, 0.02)
    poses = np.array([standing(below), se3.make(np.eye(3), [0.0, 0.0, 0.0702])])
    world = HandWorld(GRIPPER, [below, on_top], poses, TABLE)
    trace = attempt(world, above(0.0, 0.0, 0.03), 0.08, HandMotion())
    assert trace.held == ["a"]
    assert trace.moved == ["b"]


def test_a_tilted_hand_lifts_upwards_only_beyond_the_limit():
    tilted = se3.rpy_matrix(0.0, np.deg2rad(40.0), 0.0) @ DOWN
    ends = []
    for lift_above in (0.0, np.deg2rad(60.0)):
        world = world_of((block("a", 0.03, 0.03, 0.10), 0.0, 0.0))
        attempt(world, above(0.0, 0.0, 0.06, tilted), 0.08, HandMotion(lift_above=lift_above, shake=False))
        ends.append(world.T_base_hand()[:3, 3])
    assert ends[0] == pytest.approx([0.0, 0.0, 0.16], abs=0.005)
    assert ends[1] == pytest.approx(np.array([0.0, 0.0, 0.06]) - 0.10 * tilted[:, 2], abs=0.005)


def test_the_hand_gives_way_instead_of_crushing_what_it_meets():
    world = world_of((block("a", 0.10, 0.10, 0.02, mass=0.05), 0.0, 0.0))
    trace = attempt(world, above(0.0, 0.0, 0.005), 0.08, HandMotion())
    assert trace.blocked
    assert trace.penetration < 0.002


def test_the_same_attempt_twice_gives_the_same_to_the_last_bit():
    traces, poses = [], []
    for _ in range(2):
        world = world_of((block("a", 0.04, 0.04, 0.08), 0.0, 0.0), (block("b", 0.03, 0.03, 0.05), 0.06, 0.01))
        traces.append(attempt(world, above(0.005, 0.0, 0.03), 0.08, HandMotion()))
        poses.append(world.object_poses())
    assert traces[0] == traces[1]
    assert all(np.array_equal(poses[0][name], poses[1][name]) for name in poses[0])


def test_restoring_takes_back_what_an_attempt_did():
    world = world_of((block("a", 0.04, 0.04, 0.08), 0.0, 0.0), (block("b", 0.03, 0.03, 0.05), 0.10, 0.0))
    state, poses = world.save(), world.object_poses()
    first = attempt(world, above(0.0, 0.0, 0.04), 0.08, HandMotion())
    world.restore(state)
    assert all(np.allclose(world.object_poses()[n], poses[n], atol=1e-12) for n in poses)
    assert attempt(world, above(0.0, 0.0, 0.04), 0.08, HandMotion()).held == first.held


def test_what_was_taken_out_is_gone_and_stays_gone():
    world = world_of((block("a", 0.04, 0.04, 0.08), 0.0, 0.0), (block("b", 0.03, 0.03, 0.05), 0.10, 0.0))
    state = world.save()
    world.remove(["a"])
    assert list(world.objects) == list(world.object_poses()) == ["b"]
    trace = attempt(world, above(0.0, 0.0, 0.04), 0.08, HandMotion())
    assert not trace.gripped
    world.restore(state)
    assert list(world.objects) == ["b"]
    assert not attempt(world, above(0.0, 0.0, 0.04), 0.08, HandMotion()).gripped


def test_what_has_left_the_workspace_is_not_judged():
    world = world_of((block("a", 0.04, 0.04, 0.08), 0.0, 0.0))
    world.data.qpos[world._qpos["a"] : world._qpos["a"] + 3] = [0.8, 0.0, 0.1]
    watch = Watch()
    world.run(0.36, watch)
    assert world.data.qvel[world._dof["a"] + 2] < -3.0
    assert not watch.unphysical
    world.model.geom_solref[:, 0] = 1.0
    world.data.qpos[world._qpos["a"] : world._qpos["a"] + 3] = [0.4, 0.0, 0.036]
    world.data.qvel[world._dof["a"] : world._dof["a"] + 6] = 0.0
    world.run(0.1, watch)
    assert watch.penetration > 0.002
    assert not watch.unphysical


def test_overlap_that_lasts_and_flight_are_called_unphysical():
    world = world_of((block("a", 0.04, 0.04, 0.08, mass=0.1), 0.0, 0.0))
    world.data.qvel[world._dof["a"] + 2] = 8.0
    watch = Watch()
    world.run(0.02, watch)
    assert "flies" in watch.unphysical
    obj = block("a", 0.04, 0.04, 0.08)
    sunk = HandWorld(GRIPPER, [obj], se3.make(np.eye(3), [0.0, 0.0, 0.036])[None], TABLE)
    sunk.model.geom_solref[:, 0] = 1.0  # a table like dough
    watch = Watch()
    sunk.run(0.1, watch)
    assert "a and table overlap" in watch.unphysical or "table and a overlap" in watch.unphysical
    assert watch.penetration > 0.002


def test_scenes_with_one_name_twice_or_without_poses_are_refused():
    obj = block("a", 0.04, 0.04, 0.08)
    with pytest.raises(InputError, match="different names"):
        HandWorld(GRIPPER, [obj, obj], np.array([standing(obj), standing(obj, 0.1)]), TABLE)
    with pytest.raises(InputError, match="one pose per object"):
        HandWorld(GRIPPER, [obj], np.zeros((0, 4, 4)), TABLE)
