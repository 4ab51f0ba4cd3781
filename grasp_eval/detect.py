"""``seegrasp detect``: grasps for a capture on disk, as JSON, as GraspNet array and as a picture."""

import argparse
import json
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from grasp_core import conventions, se3
from grasp_core.camera import Camera
from grasp_core.cell import Box
from grasp_core.cloud import Cloud
from grasp_core.errors import InputError, SeegraspError
from grasp_core.grasps import Grasps
from grasp_core.gripper import Gripper
from grasp_core.observation import Observation
from grasp_perception import cloud_io, drawing, table_frame
from grasp_perception.detectors import DEFAULT, make_detector
from grasp_perception.ingest import Ingest

_VOXEL = 0.005
_SURROUND = 0.15  # m kept around the region, as obstacles
_BELOW = 0.03  # m kept below the region, to see the support


@dataclass(frozen=True)
class Input:
    """What is detected in: the observation, where to grasp, and the picture to draw into."""

    observation: Observation
    region: Box
    picture: NDArray[np.uint8]
    camera: Camera
    T_frame_cam: NDArray[np.float64]
    note: str
    table: table_frame.TableFrame | None  # when the region was not given: grasps beside the table are dropped

    def over_table(self, grasps: Grasps) -> Grasps:
        """Only grasps over the visible part of the table, where that was searched for."""
        if self.table is None or len(grasps) == 0:
            return grasps
        T = self.table.T_table_cam @ se3.inverse(self.T_frame_cam)
        return grasps[self.table.above(se3.transform(T, grasps.t.astype(np.float64)))]


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    args = _parser().parse_args(argv)
    try:
        return _run(args)
    except SeegraspError as error:
        print(f"seegrasp detect: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"seegrasp detect: cannot write to {args.out}: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="seegrasp detect", description=__doc__)
    parser.add_argument("--rgb", type=Path, help="colour image, 8 bit")
    parser.add_argument("--depth", type=Path, help="depth image aligned to colour, 16 bit")
    parser.add_argument("--camera", type=Path, help="camera.json: K, width, height, depth_scale, T_base_cam or null")
    parser.add_argument("--cloud", type=Path, help="cloud instead of images: .pcd, .ply, .npy")
    parser.add_argument(
        "--cloud-frame",
        choices=("camera", "base"),
        default="camera",
        help="axes of the cloud: camera = z forward, y down (the table is searched for); base = z up",
    )
    parser.add_argument(
        "--out", type=Path, required=True, help="folder for grasps.json, grasps_graspnet.npy, grasps.png"
    )
    parser.add_argument("--gripper", default="robotiq_2f85", help="name or YAML file of a gripper")
    parser.add_argument("--detector", default=DEFAULT, help="name or package.module:factory")
    parser.add_argument("--detector-python", metavar="PYTHON", help="run the detector in a process of this Python")
    parser.add_argument(
        "--region",
        type=float,
        nargs=6,
        metavar=("X0", "Y0", "Z0", "X1", "Y1", "Z1"),
        help="where to grasp, m, in the frame of the grasps; default: above the dominant table plane",
    )
    parser.add_argument("--top", type=int, default=50, help="how many of the best grasps are drawn (default 50)")
    return parser


def _run(args: argparse.Namespace) -> int:
    images = [args.rgb, args.depth, args.camera]
    if (args.cloud is None) == (None in images) or (args.cloud is not None and any(images)):
        raise InputError("give either --rgb, --depth and --camera, or --cloud")
    if args.top < 1:
        raise InputError(f"--top is {args.top}, expected at least 1")
    gripper = Gripper.load(args.gripper)
    detector = make_detector(args.detector, python=args.detector_python)
    region = None if args.region is None else Box(args.region[:3], args.region[3:])
    source = observe_cloud(args.cloud, args.cloud_frame, region) if args.cloud else observe_images(*images, region)
    start = time.perf_counter()
    grasps = source.over_table(detector.detect(source.observation, gripper, source.region))
    elapsed = (time.perf_counter() - start) * 1e3
    _write(args, source, grasps, gripper, elapsed, detector.timings)
    print(source.note)
    print(f"{len(source.observation.cloud)} points, {len(grasps)} grasps in {elapsed:.0f} ms -> {args.out}")
    if len(grasps) == 0:
        print("no grasp found: nothing graspable stands above the support inside the region", file=sys.stderr)
    return 0


def observe_images(rgb: Path, depth: Path, camera: Path, region: Box | None) -> Input:
    """Read an RGB-D pair; without a camera pose or region the table is searched for. Raises InputError."""
    capture = cloud_io.load_capture(rgb, depth, camera)
    T, frame, table = capture.T_base_cam, "base_link", None
    note = f"frame: {frame}, camera pose from {camera}"
    if T is None or region is None:
        points = capture.camera.deproject(capture.depth)[capture.depth > 0]
        table = table_frame.find(points)
        if T is None:
            T, frame = table.T_table_cam, "table"
            note = f"frame: {frame} (no camera pose in {camera}; z up from the table plane, {table.inliers} inliers)"
        table = None if region else table
        region = region or _moved(table.region, T @ se3.inverse(table.T_table_cam))
    cloud, _ = Ingest(_around(region), frame, _VOXEL)(capture.depth, capture.color, capture.camera, T)
    observation = Observation(cloud, capture.depth, capture.color, capture.camera, T)
    return Input(observation, region, capture.color, capture.camera, T, note, table)


def observe_cloud(path: Path, axes: str, region: Box | None) -> Input:
    """Read a cloud in the axes of a camera (the table is searched for) or of a base frame. Raises InputError."""
    cloud, table = cloud_io.load_cloud(path), None
    if axes == "base":
        cloud = replace(cloud, frame="base_link")
        box = region or Box(cloud.points.min(axis=0) - 0.01, cloud.points.max(axis=0) + 0.01)
        middle = (cloud.points.min(axis=0) + cloud.points.max(axis=0)) / 2.0
        T = se3.look_at(middle + np.array([0.0, 0.0, 1.2]), middle)
        note, view = "frame: base_link (z up, as given)", None
    else:
        table = table_frame.find(cloud.points)
        T = view = table.T_table_cam
        note = f"frame: table (z up from the table plane, {table.inliers} inliers)"
        box, table = region or table.region, None if region else table
        cloud = cloud.transformed(T, "table")
    cloud = cloud.crop(_around(box))
    camera = _fitted_camera(cloud, T)
    picture = drawing.render_cloud(cloud, camera, T)
    observation = Observation(cloud.voxel_downsample(_VOXEL), T_base_cam=view)
    return Input(observation, box, picture, camera, T, note, table)


def _fitted_camera(cloud: Cloud, T_frame_cam: NDArray[np.float64]) -> Camera:
    """A 960x720 camera at a given pose that has the cloud in its picture."""
    local = se3.transform(se3.inverse(T_frame_cam), cloud.points.astype(np.float64))
    local = local[local[:, 2] > 0.05]
    if len(local) == 0:
        raise InputError("the cloud has no points in front of the viewpoint within the region; check --cloud-frame")
    rays = local[:, :2] / local[:, 2:]
    low, high = np.percentile(rays, 0.5, axis=0), np.percentile(rays, 99.5, axis=0)
    focal = float((0.9 * np.array([960, 720]) / np.maximum(high - low, 1e-3)).min())
    u, v = np.array([480, 360]) - focal * (low + high) / 2.0
    width, height = 960, 720
    K = np.array(
        [[focal, 0, np.clip(u, -width + 1, 2 * width - 1)], [0, focal, np.clip(v, 1 - height, 2 * height - 1)]]
    )
    return Camera(np.vstack([K, [0, 0, 1]]), width, height, frame="picture")


def _moved(box: Box, T: NDArray[np.float64]) -> Box:
    """Axis-aligned bounds of a box after a transform."""
    corners = np.array(np.meshgrid(*np.stack([box.min, box.max], axis=1))).reshape(3, -1).T
    moved = se3.transform(T, corners)
    return Box(moved.min(axis=0), moved.max(axis=0))


def _around(region: Box) -> Box:
    return Box(region.min - [_SURROUND, _SURROUND, _BELOW], region.max + _SURROUND)


def _write(
    args: argparse.Namespace, source: Input, grasps: Grasps, gripper: Gripper, elapsed: float, stages: dict[str, float]
) -> None:
    args.out.mkdir(parents=True, exist_ok=True)
    inputs = {k: str(v) for k, v in vars(args).items() if k in ("rgb", "depth", "camera", "cloud") and v is not None}
    report = {
        "frame": source.observation.cloud.frame,
        "frame_note": source.note,
        "grasp_frame": "origin midway between the fingertips, z approach, x closing; m",
        "gripper": gripper.name,
        "detector": args.detector,
        "region": {"min": source.region.min.tolist(), "max": source.region.max.tolist()},
        "T_frame_camera": source.T_frame_cam.tolist(),
        "points": len(source.observation.cloud),
        "milliseconds": {"total": elapsed, **stages},
        "input": inputs,
        "grasps": grasps.to_dict(),
    }
    (args.out / "grasps.json").write_text(json.dumps(report, indent=1) + "\n")
    np.save(args.out / "grasps_graspnet.npy", conventions.to_graspnet(grasps))
    picture = drawing.draw_grasps(source.picture, grasps, gripper, source.camera, source.T_frame_cam, args.top)
    Image.fromarray(picture).save(args.out / "grasps.png")


if __name__ == "__main__":
    sys.exit(main())
