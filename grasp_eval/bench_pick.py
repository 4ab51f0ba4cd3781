"""Picking in the simulated cell without ROS: the same detector, planner and stages, faster than real time.

`python -m grasp_eval.bench_pick --seeds 40:60` clears one bin per seed and prints a table and JSON. Time stands still
while the stack computes, and a lifted object is taken away instead of being carried to the tray, so this measures
detection, planning and grasping alone; `seegrasp demo` measures the whole.
"""

import argparse
import json
from collections import Counter
from dataclasses import asdict, dataclass

import numpy as np

from arm_control.drivers.joint_states import JointSample
from arm_control.grasping import grasp
from arm_control.planning import Trajectory, make_planner
from arm_control.stages.context import ArmContext
from grasp_core import se3
from grasp_core.arm import ArmProfile
from grasp_core.cell import Cell
from grasp_core.errors import ErrorCode, ExecutionError, InputError
from grasp_core.grasps import Grasps
from grasp_core.gripper import Gripper
from grasp_core.observation import Observation
from grasp_perception.detectors import make_detector
from grasp_perception.ingest import Ingest
from grasp_sim.arm_controller import Goal, Outcome, Tolerances
from grasp_sim.gripper_controller import GripperCommand
from grasp_sim.noise import DepthNoise
from grasp_sim.rendering import CellRenderer
from grasp_sim.scenes import sample_scene
from grasp_sim.trajectory import Spline
from grasp_sim.work_cell import WorkCell

LOOKS = 3  # looks at an unchanged scene until it is given up
SETTLE = 0.4  # s of simulated time before a look
AWAY = 5.0  # m, where lifted objects are put
SAME = 0.015  # m: a grasp this near a failed one is not tried again


class Arm:
    """Follows trajectories in the work cell."""

    def __init__(self, cell: WorkCell) -> None:
        self._cell = cell

    def execute(self, trajectory: Trajectory, cancel: object, settle: bool = True) -> None:
        """Step the physics until the trajectory has ended; ExecutionError when it did not succeed."""
        free = np.full(trajectory.q.shape[1], np.inf)
        tolerances = Tolerances(np.full_like(free, 0.2), free, np.full_like(free, 0.02), free, 1.0)
        spline = Spline(trajectory.times, trajectory.q, trajectory.qd, trajectory.qdd)
        goal = Goal(spline, self._cell.time, tolerances)
        self._cell.arm.follow(goal)
        while goal.outcome is None:
            self._cell.step(5)
        if goal.outcome is not Outcome.SUCCEEDED:
            raise ExecutionError(f"trajectory ended with {goal.outcome.name}: {goal.message}")


class PendingGrip:
    """A gripper command under way."""

    def __init__(self, cell: WorkCell, command: GripperCommand) -> None:
        self._cell, self._command = cell, command

    def finish(self, cancel: object) -> float:
        """Step the physics until the fingers rest; the opening in m."""
        limit = self._cell.time + 5.0
        while not self._command.done:
            if self._cell.time > limit:
                raise ExecutionError("the fingers do not come to rest", ErrorCode.GRIPPER_FAILED)
            self._cell.step(5)
        return self._cell.width


class Hand:
    """Moves the fingers in the work cell."""

    def __init__(self, cell: WorkCell) -> None:
        self._cell = cell

    def start(self, width: float, force: float | None = None, allow_stall: bool = False) -> PendingGrip:
        """Begin to move to `width` m."""
        return PendingGrip(self._cell, self._cell.gripper.move(width, force))

    def move(self, width: float, cancel: object, force: float | None = None, allow_stall: bool = False) -> float:
        """`start` and `finish`."""
        return self.start(width, force, allow_stall).finish(cancel)

    def width(self) -> float:
        """The opening, m."""
        return self._cell.width


class Joints:
    """The joint states of the work cell."""

    def __init__(self, cell: WorkCell) -> None:
        self._cell = cell

    def arm(self) -> JointSample:
        """The present positions and velocities."""
        return JointSample(q=self._cell.q.copy(), qd=self._cell.qd.copy(), stamp=round(self._cell.time * 1e9))


@dataclass
class Attempt:
    """One grasp: what the detector expected and what came of it."""

    seed: int
    index: int
    success: bool
    score: float
    stage: str
    error: str
    objects: list[str]


class Bench:
    """One bin of objects, cleared with the profiles of `cell_name`."""

    def __init__(self, cell_name: str, detector: str, objects: int, seed: int, min_score: float) -> None:
        self.cell = Cell.load(cell_name)
        arm, self.gripper = ArmProfile.load(self.cell.arm), Gripper.load(self.cell.gripper)
        scene = sample_scene("bin", objects, seed, self.cell)
        self.seed, self.min_score = seed, min_score
        self.world = WorkCell(self.cell, arm, self.gripper, scene.objects, scene.poses)
        self.left = set(self.world.objects)
        urdf = arm.urdf_path.read_text(encoding="utf-8")
        self.planner = make_planner("builtin", urdf, arm, self.gripper, self.cell)
        self.detector = make_detector(detector)
        self.mount = self.cell.cameras[0]
        self.camera = self.mount.camera_profile.camera(self.mount.frame)
        self.noise = DepthNoise.from_profile(self.mount.camera_profile)
        self.ingest = Ingest(self.cell.workspace_box(), self.cell.base_frame)
        self.rng = np.random.default_rng(seed)
        self.failed: list[np.ndarray] = []

    def run(self, max_attempts: int) -> list[Attempt]:
        """Attempts until the bin is empty, nothing is found in three looks, or the attempts are used up."""
        attempts: list[Attempt] = []
        looks = 0
        with CellRenderer(self.world.cell_model) as renderer:
            while len(attempts) < max_attempts and looks < LOOKS and self.left:
                points, grasps = self.look(renderer)
                if len(grasps) == 0:
                    looks += 1
                    continue
                looks = 0
                attempts.append(self.attempt(len(attempts), points, grasps))
        return attempts

    def look(self, renderer: CellRenderer) -> tuple[np.ndarray, Grasps]:
        """The cloud (N, 3) from the observe pose, and the grasps in it that are worth a try."""
        world, gripper = self.world, self.gripper
        world.place_arm(np.array(self.cell.poses["observe"]))
        world.gripper.move(gripper.max_width)
        world.run(SETTLE)
        world.refresh()
        frame = renderer.render(world.snapshot(), 0)
        depth = self.noise(frame.depth, self.rng, frame.color).astype(np.float32) * np.float32(self.camera.depth_scale)
        T_base_cam = world.T_base_tcp() @ se3.inverse(gripper.T_flange_tcp) @ self.mount.T_parent_optical
        cloud, _ = self.ingest(depth, frame.color, self.camera, T_base_cam)
        try:
            grasps = self.detector.detect(Observation(cloud, T_base_cam=T_base_cam), gripper, self.cell.pick_region())
        except InputError as error:
            if error.code is not ErrorCode.EMPTY_CLOUD:
                raise
            grasps = Grasps.empty()
        grasps = grasps[grasps.score >= self.min_score]
        for place in self.failed:
            grasps = grasps[np.linalg.norm(grasps.t - place, axis=1) >= SAME]
        return cloud.points, grasps

    def attempt(self, index: int, points: np.ndarray, grasps: Grasps) -> Attempt:
        """Plan and execute; what is held afterwards is taken away."""
        world = self.world
        context = ArmContext(
            self.planner, Arm(world), Hand(world), Joints(world), self.gripper, self.cell, grasps, points
        )
        result, _ = grasp(context)
        world.run(0.3)
        held = world.held_objects() if result.ok else []
        executed = context.executed
        if held:
            self.failed.clear()
            self.take_away(held)
        elif executed >= 0:
            self.failed.append(grasps.t[executed])
        score = float(grasps.score[executed]) if executed >= 0 else float("nan")
        error = "" if held else ErrorCode(result.code).name
        return Attempt(self.seed, index, bool(held), score, result.stage, error, held)

    def take_away(self, names: list[str]) -> None:
        """Put objects out of the way."""
        model, data = self.world.model, self.world.data
        for name in names:
            self.left.discard(name)
            joint = model.body_jntadr[self.world.cell_model.objects[name]]
            position, velocity = model.jnt_qposadr[joint], model.jnt_dofadr[joint]
            data.qpos[position : position + 3] = [AWAY, AWAY + 0.3 * len(self.left), 0.0]
            data.qvel[velocity : velocity + 6] = 0.0


def main(argv: list[str] | None = None) -> int:
    """See the module; 0."""
    parser = argparse.ArgumentParser(prog="python -m grasp_eval.bench_pick", description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", default="0:5", help="FIRST:END (default 0:5)")
    parser.add_argument("--objects", type=int, default=10)
    parser.add_argument("--max-attempts", type=int, default=20, help="in one bin")
    parser.add_argument("--min-score", type=float, default=0.2)
    parser.add_argument("--detector", default="analytic")
    parser.add_argument("--cell", default="bin_picking")
    parser.add_argument("--json", help="file for the attempts")
    args = parser.parse_args(argv)
    first, end = (int(v) for v in args.seeds.split(":"))
    attempts: list[Attempt] = []
    left = 0
    for seed in range(first, end):
        bench = Bench(args.cell, args.detector, args.objects, seed, args.min_score)
        done = bench.run(args.max_attempts)
        attempts += done
        left += len(bench.left)
        print(
            f"seed {seed}: {sum(a.success for a in done)} of {len(done)} attempts, left {sorted(bench.left)}",
            flush=True,
        )
    total, good = (end - first) * args.objects, sum(a.success for a in attempts)
    rate = good / max(len(attempts), 1)
    print(f"{good} of {len(attempts)} attempts ({rate:.1%}); {total - left} of {total} objects taken out")
    print("failures:", dict(Counter(f"{a.stage} {a.error}" for a in attempts if not a.success)))
    if args.json:
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump([asdict(a) for a in attempts], file, indent=1)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
