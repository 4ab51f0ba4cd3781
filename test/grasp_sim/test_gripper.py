"""The simulated gripper: it holds, stalls, closes on nothing, and keeps its force limit."""

import mujoco
import numpy as np
import pytest

from grasp_core import se3
from grasp_sim.objects import ObjectSpec, Part, sample_object
from test.grasp_sim.robot import box, cell_with, grip, make_object, pick, shake, top_down

CYLINDER = make_object("cylinder", (Part("cylinder", (0.02, 0.035)),), 0.3)


def bottle() -> ObjectSpec:
    """A procedural bottle that is thin enough to be held at its body."""
    return sample_object(np.random.default_rng(2), ["bottle"]).renamed("bottle")


@pytest.mark.parametrize("obj", [box((0.05, 0.035, 0.06)), CYLINDER, bottle()], ids=["box", "cylinder", "bottle"])
def test_holds_through_lift_and_shake(obj: ObjectSpec) -> None:
    cell = cell_with(obj)
    top = cell.object_poses()[obj.name][2, 3] + obj.extents[2] / 2
    command = pick(cell, top_down(0.5, 0.0, max(0.012, top - 0.045)))
    assert command.stalled
    assert not command.reached
    start = se3.inverse(cell.T_base_tcp()) @ cell.object_poses()[obj.name]
    shake(cell)
    cell.run(2.0)
    assert cell.held_objects() == [obj.name]
    assert cell.object_poses()[obj.name][2, 3] > 0.1
    end = se3.inverse(cell.T_base_tcp()) @ cell.object_poses()[obj.name]
    assert np.linalg.norm(end[:3, 3] - start[:3, 3]) < 0.005
    assert cell.contacts.counts.robot == 0


def test_width_at_a_stall_is_the_objects() -> None:
    cell = cell_with(box((0.05, 0.035, 0.06)))
    pick(cell, top_down(0.5, 0.0, 0.03))
    assert cell.width == pytest.approx(0.035, abs=0.002)


def test_closing_on_nothing_reaches_zero() -> None:
    cell = cell_with()
    command = grip(cell, 0.0)
    assert command.reached
    assert not command.stalled
    assert cell.width == pytest.approx(0.0, abs=0.002)
    assert cell.held_objects() == []


def test_thin_plate_is_told_from_nothing() -> None:
    cell = cell_with(box((0.06, 0.006, 0.05), mass=0.05))
    assert pick(cell, top_down(0.5, 0.0, 0.02)).stalled
    assert cell.held_objects() == ["box"]
    assert cell.width > 0.004


def test_what_is_too_wide_is_not_held() -> None:
    cell = cell_with(box((0.05, 0.12, 0.05)))
    command = grip(cell, 0.0)
    assert command.reached
    assert cell.held_objects() == []


def test_fingers_move_at_the_profiles_speed_and_together() -> None:
    cell = cell_with()
    cell.gripper.move(0.0)
    cell.run(0.3)
    assert -cell.gripper.speed(cell.data) == pytest.approx(cell.gripper_profile.speed.default, rel=0.05)
    left, right = cell.data.qpos[cell.cell_model.finger_qpos]
    assert left == pytest.approx(right, abs=2e-4)


@pytest.mark.parametrize("force", [20.0, 60.0])
def test_grip_force_is_what_was_asked_for(force: float) -> None:
    cell = cell_with(box((0.05, 0.035, 0.06)))
    pick(cell, top_down(0.5, 0.0, 0.03), force)
    pads = {cell.model.geom(f"{name}_pad").id for name in ("finger_left", "finger_right")}
    total = dict.fromkeys(pads, 0.0)
    for i, contact in enumerate(cell.data.contact):
        for pad in pads.intersection(contact.geom.tolist()):
            wrench = np.zeros(6)
            mujoco.mj_contactForce(cell.model, cell.data, i, wrench)
            total[pad] += wrench[0]
    assert list(total.values()) == pytest.approx([force, force], rel=0.1)


def test_a_new_command_replaces_the_running_one_and_halt_stops() -> None:
    cell = cell_with()
    first = cell.gripper.move(0.0)
    cell.run(0.2)
    second = grip(cell, 0.085)
    assert first.replaced
    assert second.reached
    cell.gripper.move(0.0)
    cell.run(0.3)
    here = cell.width
    cell.gripper.halt(cell.data)
    cell.run(0.5)
    assert cell.width == pytest.approx(here, abs=0.006)
