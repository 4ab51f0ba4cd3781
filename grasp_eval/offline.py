"""`seegrasp replay --offline`: cloud and grasps of every frame of a bag, without any node, as fast as it goes."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
from rclpy.serialization import serialize_message
from tf2_msgs.msg import TFMessage

from grasp_core.camera import Camera
from grasp_core.cell import Box
from grasp_core.cloud import Cloud
from grasp_core.errors import InputError, SeegraspError
from grasp_core.grasps import Grasps
from grasp_core.gripper import Gripper
from grasp_core.observation import Observation
from grasp_eval.bag_frames import BagTransforms, FrameSource, RawFrame, find_topics
from grasp_eval.bag_reader import BagReader
from grasp_eval.bag_writer import LATCHED_QOS, BagWriter, make_qos
from grasp_eval.offline_frames import COLUMNS, STAGES, Frame, Judge, metrics
from grasp_eval.offline_objects import KnownObjects
from grasp_eval.offline_place import Placement, around
from grasp_eval.report import command_line, data_uri, write_replay_report
from grasp_eval.results import SaveError, append_csv, timing_row, write_json
from grasp_perception import drawing
from grasp_perception.detectors import make_detector
from grasp_perception.ingest import Ingest
from grasp_ros.conversions import (
    camera_from_info,
    cloud_to_msg,
    depth_to_metres,
    grasps_to_msg,
    image_to_rgb,
    transforms_to_tf,
)

CLOUD_TOPIC, GRASPS_TOPIC = "/camera_node/cloud", "/detector_node/grasps"
NEAR, FAR = 0.1, 3.0
DRAWN = 30


class OfflineRun:
    """Goes over a bag; results are written as they come, so that what was reached is there whatever happens."""

    def __init__(self, args: argparse.Namespace, bag: BagReader, out: Path) -> None:
        self._args, self._bag, self._out = args, bag, out
        self._topics = find_topics(bag, args.depth_topic, args.info_topic, args.color_topic)
        self._tf = BagTransforms(bag)
        self._place = Placement(self._tf, args.base_frame, args.camera_pose)
        if args.region is not None:
            self._place.limit(Box(args.region[:3], args.region[3:]))
        self._gripper = Gripper.load(args.gripper)
        self._detector = make_detector(args.detector, python=args.detector_python)
        objects = KnownObjects(args.objects, self._tf) if args.objects else None
        self._judge = Judge(objects, self._gripper)
        self._ingest: Ingest | None = None
        self._ingest_region: Box | None = None
        self._drawn_from: np.ndarray | None = None
        self.frames: list[Frame] = []
        self._pictures: list[dict[str, str]] = []
        self.problems = list(self._tf.problems)
        self.unsaved = ""

    def run(self) -> bool:
        """All frames, then the report; whether a frame could be used and everything was written."""
        start, stop = time_range(self._bag, self._args.start, self._args.duration)
        source = FrameSource(self._bag, self._topics, start, stop)
        begun = time.perf_counter()
        try:
            self._write_bag(source)
        finally:
            self._finish(source, time.perf_counter() - begun)
        return not self.unsaved and any(not f.error for f in self.frames)

    def _write_bag(self, source: FrameSource) -> None:
        with BagWriter(self._out / "bag") as writer:
            writer.add_topic(CLOUD_TOPIC, "sensor_msgs/msg/PointCloud2", qos=[make_qos(reliability=2)])
            writer.add_topic(GRASPS_TOPIC, "seegrasp_msgs/msg/GraspArray", qos=[make_qos()])
            writer.add_topic("/tf_static", "tf2_msgs/msg/TFMessage", qos=[LATCHED_QOS])
            for raw in source:
                if raw.index % self._args.every == 0:
                    self._one(raw, writer)

    def _one(self, raw: RawFrame, writer: BagWriter) -> None:
        frame = Frame(raw.index, raw.stamp)
        try:
            color, cloud, grasps, camera, T = self._process(raw, frame)
        except SeegraspError as error:
            frame.error = f"{error.code.name}: {error}"
        else:
            self._judge(frame, cloud, grasps, self._place, T)
            self._log(writer, raw, frame, cloud, grasps, camera, T)
            if len(self._pictures) < self._args.pictures and self._worth_a_picture(T):
                self._draw(color, cloud, grasps, camera, T, frame)
        self.frames.append(frame)
        append_csv(self._out / "frames.csv", frame.row(), COLUMNS)
        done = frame.error or f"{frame.points} points, {frame.grasps} grasps, {frame.total_ms:.0f} ms"
        print(f"frame {frame.index}: {done}", flush=True)

    def _process(self, raw: RawFrame, frame: Frame) -> tuple[Any, Cloud, Grasps, Camera, np.ndarray]:
        t0 = time.perf_counter()
        camera = camera_from_info(raw.info, NEAR, FAR, self._topics.depth_info)
        depth = depth_to_metres(raw.depth, self._topics.depth)
        color = image_to_rgb(raw.color, self._topics.color) if raw.color is not None else None
        t1 = time.perf_counter()
        T = self._place.pose(camera.frame, raw.stamp, lambda: camera.deproject(depth)[(depth > NEAR) & (depth < FAR)])
        if self._ingest is None or self._ingest_region is not self._place.region:
            self._ingest_region = self._place.region
            self._ingest = Ingest(around(self._ingest_region), self._place.frame)
        t2 = time.perf_counter()
        cloud, _ = self._ingest(depth, color, camera, T, raw.stamp)
        t3 = time.perf_counter()
        if len(cloud) == 0:
            raise InputError("no point of this frame lies in the region; see --region and --camera-pose")
        observation = Observation(cloud, depth, color, camera, T, raw.stamp)
        grasps = self._detector.detect(observation, self._gripper, self._place.region)
        frame.points, frame.grasps = len(cloud), len(grasps)
        frame.top_score = float(grasps.score.max()) if len(grasps) else None
        t4 = time.perf_counter()
        frame.timings = {"convert": 1e3 * (t1 - t0), "cloud": 1e3 * (t3 - t2), "detect": 1e3 * (t4 - t3)}
        return color, cloud, grasps, camera, T

    def _log(
        self, w: BagWriter, raw: RawFrame, frame: Frame, cloud: Cloud, grasps: Grasps, camera: Camera, T: np.ndarray
    ) -> None:
        msg = grasps_to_msg(grasps, cloud.frame, raw.stamp, self._args.detector, self._args.gripper, frame.timings)
        tf: TFMessage = transforms_to_tf([(cloud.frame, camera.frame, T)], raw.stamp)
        for topic, item in (("/tf_static", tf), (CLOUD_TOPIC, cloud_to_msg(cloud)), (GRASPS_TOPIC, msg)):
            w.write(topic, serialize_message(item), raw.log_ns)

    def _worth_a_picture(self, T: np.ndarray) -> bool:
        every = max(1, self._expected() // self._args.pictures)
        last = self._drawn_from
        new_view = last is None or np.linalg.norm(last[:3, 3] - T[:3, 3]) > 0.02
        if new_view or len(self.frames) % every == 0:
            self._drawn_from = T
            return True
        return False

    def _expected(self) -> int:
        return self._bag.topics[self._topics.depth].count // self._args.every

    def _draw(self, color: Any, cloud: Cloud, grasps: Grasps, camera: Camera, T: np.ndarray, frame: Frame) -> None:
        picture = drawing.render_cloud(cloud, camera, T) if color is None else color
        drawn = drawing.draw_grasps(picture, grasps, self._gripper, camera, T, top=DRAWN)
        caption = f"frame {frame.index}, {frame.stamp_ns * 1e-9:.3f} s: {frame.grasps} grasps, the best {DRAWN} drawn"
        self._pictures.append({"uri": data_uri(drawn), "caption": caption})

    def _finish(self, source: FrameSource, elapsed: float) -> None:
        if self._bag.damage:
            self.problems.append(f"the bag is damaged: {self._bag.damage}; {len(self.frames)} frames were read")
        if source.without_info:
            self.problems.append(f"{source.without_info} depth images came without {self._topics.depth_info}")
        skipped = [f"{t.name}: {t.problem}" for t in self._bag.topics.values() if t.problem]
        self.problems += [f"topic left out: {text}" for text in skipped]
        self.problems += self._judge.problems
        timings, found = self._timings(), metrics(self.frames)
        summary = self._summary(elapsed)
        try:
            values = {"about": summary, "metrics": found, "timings": timings, "problems": self.problems}
            write_json(self._out / "summary.json", values)
            frames = [vars(f) | {"stamp": f"{f.stamp_ns * 1e-9:.3f}", "total_ms": f.total_ms} for f in self.frames]
            write_replay_report(
                self._out,
                title=f"seegrasp replay: {self._bag.path.name}",
                summary=summary,
                metrics=found,
                frames=frames,
                timings=timings,
                pictures=self._pictures,
                problems=self.problems,
            )
        except SaveError as error:
            self.unsaved = str(error)
            self.problems.append(self.unsaved)

    def _timings(self) -> list[dict[str, object]]:
        rows = {n: [f.timings[n] for f in self.frames if n in f.timings] for n in STAGES}
        rows["total"] = [f.total_ms for f in self.frames if f.total_ms is not None]
        return [timing_row(name, values) for name, values in rows.items() if values]

    def _summary(self, elapsed: float) -> dict[str, str]:
        used = [f for f in self.frames if not f.error]
        counts = [f.grasps for f in used]
        return {
            "bag": f"{self._bag.path} ({self._bag.message_count} messages, {self._bag.duration_s:.1f} s)",
            "topics": ", ".join(t for t in (self._topics.depth, self._topics.color) if t),
            "camera pose": self._place.note or "none",
            "frames": f"{len(used)} of {len(self.frames)} used, in {elapsed:.1f} s",
            "grasps per frame": f"{min(counts)} to {max(counts)}, {np.median(counts):.0f} in the median"
            if counts
            else "none",
            "detector, gripper": f"{self._args.detector}, {self._args.gripper}",
            "command": command_line(),
        }


def time_range(bag: BagReader, start_s: float, duration_s: float) -> tuple[int | None, int | None]:
    """Log times [start, stop) in ns of a part of a bag, from offsets in s (duration 0: to the end)."""
    start = bag.start_ns + int(start_s * 1e9) if start_s > 0 else None
    stop = (bag.start_ns if start is None else start) + int(duration_s * 1e9) if duration_s > 0 else None
    return start, stop
