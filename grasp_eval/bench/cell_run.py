"""One scene, cleared by the whole arm in the simulated cell without ROS; see `cell_bench`."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from arm_control.drop import DropSpots
from arm_control.grasping import grasp
from arm_control.picking import PUT_BACK
from arm_control.planning import make_planner
from arm_control.stages.context import ArmContext, GraspOutcome, PickContext
from arm_control.stages.observe import observe
from arm_control.stages.place import place
from arm_control.stages.result import Stage, StageResult, run_stage, run_stages
from arm_control.stages.verify import verify_placed
from grasp_core import se3
from grasp_core.arm import ArmProfile
from grasp_core.cell import PICK_FLOOR_GAP, PICK_HEIGHT, Box, Cell
from grasp_core.errors import ErrorCode, InputError
from grasp_core.grasps import Grasps
from grasp_core.gripper import Gripper
from grasp_core.observation import Observation
from grasp_eval.bench.cell_drivers import Arm, Carrier, Hand, Joints, TimedPlanner, branch
from grasp_perception.detectors import Detector
from grasp_perception.ingest import Ingest
from grasp_sim.noise import DepthNoise
from grasp_sim.rendering import CellRenderer
from grasp_sim.scenes import sample_scene
from grasp_sim.work_cell import WorkCell

LOOKS = 3  # looks at an unchanged scene until it is given up
SETTLE = 0.4  # s of simulated time before a look
AWAY = 5.0  # m, where lifted objects are put
SAME = 0.015  # m: a grasp this near a failed one is not tried again
LANDING = 0.5  # s of simulated time until a released object is looked for in the tray
AROUND = 0.05  # m around a scene without a bin in which grasps may lie
CARRY = (Stage("place", place), Stage("verify_place", verify_placed))
RETURN = Stage("return", observe)


@dataclass
class Attempt:
    """One grasp: what the detector expected and what came of it.

    `placed`: the object lay in the tray after it had been carried there. `carry_error`: why not. `motion_s`: simulated
    seconds by stage, the wait before the looks included; `computing_s`: wall clock by kind, since the attempt before.
    """

    seed: int
    index: int
    success: bool
    score: float | None
    stage: str
    error: str
    objects: list[str]
    placed: bool = False
    carry_error: str = ""
    motion_s: dict[str, float] = field(default_factory=dict)
    computing_s: dict[str, float] = field(default_factory=dict)


class StageTimes:
    """Simulated seconds by stage; call it with the name of the stage that begins."""

    def __init__(self, world: WorkCell) -> None:
        self._world, self._since, self._stage = world, world.time, ""
        self.seconds: dict[str, float] = {}

    def __call__(self, stage: str) -> None:
        if self._stage:
            self.seconds[self._stage] = self.seconds.get(self._stage, 0.0) + self._world.time - self._since
        self._stage, self._since = stage, self._world.time


class Bench:
    """One scene, cleared with the profiles of `cell_name`."""

    def __init__(
        self,
        cell_name: str,
        detector: Detector,
        objects: int,
        seed: int,
        min_score: float,
        kind: str = "bin",
    ) -> None:
        cell = Cell.load(cell_name)
        scene = sample_scene(kind, objects, seed, cell)
        self.cell = cell if scene.with_bin else cell.model_copy(update={"bin": None})
        self.region = cell.pick_region() if scene.with_bin else over(scene.area)
        arm, self.gripper = ArmProfile.load(cell.arm), Gripper.load(cell.gripper)
        self.seed, self.min_score = seed, min_score
        self.world = WorkCell(self.cell, arm, self.gripper, scene.objects, scene.poses, scene.with_bin)
        self.left = set(self.world.objects)
        urdf = arm.urdf_path.read_text(encoding="utf-8")
        self.planner = TimedPlanner(make_planner("builtin", urdf, arm, self.gripper, self.cell))
        self.detector = detector
        self.mount = cell.cameras[0]
        self.camera = self.mount.camera_profile.camera(self.mount.frame)
        self.noise = DepthNoise.from_profile(self.mount.camera_profile)
        self.ingest = Ingest(cell.workspace_box(), cell.base_frame)
        self.spots = DropSpots(cell)
        self.rng = np.random.default_rng(seed)
        self.failed: list[np.ndarray] = []
        self.computing: Counter[str] = Counter()  # s of wall clock since the last attempt
        self.waited = 0.0  # s of simulated time before looks since the last attempt

    def run(self, max_attempts: int) -> list[Attempt]:
        """Attempts until the scene is empty, nothing is found in three looks, or the attempts are used up."""
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
        self.waited += SETTLE
        world.refresh()
        frame = renderer.render(world.snapshot(), 0)
        depth = self.noise(frame.depth, self.rng, frame.color).astype(np.float32) * np.float32(self.camera.depth_scale)
        T_base_cam = world.T_base_tcp() @ se3.inverse(gripper.T_flange_tcp) @ self.mount.T_parent_optical
        start = time.perf_counter()
        cloud, _ = self.ingest(depth, frame.color, self.camera, T_base_cam)
        seen = time.perf_counter()
        try:
            grasps = self.detector.detect(Observation(cloud, T_base_cam=T_base_cam), gripper, self.region)
        except InputError as error:
            if error.code is not ErrorCode.EMPTY_CLOUD:
                raise
            grasps = Grasps.empty()
        self.computing.update(cloud=seen - start, detect=time.perf_counter() - seen)
        grasps = grasps[grasps.score >= self.min_score]
        for spot in self.failed:
            grasps = grasps[np.linalg.norm(grasps.t - spot, axis=1) >= SAME]
        return cloud.points, grasps

    def attempt(self, index: int, points: np.ndarray, grasps: Grasps) -> Attempt:
        """Plan and execute; what is held afterwards is taken away."""
        world = self.world
        times = StageTimes(world)
        before = self.planner.seconds
        context = ArmContext(
            self.planner, Arm(world), Hand(world), Joints(world), self.gripper, self.cell, grasps, points
        )
        context.on_stage = times
        result, _ = grasp(context)
        times("")
        carried = branch(world)
        world.run(0.3)
        held = world.held_objects() if result.ok else []
        executed = context.executed
        score = float(grasps.score[executed]) if executed >= 0 else None
        error = "" if held else "NOT_HELD" if result.ok else ErrorCode(result.code).name
        attempt = Attempt(self.seed, index, bool(held), score, result.stage, error, held)
        self.carry(carried, context, result, attempt)
        if held:
            self.failed.clear()
            self.take_away(held)
        elif executed >= 0:
            self.failed.append(grasps.t[executed])
        self.computing["plan"] += self.planner.seconds - before
        attempt.motion_s = {"wait": self.waited} | times.seconds | attempt.motion_s
        attempt.computing_s = dict(self.computing)
        self.computing.clear()
        self.waited = 0.0
        return attempt

    def carry(self, world: WorkCell, grasped: ArmContext, result: StageResult, attempt: Attempt) -> None:
        """Place what the stack takes for held, and go back to `observe`, both in `world`, a copy."""
        times = StageTimes(world)
        arm = Carrier(world, self.planner, grasped)
        now = lambda: round(world.time * 1e9)  # noqa: E731
        ctx = PickContext(arm, None, self.gripper, self.cell, self.region, self.spots, now, on_stage=times)
        if result.ok:
            ctx.held = grasped.held
            ctx.outcome = GraspOutcome(0, "", result.stage, grasped.executed, grasped.tried, grasped.width, {})
            last = run_stages(CARRY, ctx)[-1]
            attempt.carry_error = "" if last.ok else f"{last.code.name}: {last.message}"
            if not last.ok and arm.held() is not None:
                run_stage(PUT_BACK, ctx)
        back = run_stage(RETURN, ctx)
        if not back.ok:
            attempt.carry_error += f" no way back to observe: {back.code.name}: {back.message}"
        times("")
        attempt.motion_s = times.seconds
        if attempt.objects and not attempt.carry_error:
            world.run(LANDING)
            world.refresh()
            poses = world.object_poses()
            attempt.placed = all(bool(self.spots.inside.contains(poses[name][:3, 3])) for name in attempt.objects)
            attempt.carry_error = "" if attempt.placed else "released, but not in the tray"

    def take_away(self, names: list[str]) -> None:
        """Put objects out of the way."""
        model, data = self.world.model, self.world.data
        for name in names:
            self.left.discard(name)
            joint = model.body_jntadr[self.world.cell_model.objects[name]]
            position, velocity = model.jnt_qposadr[joint], model.jnt_dofadr[joint]
            data.qpos[position : position + 3] = [AWAY, AWAY + 0.3 * len(self.left), 0.0]
            data.qvel[velocity : velocity + 6] = 0.0


def over(area: Box) -> Box:
    """Where grasps may lie in a scene without a bin: above its area and a bit around it."""
    low, high = area.min - AROUND, area.max + AROUND
    return Box([*low[:2], area.min[2] + PICK_FLOOR_GAP], [*high[:2], area.min[2] + PICK_HEIGHT])
