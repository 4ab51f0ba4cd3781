"""Our distortion is the library's."""

import numpy as np
import pyrealsense2 as rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grasp_perception.realsense.lens import distorted, largest_shift, matrix
from test.grasp_perception.realsense.soft_camera import VGA, intrinsics

small = st.floats(-0.125, 0.125, width=32)


@pytest.mark.parametrize("model", ["brown_conrady", "modified_brown_conrady", "inverse_brown_conrady"])
@settings(deadline=None, max_examples=50)
@given(coeffs=st.tuples(small, small, small, small, small), u=st.floats(0, 639), v=st.floats(0, 479))
def test_distortion_is_the_library_s(model, coeffs, u, v):
    lens = intrinsics(VGA, 600.0, getattr(rs.distortion, model), coeffs)
    ray = np.linalg.inv(matrix(lens)) @ (u, v, 1.0)
    expected = rs.rs2_project_point_to_pixel(lens, ray.tolist())
    assert distorted(lens, np.array([u, v])) == pytest.approx(expected, abs=2e-3)


def test_without_coefficients_every_model_is_none():
    lens = intrinsics(VGA, 600.0, rs.distortion.inverse_brown_conrady)
    assert largest_shift(lens) == 0.0
