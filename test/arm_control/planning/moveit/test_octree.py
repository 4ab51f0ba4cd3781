"""Clouds as octomap's binary trees."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arm_control.planning.moveit.octree import octree
from grasp_core.errors import InputError

from .double_scene import decode_octree

coordinates = st.lists(st.tuples(*[st.floats(-3.0, 3.0)] * 3), min_size=1, max_size=60).map(np.array)


@settings(max_examples=50, deadline=None)
@given(points=coordinates, resolution=st.sampled_from([0.005, 0.01, 0.025]))
def test_every_point_is_in_an_occupied_cell_and_no_other_cell_is(points, resolution):
    cells = decode_octree(octree(points, resolution).data)
    wanted = np.unique(np.floor(points / resolution).astype(int), axis=0)
    np.testing.assert_array_equal(np.unique(cells, axis=0), wanted)
    assert len(cells) == len(wanted)


def test_the_bytes_of_one_point():
    """By octomap's writeBinaryNode: fifteen inner nodes lead to the last, child 7 (all coordinates just above 0)."""
    inner, occupied = 3, 2
    data = octree(np.full((1, 3), 0.005), 0.01).data
    assert data[:2] == bytes([0, inner << 6])  # the root's upper child along x, y and z: number 7, in the second byte
    assert data[2:30] == bytes([inner, 0] * 14)  # below it, always the lowest child
    assert data[30:] == bytes([occupied, 0])


def test_the_axes_are_in_octomaps_order():
    along = [octree(0.005 * np.eye(3)[[i]] - 0.005 * (1 - np.eye(3)[[i]]), 0.01).data[:2] for i in range(3)]
    children = [next(i for i in range(8) if int.from_bytes(d, "little") >> 2 * i & 3) for d in along]
    assert children == [1, 2, 4]


def test_no_points_are_a_free_cell_not_an_empty_message():
    data = octree(np.zeros((0, 3)), 0.01).data
    assert data == b"\x01\x00"
    assert len(decode_octree(data)) == 0


def test_points_too_far_away():
    with pytest.raises(InputError, match="beyond 328 m"):
        octree(np.array([[400.0, 0.0, 0.0]]), 0.01)
