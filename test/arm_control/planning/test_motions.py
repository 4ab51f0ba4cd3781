"""Of `builtin` alone: repeatable plans, what the scene keeps, the way out of contacts, time profiles."""

import numpy as np
import pytest

from arm_control.planning import make_planner
from arm_control.planning.collision import Mode
from arm_control.planning.timing import trapezoid
from grasp_core.errors import ConfigError

from .conftest import solid, top_down, wall


def test_an_unknown_planner_is_an_error(arm, gripper, cell):
    with pytest.raises(ConfigError, match="unknown; expected one of: builtin, move_group, moveit"):
        make_planner("magic", "", arm, gripper, cell)


def test_plans_are_repeatable(planner, home):
    planner.set_scene(wall())
    goal = planner.ik(top_down(0.3, 0.5, 0.2), home)[0]
    first, second = (planner.plan_joints(home, goal, 0.085) for _ in range(2))
    np.testing.assert_array_equal(first.q, second.q)


def test_points_on_known_boxes_are_not_kept(planner):
    planner.set_scene(solid([0.35, -0.1, 0.0], [0.65, 0.1, 0.01]))
    assert len(planner.world.points) == 0


def test_the_way_out_of_a_contact_is_straight_up(planner, home):
    start = planner.ik(top_down(0.5, 0.0, 0.12), home)[0]
    planner.set_scene(solid([0.53, -0.02, 0.01], [0.56, 0.02, 0.125]))
    trajectory = planner.plan_joints(start, home, 0.085)
    free = planner.world.checker(Mode.FREE, 0.085)
    way = planner.kin.tcp_positions(trajectory.q[[free.collides(q) for q in trajectory.q]])
    assert np.ptp(way[:, :2], axis=0).max() < 1e-3, "straight up until it is clear"


@pytest.mark.parametrize("length", [1e-4, 0.01, 0.3, 2.0])
def test_trapezoids_are_consistent(length):
    t, x, v, a = trapezoid(length, 0.5, 1.0)
    assert x[0] == 0
    assert x[-1] == pytest.approx(length)
    assert v.max() <= 0.5 + 1e-9
    assert v[0] == 0
    assert v[-1] == pytest.approx(0)
    assert np.abs(np.gradient(x, t) - v).max() < 0.03
    assert np.abs(a).max() <= 1.0
