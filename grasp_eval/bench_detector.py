"""``python -m grasp_eval.bench_detector``: how long detection takes, stage by stage, and how many grasps it gives."""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from grasp_core import se3
from grasp_core.cell import Box
from grasp_core.errors import SeegraspError
from grasp_core.gripper import Gripper
from grasp_core.observation import Observation
from grasp_eval.detect import observe_images
from grasp_eval.synthetic import Scene, clutter, tabletop, wrist_camera
from grasp_perception.detectors import make_detector


def main(argv: list[str] | None = None) -> int:
    """Run the benchmark; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=20_000, help="points of the synthetic cloud")
    parser.add_argument("--runs", type=int, default=20, help="detections per scene")
    parser.add_argument("--data", type=Path, help="folder with real/<name>/{color.png,depth.png,camera.json}")
    parser.add_argument("--gripper", default="robotiq_2f85")
    parser.add_argument("--detector", default="analytic")
    parser.add_argument("--json", type=Path, help="also write the numbers here")
    args = parser.parse_args(argv)
    try:
        detector, gripper = make_detector(args.detector), Gripper.load(args.gripper)
        rows = []
        for name, observation, region in _scenes(args.points, args.data):
            rows.append(_measure(name, observation, region, detector, gripper, args.runs))
            _show(rows[-1])
    except SeegraspError as error:
        print(f"bench_detector: {error}", file=sys.stderr)
        return 1
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1) + "\n")
    return 0


def _scenes(points: int, data: Path | None) -> Iterator[tuple[str, Observation, Box]]:
    below = [0.5, 0.0, 0.0]
    scenes = {
        "synthetic table, 35 solids": (tabletop(), [0.5, -0.05, 0.8], Box([0.2, -0.25, 0.003], [0.82, 0.25, 0.3])),
        "synthetic bin, 30 solids": (clutter(1, 30), [0.5, -0.05, 0.7], Box([0.26, -0.19, 0.01], [0.74, 0.19, 0.25])),
    }
    for name, (scene, eye, region) in scenes.items():
        yield name, _seen(scene, se3.look_at(eye, below), points), region
    for folder in sorted((data / "real").iterdir()) if data else []:
        if "_empty" not in folder.name:
            found = observe_images(folder / "color.png", folder / "depth.png", folder / "camera.json", None)
            yield folder.name, found.observation, found.region


def _seen(scene: Scene, T_base_cam: np.ndarray, points: int) -> Observation:
    """The scene from above with 1 mm of noise in 5 mm voxels, thinned at random to the number of points."""
    seen = scene.observe(wrist_camera(), T_base_cam, voxel=0.005, noise=0.001)
    rows = np.random.default_rng(0).permutation(len(seen.cloud))[:points]
    return Observation(seen.cloud[np.sort(rows)], T_base_cam=seen.T_base_cam)


def _measure(
    name: str, observation: Observation, region: Box, detector: object, gripper: Gripper, runs: int
) -> dict[str, object]:
    """Milliseconds per stage, median and 95th percentile over the runs, after two runs to warm up."""
    totals, cpu, stages = [], [], {}
    grasps = None
    for i in range(runs + 2):
        start, start_cpu = time.perf_counter(), time.process_time()
        grasps = detector.detect(observation, gripper, region)
        elapsed, busy = time.perf_counter() - start, time.process_time() - start_cpu
        if i >= 2:
            totals.append(elapsed * 1e3)
            cpu.append(busy * 1e3)
            for stage, value in detector.timings.items():
                stages.setdefault(stage, []).append(value)
    return {
        "scene": name,
        "points": len(observation.cloud),
        "grasps": len(grasps),
        "best_score": float(grasps.score[0]) if len(grasps) else None,
        "total_ms": _summary(totals),
        "cpu_ms": _summary(cpu),
        "stages_ms": {stage: _summary(values) for stage, values in stages.items()},
    }


def _summary(values: list[float]) -> dict[str, float]:
    return {
        "min": round(float(np.min(values)), 1),
        "median": round(float(np.median(values)), 1),
        "p95": round(float(np.percentile(values, 95)), 1),
    }


def _show(row: dict) -> None:
    def text(v: dict) -> str:
        return f"{v['min']:8.1f} {v['median']:8.1f} {v['p95']:8.1f}"

    print(f"\n{row['scene']}: {row['points']} points, {row['grasps']} grasps")
    print(f"  {'ms':<20} {'min':>8} {'median':>8} {'p95':>8}")
    print(f"  {'total':<20} {text(row['total_ms'])}\n  {'cpu, all threads':<20} {text(row['cpu_ms'])}")
    for stage, values in row["stages_ms"].items():
        print(f"  {stage:<20} {text(values)}")


if __name__ == "__main__":
    sys.exit(main())
