"""The driver's robot description must be that of the profile's arm; a calibrated one is."""

import re

import numpy as np
import pytest

from arm_control.planning import make_planner
from grasp_core.arm import ArmProfile
from grasp_core.errors import ConfigError


@pytest.mark.parametrize("other", ["ur5", "ur10e"])
def test_another_model_with_the_same_joints_is_refused(arm, gripper, cell, other: str) -> None:
    description = ArmProfile.load(other).urdf_path.read_text()
    with pytest.raises(ConfigError, match=rf"robot '{other}'.* is not arm profile ur5e .*differs by up to \d+ mm"):
        make_planner("builtin", description, arm, gripper, cell)


def test_a_turned_flange_is_refused(urdf: str, arm, gripper, cell) -> None:
    turned = re.sub(r'(<joint name="flange-tool0".*?rpy=")[^"]*', r"\g<1>1.5707963 0 0", urdf, flags=re.S)
    assert turned != urdf
    with pytest.raises(ConfigError, match="is not arm profile ur5e"):
        make_planner("builtin", turned, arm, gripper, cell)


def test_a_calibrated_arm_passes(urdf: str, arm, gripper, cell) -> None:
    """As calibrations are: the lengths of the links off by a millimetre, the axes by a milliradian."""
    rng = np.random.default_rng(0)

    def shifted(match: re.Match) -> str:
        xyz = np.array(match[2].split(), float) + rng.uniform(-1e-3, 1e-3, 3)
        rpy = np.array(match[4].split(), float) + rng.uniform(-1e-3, 1e-3, 3)
        return f"{match[1]}{' '.join(map(str, xyz))}{match[3]}{' '.join(map(str, rpy))}"

    calibrated = re.sub(
        r'(<joint name="\w+_joint" type="revolute">.*?xyz=")([^"]*)(" rpy=")([^"]*)', shifted, urdf, flags=re.S
    )
    planner = make_planner("builtin", calibrated, arm, gripper, cell)
    nominal = make_planner("builtin", urdf, arm, gripper, cell)
    q = np.array(arm.poses["home"])
    away = np.linalg.norm(planner.fk(q)[:3, 3] - nominal.fk(q)[:3, 3])
    assert 1e-4 < away < 0.02
