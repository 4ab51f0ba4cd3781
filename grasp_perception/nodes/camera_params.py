"""The parameters of camera_node."""

from __future__ import annotations

from dataclasses import dataclass

from grasp_core.cell import Cell, MountedCamera
from grasp_core.errors import ConfigError, InputError
from grasp_perception.ingest import Ingest
from grasp_perception.realsense.settings import EMITTER, Mode, Settings
from grasp_ros.params import Params

TOPICS, REALSENSE, REALSENSE_BAG = "topics", "realsense", "realsense_bag"


@dataclass(frozen=True)
class CameraParams:
    """What camera_node is set to; s, m."""

    ingest: Ingest
    base_frame: str
    mounted: MountedCamera
    max_rate: float
    max_age: float
    max_future: float
    tf_timeout: float
    sync_slop: float
    use_color: bool
    source: str
    realsense: Settings
    bag: str
    bag_real_time: bool
    bag_loop: bool


def declare(params: Params) -> CameraParams:
    """Declare them all; ConfigError for what cannot be."""
    d = params.declare
    cell_name = d("cell", "bin_picking", "cell profile: workspace, base frame, cameras")
    ingest = {
        "voxel": d("voxel", 0.005, "edge of the voxels, m", min=0.001, max=0.1),
        "edge": d("edge", 0.012, "relative depth jump that makes a flying pixel", min=0.001, max=1.0),
        "min_neighbours": d("min_neighbours", 3, "occupied voxels (of 26) around one that is kept", 0, 26),
    }
    values = {
        "max_rate": d("max_rate", 30.0, "clouds per second at most", min=0.1, max=1000.0),
        "max_age": d("max_age", 0.5, "older depth images are rejected, s", min=0.01, max=60.0),
        "max_future": d("max_future", 0.1, "tolerated lead of stamps over ROS time, s", min=0.0, max=60.0),
        "tf_timeout": d("tf_timeout", 0.1, "how long a frame waits for its transform, s of ROS time", 0.0, 5.0),
        "sync_slop": d("sync_slop", 0.02, "largest difference of depth and colour stamps, s", 0.0, 1.0),
        "use_color": d("use_color", True, "wait for a colour image with every depth image"),
    }
    wanted = d("camera", "camera", "namespace of the camera in the cell profile")
    values["source"] = d(
        "source",
        TOPICS,
        "of images: a driver's topics, a RealSense through pyrealsense2, or a recording of one",
        choices=(TOPICS, REALSENSE, REALSENSE_BAG),
    )
    values["realsense"] = _settings(d)
    values["bag"] = d("bag", "", "source realsense_bag: the .bag or .db3 that librealsense recorded")
    values["bag_real_time"] = d("bag_real_time", True, "at the recorded pace; false: every frame, as fast as it goes")
    values["bag_loop"] = d("bag_loop", True, "begin again at the recording's end")
    params.check_unknown()
    cell = Cell.load(cell_name)
    if values["source"] == REALSENSE_BAG and not values["bag"]:
        raise ConfigError("parameter 'bag' is empty: source:=realsense_bag needs the path of a recording")
    try:
        made = Ingest(cell.workspace_box(), cell.base_frame, **ingest)
    except InputError as error:
        raise ConfigError(f"cell '{cell.name}': {error}") from None
    return CameraParams(made, cell.base_frame, _mounted(cell, wanted), **values)


def _settings(d) -> Settings:
    depth = d("realsense.depth", "640x480x30", "depth stream: width x height x frames per second")
    color = d("realsense.color", "640x480x30", "colour stream; depth is aligned to it")
    return Settings(
        serial=d(
            "realsense.serial", "", "serial number of the device, with or without a leading _; empty: the only one"
        ),
        depth=Mode.parse(depth, "parameter 'realsense.depth'"),
        color=Mode.parse(color, "parameter 'realsense.color'"),
        preset=d("realsense.preset", "", "high_accuracy, high_density, …, or a .json file; empty: as the device is"),
        emitter=d(
            "realsense.emitter",
            EMITTER[0],
            "infrared projector; keep: as preset or device have it",
            None,
            None,
            EMITTER,
        ),
        laser_power=d("realsense.laser_power", -1.0, "mW; negative: as preset or device have it", -1.0, 1000.0),
        decimation=d("realsense.decimation", 1, "depth pixels in each direction that become one; 1: off", 1, 8),
        spatial=d("realsense.spatial", False, "smooth depth over neighbouring pixels"),
        temporal=d("realsense.temporal", False, "smooth depth over time: not for a camera that moves"),
        threshold=d("realsense.threshold", False, "leave out depth beyond the camera profile's near and far"),
        reset=d("realsense.reset", True, "reset the device when its frames stay away"),
    )


def _mounted(cell: Cell, wanted: str) -> MountedCamera:
    for camera in cell.cameras:
        if camera.namespace == wanted:
            return camera
    have = ", ".join(c.namespace for c in cell.cameras)
    raise ConfigError(f"cell '{cell.name}' has no camera with namespace '{wanted}'; it has: {have}")
