"""Small bags for the tests: a camera over a table with a box, in every format."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from rosbags.rosbag1 import Writer as Writer1
from rosbags.rosbag2 import StoragePlugin
from rosbags.rosbag2 import Writer as Writer2
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from grasp_core import se3
from grasp_core.camera import Camera
from grasp_eval.synthetic import Scene

PREFIX = "/camera/camera/"
DEPTH, INFO = PREFIX + "aligned_depth_to_color/image_raw", PREFIX + "aligned_depth_to_color/camera_info"
COLOR = PREFIX + "color/image_raw"
FRAME = "camera_color_optical_frame"
START = 1_000_000_000_000
PERIOD = 100_000_000
CAMERA = Camera(np.array([[300.0, 0, 160], [0, 300.0, 120], [0, 0, 1]]), 320, 240, frame=FRAME, far=3.0)
T_BASE_CAM = se3.look_at([0.3, -0.2, 0.5], [0.5, 0.0, 0.03])
STRANGE = "strange_msgs/msg/Strange"


def depth_picture() -> np.ndarray:
    scene = Scene(support=0.0).add("box", (0.03, 0.10, 0.08), (0.5, 0.0, 0.04))
    return np.round(scene.depth(CAMERA, T_BASE_CAM) * 1000).astype(np.uint16)


class Messages:
    """Messages of one frame as objects of a typestore (ROS 1 or ROS 2)."""

    def __init__(self, store: Typestore, ros1: bool) -> None:
        self.store, self.ros1 = store, ros1
        self.types = store.types
        self.depth = depth_picture()

    def header(self, stamp: int, frame: str):
        time = self.types["builtin_interfaces/msg/Time"](sec=stamp // 10**9, nanosec=stamp % 10**9)
        extra = {"seq": 0} if self.ros1 else {}
        return self.types["std_msgs/msg/Header"](stamp=time, frame_id=frame, **extra)

    def image(self, stamp: int, pixels: np.ndarray, encoding: str):
        data = pixels.view(np.uint8).reshape(-1)
        height, width = pixels.shape[:2]
        return self.types["sensor_msgs/msg/Image"](
            self.header(stamp, FRAME), height, width, encoding, 0, len(data) // height, data
        )

    def info(self, stamp: int):
        roi = self.types["sensor_msgs/msg/RegionOfInterest"](0, 0, 0, 0, False)
        K, P = CAMERA.K.reshape(-1), np.hstack([CAMERA.K, np.zeros((3, 1))]).reshape(-1)
        names = "DKRP" if self.ros1 else "dkrp"
        arrays = dict(zip(names, (np.zeros(5), K, np.eye(3).reshape(-1), P), strict=True))
        return self.types["sensor_msgs/msg/CameraInfo"](
            header=self.header(stamp, FRAME),
            height=240,
            width=320,
            distortion_model="plumb_bob",
            binning_x=0,
            binning_y=0,
            roi=roi,
            **arrays,
        )

    def tf(self, stamp: int, child: str = FRAME):
        q = se3.quat_from_matrix(T_BASE_CAM[:3, :3])
        vector = self.types["geometry_msgs/msg/Vector3"](*T_BASE_CAM[:3, 3])
        rotation = self.types["geometry_msgs/msg/Quaternion"](*q)
        transform = self.types["geometry_msgs/msg/Transform"](vector, rotation)
        stamped = self.types["geometry_msgs/msg/TransformStamped"](self.header(stamp, "base_link"), child, transform)
        return self.types["tf2_msgs/msg/TFMessage"]([stamped])


Write = Callable[[str, str, int, object], None]


def frames(write: Write, messages: Messages, count: int, with_tf: bool, strange: bool) -> None:
    color = np.full((240, 320, 3), 120, np.uint8)
    if with_tf:
        write("/tf_static", "tf2_msgs/msg/TFMessage", START, messages.tf(START))
    for index in range(count):
        stamp = START + index * PERIOD
        write(INFO, "sensor_msgs/msg/CameraInfo", stamp, messages.info(stamp))
        write(COLOR, "sensor_msgs/msg/Image", stamp, messages.image(stamp, color, "rgb8"))
        write(DEPTH, "sensor_msgs/msg/Image", stamp, messages.image(stamp, messages.depth, "16UC1"))
        if strange:
            write("/strange", STRANGE, stamp, messages.types[STRANGE](index))


def make_bag(folder: Path, kind: str, count: int = 4, with_tf: bool = True, strange: bool = False) -> Path:
    """A bag of `count` frames at 10 Hz; kind: mcap, sqlite3 or ros1. `strange` adds a topic of an unknown type."""
    ros1 = kind == "ros1"
    store = get_typestore(Stores.ROS1_NOETIC if ros1 else Stores.ROS2_HUMBLE)
    if ros1:
        store.register(get_types_from_msg("geometry_msgs/TransformStamped[] transforms", "tf2_msgs/msg/TFMessage"))
    if strange:
        store.register(get_types_from_msg("int32 number", STRANGE))
    path = folder / ("bag.bag" if ros1 else "bag")
    if ros1:
        writer = Writer1(path)
    else:
        plugin = StoragePlugin.MCAP if kind == "mcap" else StoragePlugin.SQLITE3
        writer = Writer2(path, version=8, storage_plugin=plugin)
    connections = {}
    with writer:

        def write(topic: str, msgtype: str, stamp: int, message: object) -> None:
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, msgtype, typestore=store)
            serialize = store.serialize_ros1 if ros1 else store.serialize_cdr
            writer.write(connections[topic], stamp, serialize(message, msgtype))

        frames(write, Messages(store, ros1), count, with_tf, strange)
    return path


def storage(path: Path) -> Path:
    """The file that holds the messages."""
    return path if path.is_file() else next(f for f in path.iterdir() if f.suffix in (".mcap", ".db3"))
