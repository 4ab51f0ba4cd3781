"""Benchmark of the builtin planner in cluttered bins: `python -m grasp_eval.bench_planning --seed 0 --n 200`.

Each plan gets a fresh bin of random boxes and cylinders (their surface points as seen from above, with noise), a random
start and one grasp on one object. Successful plans are sampled every 10 ms and checked by `trajectory_check`, which
shares no code with the planner. Prints times by stage, outcomes by error code and contacts; `--json FILE` writes them.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from time import perf_counter, process_time

import numpy as np
from scipy.spatial import cKDTree

from arm_control.planning import GraspPlan, make_planner
from grasp_core import se3
from grasp_core.arm import ArmProfile
from grasp_core.cell import Cell
from grasp_core.errors import PlanningError
from grasp_core.gripper import Gripper
from grasp_eval.trajectory_check import TrajectoryChecker

POINT_SPACING = 0.005  # m, as camera_node's voxels
NOISE = 0.001  # m
CHECK_STEP = 0.01  # s
DOWN = np.diag([1.0, -1.0, -1.0])


def object_points(
    rng: np.random.Generator, centre: np.ndarray, size: np.ndarray, yaw: float, round_: bool
) -> np.ndarray:
    """Top and side points (N, 3) of an upright box or cylinder whose lowest point is `centre`, m."""
    spans = [np.arange(-s / 2, s / 2 + 1e-9, POINT_SPACING) for s in size[:2]]
    x, y = (a.ravel() for a in np.meshgrid(*spans))
    top = np.column_stack([x, y, np.full(len(x), size[2])])
    heights = np.arange(0.0, size[2], POINT_SPACING)
    if round_:
        top = top[np.hypot(x, y) <= size[0] / 2]
        a = np.arange(0, 2 * np.pi, POINT_SPACING / (size[0] / 2))
        rim = np.column_stack([np.cos(a), np.sin(a)]) * size[0] / 2
    else:
        edge = [np.column_stack([np.full(len(spans[1]), s * size[0] / 2), spans[1]]) for s in (-1, 1)]
        rim = np.concatenate(
            edge + [np.column_stack([spans[0], np.full(len(spans[0]), s * size[1] / 2)]) for s in (-1, 1)]
        )
    side = np.concatenate([np.column_stack([rim, np.full(len(rim), h)]) for h in heights])
    points = np.concatenate([top, side]) @ se3.rpy_matrix(0, 0, yaw).T + centre
    return points + rng.normal(0, NOISE, points.shape)


def make_bin(rng: np.random.Generator, cell: Cell, count: int) -> list[dict]:
    """Objects in the bin that do not overlap much: points, centre, size, yaw of each; some stand on boxes of 2-5 cm."""
    floor = cell.support_height()
    half = np.array(cell.bin.size) / 2 - 0.03
    out: list[dict] = []
    for _ in range(count * 6):
        round_ = bool(rng.random() < 0.4)
        size = np.array([rng.uniform(0.025, 0.07), rng.uniform(0.03, 0.12), rng.uniform(0.03, 0.11)])
        if round_:
            size[1] = size[0]
        centre = np.array([*(np.array(cell.bin.center) + rng.uniform(-half, half)), floor])
        near = [
            o for o in out if np.linalg.norm((o["centre"] - centre)[:2]) < 0.45 * (size[:2].max() + o["size"][:2].max())
        ]
        if near:
            continue
        centre[2] += rng.choice([0.0, 0.0, 0.03])
        yaw = rng.uniform(-np.pi, np.pi)
        out.append(
            {"points": object_points(rng, centre, size, yaw, round_), "centre": centre, "size": size, "yaw": yaw}
        )
        if len(out) == count:
            break
    return out


def make_grasp(rng: np.random.Generator, target: dict, gripper: Gripper) -> tuple[np.ndarray, np.ndarray, float]:
    """A grasp across the object's short side, tilted up to 25 degrees, 2-3 cm below its top: R, t, opening."""
    tilt = se3.exp_so3(np.array([*rng.uniform(-0.3, 0.3, 2), 0.0]))
    R = tilt @ se3.rpy_matrix(0, 0, target["yaw"] + rng.choice([0.0, np.pi])) @ DOWN
    deep = min(rng.uniform(0.02, 0.03), target["size"][2] - 0.012)
    t = target["centre"] + [0, 0, target["size"][2] - deep]
    return R, t, float(min(gripper.max_width, target["size"][0] + 0.015))


def random_start(rng: np.random.Generator, planner, arm: ArmProfile, cell: Cell) -> np.ndarray:
    """Home, or a free configuration with the hand pointing down to sideways above bin or tray."""
    if rng.random() < 0.4:
        return np.array(arm.poses["home"])
    while True:
        R = se3.exp_so3(np.array([*rng.uniform(-0.7, 0.7, 2), 0.0])) @ se3.rpy_matrix(0, 0, rng.uniform(-3, 3)) @ DOWN
        place = cell.tray if rng.random() < 0.5 else cell.bin
        t = [place.center[0] + rng.uniform(-0.1, 0.1), place.center[1] + rng.uniform(-0.1, 0.1), rng.uniform(0.15, 0.4)]
        try:
            return rng.choice(planner.ik(se3.make(R, t), np.array(arm.poses["home"])))
        except PlanningError:  # not free or not in reach: draw again
            continue


def recheck(checker: TrajectoryChecker, plan: GraspPlan, scene: cKDTree, others: cKDTree) -> dict[str, dict]:
    """Contacts (depth in mm by pair) on each part; the target's own points count on the approach only."""
    hand = checker.fingers(plan.width)
    out = {}
    for name in ("approach", "descent", "lift"):
        part = getattr(plan, name)
        cloud = scene if name == "approach" else others
        found: dict[str, float] = {}
        for t in np.arange(0.0, part.duration + CHECK_STEP, CHECK_STEP):
            for (a, b), depth in checker.contacts(part.sample(float(t)), hand, scene, cloud).items():
                found[f"{a} - {b}"] = max(found.get(f"{a} - {b}", 0.0), round(1000 * depth, 2))
        out[name] = found
    return out


def limit_excess(plan: GraspPlan, planner) -> float:
    """Largest ratio of joint velocity or acceleration to the limit over all three parts."""
    limits = planner.limits(None)
    parts = (plan.approach, plan.descent, plan.lift)
    return max(max((np.abs(p.qd) / limits.velocity).max(), (np.abs(p.qdd) / limits.acceleration).max()) for p in parts)


def run(seed: int, n: int, objects: int, check: bool) -> dict:
    """All measurements as a JSON-able dict."""
    arm, gripper, cell = ArmProfile.load("ur5e"), Gripper.load("robotiq_2f85"), Cell.load("bin_picking")
    planner = make_planner("builtin", arm.urdf_path.read_text(), arm, gripper, cell)
    checker = TrajectoryChecker(arm, gripper, cell)
    rng = np.random.default_rng(seed)
    rows: list[dict] = []
    for i in range(n):
        objs = make_bin(rng, cell, objects)
        k = int(rng.integers(len(objs)))
        scene = np.concatenate([o["points"] for o in objs])
        began = perf_counter()
        planner.set_scene(scene)
        row = {"scene": 1000 * (perf_counter() - began), "points": len(scene)}
        q = random_start(rng, planner, arm, cell)
        R, t, width = make_grasp(rng, objs[k], gripper)
        began, cpu = perf_counter(), process_time()
        try:
            plan = planner.plan_grasp(q, R, t, width)
            row["total_cpu"] = 1000 * (process_time() - cpu)
            row |= plan.timings | {"code": "OK", "excess": limit_excess(plan, planner), "index": i}
            row["approach"] = sum(plan.timings[s] for s in ("ik", "path", "timing"))
            row["duration"] = plan.approach.duration
            if check:
                others = np.concatenate([o["points"] for j, o in enumerate(objs) if j != k])
                row["contacts"] = recheck(checker, plan, cKDTree(scene), cKDTree(others))
        except PlanningError as error:
            row |= {"code": error.code.name, "message": str(error), "total": 1000 * (perf_counter() - began)}
        rows.append(row)
    return summarise(rows, seed, n)


def summarise(rows: list[dict], seed: int, n: int) -> dict:
    """Median, p95 and maximum by stage (ms), outcomes, contacts by part."""
    good = [r for r in rows if r["code"] == "OK"]

    def spread(values: list[float]) -> dict:
        p = np.percentile(values, [50, 95, 100]) if values else [np.nan] * 3
        return {"median": round(float(p[0]), 2), "p95": round(float(p[1]), 2), "max": round(float(p[2]), 2)}

    stages = {
        s: spread([r[s] for r in good]) for s in ("ik", "linear", "path", "timing", "approach", "total", "total_cpu")
    }
    stages["scene"] = spread([r["scene"] for r in rows])
    stages["rejected"] = spread([r["total"] for r in rows if r["code"] != "OK"])
    outcomes: dict[str, int] = {}
    for r in rows:
        outcomes[r["code"]] = outcomes.get(r["code"], 0) + 1
    checked = [r for r in good if "contacts" in r]
    contacts = {
        part: {
            "plans": sum(bool(r["contacts"][part]) for r in checked),
            "deepest_mm": max((max(r["contacts"][part].values(), default=0.0) for r in checked), default=0.0),
            "pairs": sorted({p for r in checked for p in r["contacts"][part]}),
        }
        for part in ("approach", "descent", "lift")
    }
    return {
        "seed": seed,
        "n": n,
        "points": spread([r["points"] for r in rows]),
        "stages_ms": stages,
        "outcomes": outcomes,
        "rechecked": len(checked),
        "contacts": contacts,
        "limit_ratio": max((r["excess"] for r in good), default=0.0),
        "approach_s": spread([r["duration"] for r in good]),
        "messages": [r["message"] for r in rows if r["code"] != "OK"],
    }


def show(result: dict) -> None:
    """The result as a table."""
    print(f"{'stage':<10}{'median ms':>12}{'p95 ms':>12}{'max ms':>12}")
    for name, s in result["stages_ms"].items():
        print(f"{name:<10}{s['median']:>12.1f}{s['p95']:>12.1f}{s['max']:>12.1f}")
    print("outcomes:", ", ".join(f"{k} {v}" for k, v in sorted(result["outcomes"].items())))
    slowest = result["approach_s"]["median"]
    print(f"joint limits used: {100 * result['limit_ratio']:.1f} %, approach {slowest:.2f} s median")
    print(f"rechecked {result['rechecked']} plans every {1000 * CHECK_STEP:.0f} ms:")
    for part, c in result["contacts"].items():
        print(f"  {part:<9} {c['plans']} plans with contact, deepest {c['deepest_mm']:.1f} mm {c['pairs']}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--n", type=int, default=200, help="number of plans")
    parser.add_argument("--objects", type=int, default=14, help="objects in the bin")
    parser.add_argument("--no-check", action="store_true", help="skip the dense recheck")
    parser.add_argument("--json", type=Path, help="write the result here")
    args = parser.parse_args()
    result = run(args.seed, args.n, args.objects, not args.no_check)
    show(result)
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
