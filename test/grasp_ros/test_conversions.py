"""Messages <-> arrays: round trips, and every way in which a message can contradict itself."""

from array import array

import numpy as np
import pytest
from geometry_msgs.msg import Point, Pose, Quaternion, Transform
from hypothesis import given, settings
from hypothesis import strategies as st
from seegrasp_msgs.msg import Region
from sensor_msgs.msg import CameraInfo, Image, PointField

from grasp_core import se3
from grasp_core.camera import Camera
from grasp_core.cell import Box
from grasp_core.cloud import Cloud
from grasp_core.errors import InputError
from grasp_core.grasps import Grasps
from grasp_ros import conversions as c

angles = st.floats(-3.0, 3.0)
coordinates = st.floats(-100.0, 100.0)
transforms = st.builds(
    lambda r, p, y, t: se3.make(se3.rpy_matrix(r, p, y), t), angles, angles, angles, st.tuples(*[coordinates] * 3)
)


def camera(width=64, height=48, f=60.0):
    return Camera(np.array([[f, 0, 31.5], [0, f, 23.5], [0, 0, 1]]), width, height, frame="optical")


def info(**changes) -> CameraInfo:
    msg = c.info_from_camera(camera(), 5)
    for name, value in changes.items():
        setattr(msg, name, value)
    return msg


def image(encoding="16UC1", **changes) -> Image:
    msg = c.array_to_image(np.arange(12, dtype=np.uint16).reshape(3, 4), "16UC1", "optical", 7)
    msg.encoding = encoding
    for name, value in changes.items():
        setattr(msg, name, value)
    return msg


def cloud(n=5, colors=True) -> Cloud:
    rng = np.random.default_rng(n)
    rgb = rng.integers(0, 256, (n, 3)).astype(np.uint8) if colors else None
    return Cloud(rng.normal(size=(n, 3)), rgb, "base_link", 1_500_000_001)


# Stamps.


@given(st.integers(0, 2**31 * 10**9 - 1))
def test_stamps_round_trip(ns):
    assert c.stamp_to_ns(c.ns_to_stamp(ns)) == ns


@pytest.mark.parametrize("ns", [-1, 2**31 * 10**9])
def test_stamp_that_does_not_fit(ns):
    with pytest.raises(InputError, match="does not fit"):
        c.ns_to_stamp(ns)


def test_timings():
    assert c.timings_from_msgs(c.timings_to_msgs({"a": 1.5, "b": 2.0})) == {"a": 1.5, "b": 2.0}


# Images.


@pytest.mark.parametrize(
    ("encoding", "dtype", "channels"),
    [
        ("rgb8", np.uint8, 3),
        ("rgba8", np.uint8, 4),
        ("mono8", np.uint8, 1),
        ("16UC1", np.uint16, 1),
        ("32FC1", "f4", 1),
    ],
)
def test_images_round_trip(encoding, dtype, channels):
    shape = (5, 7) if channels == 1 else (5, 7, channels)
    pixels = np.random.default_rng(0).integers(0, 200, shape).astype(dtype)
    back = c.image_to_array(c.array_to_image(pixels, encoding, "optical", 3))
    assert back.dtype == pixels.dtype
    np.testing.assert_array_equal(back, pixels)


def test_padded_rows_are_cut():
    data = np.zeros((3, 16), np.uint8)
    data[:, :8] = np.arange(12, dtype=np.uint16).reshape(3, 4).view(np.uint8)
    msg = image(step=16, data=array("B", data.tobytes()))
    np.testing.assert_array_equal(c.image_to_array(msg), np.arange(12).reshape(3, 4))


def test_depth_in_millimetres_and_metres():
    np.testing.assert_allclose(c.depth_to_metres(image()), np.arange(12).reshape(3, 4) * 0.001)
    metres = np.array([[0.5, np.nan]], np.float32)
    np.testing.assert_array_equal(c.depth_to_metres(c.array_to_image(metres, "32FC1", "o", 0)), metres)


def test_colour_channels_come_out_as_rgb():
    rgb = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    bgr = c.array_to_image(np.ascontiguousarray(rgb[..., ::-1]), "bgr8", "o", 0)
    np.testing.assert_array_equal(c.image_to_rgb(bgr), rgb)
    mono = c.array_to_image(rgb[..., 0].copy(), "mono8", "o", 0)
    assert c.image_to_rgb(mono).shape == (2, 4, 3)


@pytest.mark.parametrize(
    ("msg", "words"),
    [
        (image("yuv422"), "yuv422.*not supported: use .*16UC1"),
        (image(""), "encoding ''"),
        (image(width=0), "0x3"),
        (image(is_bigendian=1), "big-endian"),
        (image(step=6), "shorter than a row"),
        (image(data=array("B", bytes(10))), "10 bytes.*24"),
        (image(data=array("B", bytes(30))), "30 bytes.*24"),
    ],
)
def test_bad_images(msg, words):
    with pytest.raises(InputError, match=words) as error:
        c.image_to_array(msg, "/camera/depth")
    assert "/camera/depth" in str(error.value)


def test_colour_is_no_depth_and_depth_no_colour():
    rgb = c.array_to_image(np.zeros((2, 2, 3), np.uint8), "rgb8", "o", 0)
    with pytest.raises(InputError, match=r"depth encoding 'rgb8'.*16UC1"):
        c.depth_to_metres(rgb)
    with pytest.raises(InputError, match=r"colour encoding '16UC1'.*rgb8"):
        c.image_to_rgb(image())
    with pytest.raises(InputError, match="rgb8 needs 3"):
        c.array_to_image(np.zeros((2, 2), np.uint8), "rgb8", "o", 0)


# Cameras.


def test_camera_info_round_trip():
    back = c.camera_from_info(info(), near=0.2, far=3.0)
    np.testing.assert_allclose(back.K, camera().K)
    assert (back.width, back.height, back.frame, back.near, back.far) == (64, 48, "optical", 0.2, 3.0)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"k": [0.0] * 9}, "not calibrated"),
        ({"k": [float("nan")] * 9}, "not calibrated"),
        ({"k": [60.0, 5.0, 31.5, 0.0, 60.0, 23.5, 0.0, 0.0, 1.0]}, "no pinhole"),
        ({"k": [60.0, 0.0, 31.5, 0.0, 60.0, 23.5, 0.0, 0.0, 0.0]}, "no pinhole"),
        ({"k": [-60.0, 0.0, 31.5, 0.0, 60.0, 23.5, 0.0, 0.0, 1.0]}, "does not fit"),
        ({"k": [60.0, 0.0, 320.0, 0.0, 60.0, 240.0, 0.0, 0.0, 1.0]}, "does not fit an image of 64x48"),
        ({"width": 1280, "height": 720}, "does not fit an image of 1280x720"),
        ({"width": 0}, "0x48"),
        ({"binning_x": 2}, "binning"),
    ],
)
def test_bad_camera_info(changes, words):
    with pytest.raises(InputError, match=words):
        c.camera_from_info(info(**changes), 0.1, 3.0, "/camera/info")


def test_camera_info_without_frame():
    msg = info()
    msg.header.frame_id = ""
    with pytest.raises(InputError, match="without frame_id"):
        c.camera_from_info(msg, 0.1, 3.0)


def test_distortion_in_pixels():
    assert c.distortion_pixels(info()) == 0.0
    assert c.distortion_pixels(info(d=[0.1, 0.0, 0.0, 0.0, 0.0])) > 1.0


# Clouds.


@pytest.mark.parametrize("colors", [True, False])
@pytest.mark.parametrize("n", [0, 1, 1000])
def test_clouds_round_trip(n, colors):
    before = cloud(n, colors)
    msg = c.cloud_to_msg(before)
    after = c.msg_to_cloud(msg)
    np.testing.assert_array_equal(after.points, before.points)
    assert (after.frame, after.stamp) == ("base_link", 1_500_000_001)
    if colors:
        assert [f.name for f in msg.fields] == ["x", "y", "z", "rgb"]
        np.testing.assert_array_equal(after.colors, before.colors)
    else:
        assert after.colors is None


def test_foreign_layouts_are_read():
    """PCL pads points to 32 bytes and orders clouds with NaN where nothing was measured."""
    msg = c.cloud_to_msg(cloud(4))
    rows = np.zeros((2, 2, 8), np.float32)
    rows[..., :3] = np.arange(12).reshape(2, 2, 3)
    rows[0, 1, 0] = np.nan
    rows[..., 4] = np.array([0x0A0B0C], np.uint32).view(np.float32)
    msg.height, msg.width, msg.point_step, msg.row_step = 2, 2, 32, 64
    msg.fields[3].offset = 16
    msg.data = array("B", rows.tobytes())
    read = c.msg_to_cloud(msg)
    np.testing.assert_array_equal(read.points, rows[..., :3].reshape(-1, 3)[[0, 2, 3]])
    np.testing.assert_array_equal(read.colors, [[10, 11, 12]] * 3)


def _broken(**changes):
    msg = c.cloud_to_msg(cloud(4))
    for name, value in changes.items():
        setattr(msg, name, value)
    return msg


@pytest.mark.parametrize(
    ("msg", "words"),
    [
        (_broken(fields=[PointField(name="intensity", datatype=PointField.FLOAT32, count=1)]), "no float field 'x'"),
        (_broken(fields=[]), "has: none"),
        (_broken(width=5), "data has 64 bytes"),
        (_broken(is_bigendian=True), "big-endian"),
        (_broken(point_step=8, row_step=64), "does not fit into point_step"),
    ],
)
def test_bad_clouds(msg, words):
    with pytest.raises(InputError, match=words):
        c.msg_to_cloud(msg)


# Geometry.


@given(transforms)
@settings(max_examples=50)
def test_poses_and_transforms_round_trip(T):
    np.testing.assert_allclose(c.pose_to_matrix(c.matrix_to_pose(T)), T, atol=1e-9)
    np.testing.assert_allclose(c.transform_to_matrix(c.matrix_to_transform(T)), T, atol=1e-9)


@pytest.mark.parametrize(
    ("pose", "words"),
    [
        (Pose(orientation=Quaternion(x=0.0, y=0.0, z=0.0, w=0.0)), "never set"),
        (Pose(orientation=Quaternion(w=1.1)), "unit length"),
        (Pose(orientation=Quaternion(w=float("nan"))), "NaN"),
        (Pose(position=Point(x=float("nan"))), "finite"),
    ],
)
def test_bad_poses(pose, words):
    with pytest.raises(InputError, match=words):
        c.pose_to_matrix(pose, "target")


def test_bad_matrices_and_transforms():
    with pytest.raises(InputError, match="rigid"):
        c.matrix_to_pose(np.diag([2.0, 1.0, 1.0, 1.0]))
    bad = Transform()
    bad.translation.x = float("inf")
    with pytest.raises(InputError, match="a -> b"):
        c.transform_to_matrix(bad, "a -> b")


def test_regions():
    box = Box([0, 0, 0], [1, 2, 3])
    region = c.box_to_region(box, "base_link")
    np.testing.assert_array_equal(c.region_to_box(region, "base_link").max, [1, 2, 3])
    assert c.region_to_box(Region()) is None
    assert c.region_to_box(c.box_to_region(None, "base_link")) is None
    with pytest.raises(InputError, match="give it in 'world'"):
        c.region_to_box(region, "world")
    region.max.z = float("nan")
    with pytest.raises(InputError, match="finite"):
        c.region_to_box(region)
    region.max.z = -1.0
    with pytest.raises(InputError, match="min < max"):
        c.region_to_box(region)


# Grasps.


def grasps(n=4) -> Grasps:
    rng = np.random.default_rng(n)
    R = np.stack([se3.rpy_matrix(*v) for v in rng.normal(size=(n, 3))])
    return Grasps.create(R, rng.normal(size=(n, 3)), rng.random(n), 0.01, rng.random(n), 0.5, np.arange(n), "test")


def test_grasps_round_trip():
    before = grasps()
    msg = c.grasps_to_msg(before, "base_link", 9, "", "hand", {"detect": 5.0})
    after = c.msg_to_grasps(msg)
    for name in ("R", "t", "width", "depth", "score", "stability", "track_id"):
        np.testing.assert_allclose(getattr(after, name), getattr(before, name), atol=1e-6)
    assert (msg.detector, msg.gripper, msg.timings[0].stage) == ("test", "hand", "detect")
    assert len(c.msg_to_grasps(c.grasps_to_msg(Grasps.empty(), "base_link", 9))) == 0


def test_bad_grasps():
    msg = c.grasps_to_msg(grasps(), "base_link", 9)
    msg.grasps[2].score = float("nan")
    with pytest.raises(InputError, match=r"NaN or inf in grasp\(s\) \[2\] of 4"):
        c.msg_to_grasps(msg)
    msg.grasps[2].score = 0.0
    msg.grasps[1].width = -0.1
    with pytest.raises(InputError, match=r"negative width in grasp\(s\) \[1\]"):
        c.msg_to_grasps(msg)
    msg.grasps[1].width = 0.1
    msg.grasps[0].pose.orientation.w += 0.5
    with pytest.raises(InputError, match="unit length"):
        c.msg_to_grasps(msg)
