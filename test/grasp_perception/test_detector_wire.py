"""Messages between a detector's process and ours."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from grasp_core.camera import Camera
from grasp_core.cloud import Cloud
from grasp_core.errors import InputError
from grasp_core.gripper import Gripper
from grasp_core.observation import Observation
from grasp_perception.detectors import payload, wire

ARRAYS = hnp.arrays(
    st.sampled_from([np.float32, np.float64, np.uint8, np.int32, np.bool_]),
    hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=5),
)


def received(buffers: list) -> wire.Message:
    data = b"".join(buffers)

    def fill(buffer: memoryview) -> None:
        nonlocal data
        buffer[:], data = data[: len(buffer)], data[len(buffer) :]

    message = wire.receive(fill)
    assert not data
    return message


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(st.text(max_size=5), ARRAYS, max_size=4))
def test_arrays_of_any_shape_survive(arrays: dict) -> None:
    got = received(wire.encode({"kind": "x", "n": [1.5, None]}, arrays))
    assert got.header == {"kind": "x", "n": [1.5, None]}
    assert list(got.arrays) == list(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(got.arrays[name], array)
        assert (got.arrays[name].dtype, got.arrays[name].flags.writeable) == (array.dtype, True)


def test_slices_and_foreign_byte_orders_are_sent_as_they_look() -> None:
    arrays = {"slice": np.arange(24).reshape(4, 6)[::2, ::-1], "big": np.arange(5, dtype=">f4")}
    for name, got in received(wire.encode({"kind": "x"}, arrays)).arrays.items():
        np.testing.assert_array_equal(got, arrays[name])


@pytest.mark.parametrize(
    ("position", "new", "words"),
    [
        (0, b"Hello", "Hello"),
        (4, b"\x09", "version 9"),
        (8, b"\xff\xff\xff\xff", "not believable"),
        (20, b"[", "malformed"),
        (21, b"\xff\xfe", "malformed"),
    ],
)
def test_bytes_that_are_no_message(position: int, new: bytes, words: str) -> None:
    data = bytearray(b"".join(wire.encode({"kind": "x"}, {"a": np.arange(3.0)})))
    data[position : position + len(new)] = new
    with pytest.raises(wire.WireError, match=words):
        received([bytes(data)])


@pytest.mark.parametrize(
    "described", [[["a", "|O", [3]]], [["a", "<f8", [-1]]], [["a", "<f8", [4]]], [["a", "<f8", [2]]], [], ["a"], None]
)
def test_arrays_that_do_not_fit_their_description(described: list) -> None:
    text = json.dumps({"kind": "x", "arrays": described}).encode()
    prefix = wire._PREFIX.pack(wire.MAGIC, wire.VERSION, len(text), 24)
    with pytest.raises(wire.WireError, match="malformed"):
        received([prefix, text, bytes(24)])


def test_objects_are_not_sent() -> None:
    with pytest.raises(InputError, match="cannot be sent"):
        wire.encode({}, {"a": np.array([{}])})


def test_the_same_camera_stays_one_object() -> None:
    camera = Camera(np.array([[9.0, 0, 4], [0, 9, 3], [0, 0, 1]]), 8, 6)
    seen = Observation(Cloud(np.zeros((2, 3))), camera=camera)
    message = payload.from_look(seen, Gripper.load("robotiq_2f85"), None)
    first, second = (payload.to_look(received(wire.encode(message.header, message.arrays))) for _ in range(2))
    assert first[0].camera is second[0].camera
    np.testing.assert_array_equal(first[0].camera.K, camera.K)
