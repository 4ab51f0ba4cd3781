"""The ROS-free parts: what is held, what failed before, where to put down, which candidate, how stages run."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arm_control.cancel import CancelToken
from arm_control.drop import DropSpots
from arm_control.held import estimate_held, extent_below, largest_held, minimal_held, support_height
from arm_control.memory import FailedGrasps
from arm_control.moves import Target, around_gripper, named_pose
from arm_control.planning import HeldObject
from arm_control.stages.context import ArmContext, GraspSettings
from arm_control.stages.place import over_spot, pointing_down
from arm_control.stages.plan import plan
from arm_control.stages.result import Stage, run_stage, run_stages, timings
from grasp_core import se3
from grasp_core.errors import ConfigError, ErrorCode, PlanningError, SeegraspError
from grasp_core.grasps import Grasps
from test.arm_control.fakes import CELL, DOWN, GRIPPER, TOP, FakePlanner, box_cloud, floor_cloud, grasps_on_box
from test.grasp_core.strategies import rotations

FLOOR = 0.006


def corners(held: HeldObject) -> tuple[np.ndarray, np.ndarray]:
    return held.centre - held.size / 2, held.centre + held.size / 2


# held object


def test_held_box_covers_what_is_seen_and_reaches_down_to_the_floor():
    T = se3.make(DOWN, TOP - [0, 0, 0.02])
    low, high = corners(estimate_held(box_cloud(), T, 0.04, GRIPPER, FLOOR))
    assert (low[:2] <= -0.02).all()
    assert (high[:2] >= 0.02).all()
    assert (high[:2] < 0.035).all()  # the floor is not taken in
    assert low[2] <= -0.02  # its top is above the fingertips
    assert 0.020 <= high[2] <= 0.026  # and the floor 20 mm below


def test_held_box_stops_at_a_surface_that_is_seen_around_it():
    raised = floor_cloud() + np.float32([0, 0, 0.03])
    assert support_height(raised, TOP, FLOOR) == pytest.approx(0.036)
    assert support_height(np.zeros((0, 3)), TOP, FLOOR) == FLOOR
    T = se3.make(DOWN, [*TOP[:2], 0.05])
    top = box_cloud()[len(floor_cloud()) :] + np.float32([0, 0, 0.03])
    held = estimate_held(np.concatenate([raised, top]), T, 0.04, GRIPPER, FLOOR)
    assert extent_below(held) == pytest.approx(0.014 + 0.005, abs=2e-3)


@given(R=rotations, points=st.integers(0, 2**31), width=st.floats(0.001, 0.085))
def test_held_box_is_limited_and_holds_at_least_what_the_pads_span(R, points, width):
    cloud = np.random.default_rng(points).uniform([0.3, -0.2, 0.0], [0.7, 0.2, 0.3], (400, 3)).astype(np.float32)
    held = estimate_held(cloud, se3.make(R, [0.5, 0.0, 0.1]), width, GRIPPER, FLOOR)
    low, high = corners(held)
    inner, outer = corners(minimal_held(width, GRIPPER)), corners(largest_held(GRIPPER))
    assert (low <= inner[0] + 1e-9).all()
    assert (high >= inner[1] - 1e-9).all()
    assert (low >= outer[0] - 0.0051).all()
    assert (high <= outer[1] + 0.0051).all()


def test_box_around_the_gripper_contains_fingers_and_object():
    held = HeldObject(np.array([0.0, 0.0, 0.05]), np.array([0.02, 0.02, 0.1]))
    box = around_gripper(FakePlanner(), np.zeros(6), 0.06, GRIPPER, held)
    T = FakePlanner().fk(np.zeros(6))
    inside = se3.transform(T, np.array([[0.04, 0.0, -0.01], [0.0, 0.0, 0.11], [0.0, 0.0, -0.15]]))
    outside = se3.transform(T, np.array([[0.2, 0.0, 0.0], [0.0, 0.0, 0.14]]))
    assert box.contains(inside).all()
    assert not box.contains(outside).any()


# failed grasps


@given(R=rotations, shift=st.floats(0.0, 0.03), turn=st.floats(0.0, 0.8), half=st.booleans())
def test_failed_grasps_are_known_again_within_15_mm_and_20_degrees(R, shift, turn, half):
    turned = R @ se3.exp_so3([turn, 0.0, 0.0]) @ (np.diag([-1.0, -1.0, 1.0]) if half else np.eye(3))
    failed = FailedGrasps()
    failed.remember(Grasps.create(R[None], np.zeros((1, 3)), np.array([0.05])))
    again = Grasps.create(turned[None], np.array([[0.0, shift, 0.0]]), np.array([0.05]))
    if abs(shift - 0.015) > 1e-4 and abs(turn - np.deg2rad(20)) > 1e-3:
        assert failed.unknown(again)[0] == (shift > 0.015 or turn > np.deg2rad(20))
    failed.forget()
    assert failed.unknown(again).all()


# drop spots


def test_drop_spots_lie_in_the_tray_and_take_turns():
    spots = DropSpots(CELL)
    seen = []
    for _ in range(len(spots)):
        spot = spots.ordered()[0]
        assert (np.abs(np.subtract(spot.xy, CELL.tray.center)) <= np.array(CELL.tray.size) / 2 - 0.05).all()
        assert spot.base == pytest.approx(spots.floor)
        spots.placed(spot, 0.05)
        seen.append(spot.index)
    assert sorted(seen) == list(range(len(spots)))
    assert spots.ordered()[0].index == seen[0]
    assert spots.ordered()[0].base == pytest.approx(spots.floor + 0.025)
    spots.clear()
    assert spots.ordered()[0].base == pytest.approx(spots.floor)


def test_cell_without_a_tray_has_no_spots():
    with pytest.raises(ConfigError, match="tray"):
        DropSpots(CELL.model_copy(update={"tray": None}))


def test_pointing_down():
    T = pointing_down(0.1, 0.2, 0.3, 0.4)
    assert np.allclose(T[:3, 2], [0, 0, -1])
    assert np.allclose(T[:3, 0], [np.cos(0.4), np.sin(0.4), 0])


@given(
    x=st.floats(-0.03, 0.03),
    size=st.tuples(*[st.floats(0.01, 0.16)] * 2),
    yaw=st.sampled_from([0.0, np.pi / 2]),
    at=st.tuples(st.floats(0.0, 0.6), st.floats(0.2, 0.8)),
)
def test_object_is_put_down_inside_the_tray(x, size, yaw, at):
    spots = DropSpots(CELL)
    held = HeldObject(np.array([x, 0.0, 0.03]), np.array([*size, 0.06]))
    T = over_spot(spots.inside, at, 0.2, yaw, held)
    corners = se3.transform(
        T, np.array([[a, b, 0.0] for a in (-0.5, 0.5) for b in (-0.5, 0.5)]) * held.size + held.centre
    )
    assert (corners[:, :2] >= spots.inside.min[:2] + 0.0199).all()
    assert (corners[:, :2] <= spots.inside.max[:2] - 0.0199).all()


def test_object_larger_than_the_tray_is_centred_over_it():
    held = HeldObject(np.zeros(3), np.array([0.5, 0.5, 0.1]))
    T = over_spot(DropSpots(CELL).inside, (0.1, 0.4), 0.2, 0.0, held)
    assert np.allclose(T[:2, 3], CELL.tray.center)


# targets


def test_named_poses_of_cell_and_arm():
    from test.arm_control.fakes import ARM

    assert np.allclose(named_pose("observe", CELL, ARM), CELL.poses["observe"])
    assert np.allclose(named_pose("home", CELL, ARM), ARM.poses["home"])
    with pytest.raises(PlanningError, match=r"home.*observe") as error:
        named_pose("moon", CELL, ARM)
    assert error.value.code == ErrorCode.INVALID_GOAL
    short = CELL.model_copy(update={"poses": {"observe": (0.0,)}})
    with pytest.raises(PlanningError, match="1 joints"):
        named_pose("observe", short, ARM)
    assert Target.at(np.eye(4), linear=True).kind == 3


# plan


def context(planner: FakePlanner, grasps: Grasps, **settings) -> ArmContext:
    joints = SimpleNamespace(arm=lambda: SimpleNamespace(q=np.zeros(6)))
    return ArmContext(
        planner, None, None, joints, GRIPPER, CELL, grasps, box_cloud(), settings=GraspSettings(**settings)
    )


def test_plan_goes_down_the_list_across_chunks():
    planner = FakePlanner()
    planner.refuse = [ErrorCode.UNREACHABLE] * 6
    ctx = context(planner, grasps_on_box(9))
    said = plan(ctx)
    assert (ctx.planned, ctx.tried) == (6, 7)
    assert np.allclose(ctx.plan.T_base_tcp[:3, 3], ctx.candidates.t[6])
    assert "6 UNREACHABLE" in said


def test_plan_gives_the_most_frequent_reason_and_keeps_to_its_time():
    planner = FakePlanner()
    planner.refuse = [ErrorCode.NO_PATH, ErrorCode.UNREACHABLE, ErrorCode.UNREACHABLE]
    with pytest.raises(PlanningError, match=r"2 UNREACHABLE, 1 NO_PATH.*such as: fake UNREACHABLE") as error:
        plan(context(planner, grasps_on_box(3)))
    assert error.value.code == ErrorCode.UNREACHABLE
    with pytest.raises(PlanningError) as error:
        plan(context(FakePlanner(), grasps_on_box(3), plan_time=0.0))
    assert error.value.code == ErrorCode.TIMEOUT


def test_plan_stops_when_cancelled():
    planner = FakePlanner()
    planner.refuse = [ErrorCode.UNREACHABLE] * 20
    ctx = context(planner, grasps_on_box(20))
    ctx.on_candidate = lambda i: ctx.cancel.cancel("enough") if i >= 4 else None
    with pytest.raises(SeegraspError, match="enough"):
        plan(ctx)
    assert ctx.tried == 8


# running stages


def runner() -> SimpleNamespace:
    log = SimpleNamespace(error=lambda _: None)
    return SimpleNamespace(cancel=CancelToken(), log=log, on_stage=lambda s: seen.append(s), seen=(seen := []))


def fail(error: Exception):
    def stage(_):
        raise error

    return stage


def test_stages_run_up_to_the_first_failure():
    ctx = runner()
    stages = [
        Stage("one", lambda _: "done"),
        Stage("two", fail(PlanningError("no", ErrorCode.NO_PATH))),
        Stage("three", fail(AssertionError("must not run"))),
    ]
    results = run_stages(stages, ctx)
    assert [(r.stage, r.ok, r.code, r.message) for r in results] == [
        ("one", True, ErrorCode.NONE, "done"),
        ("two", False, ErrorCode.NO_PATH, "no"),
    ]
    assert ctx.seen == ["one", "two"]
    assert set(timings([*results, *results])) == {"one", "two"}


def test_a_defect_in_a_stage_is_told_as_one():
    result = run_stage(Stage("odd", fail(KeyError("x"))), runner())
    assert result.code == ErrorCode.INTERNAL
    assert "KeyError" in result.message


def test_no_stage_begins_after_cancellation():
    ctx = runner()
    ctx.cancel.cancel("stop")
    result = run_stage(Stage("one", fail(AssertionError("must not run"))), ctx)
    assert (result.code, result.message) == (ErrorCode.CANCELLED, "stop")
