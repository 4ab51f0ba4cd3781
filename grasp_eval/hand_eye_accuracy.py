"""How accurate a hand-eye calibration is, on rendered pictures of a board in the simulated cell.

    python -m grasp_eval.hand_eye_accuracy --seeds 10 --out out/hand_eye

In every seed the camera is mounted somewhat off the cell's profile and the board lies somewhere else. The tour of
`seegrasp calibrate --auto` chooses the looks, the planner of arm_node says which can be reached, MuJoCo renders them,
and the same gate, detector and solver as in the command make the result, which is compared with the truth. Noise of the
arm and of the detection is added to the same views afterwards, with the same seed.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from arm_control.planning import make_planner
from grasp_core import se3
from grasp_core.arm import ArmProfile
from grasp_core.board import Board
from grasp_core.calibration import MODES, Mode
from grasp_core.cell import Cell
from grasp_core.errors import InputError, PlanningError
from grasp_core.gripper import Gripper
from grasp_sim.calibration_board import BoardPlace
from grasp_sim.noise.grain import grain
from grasp_sim.rendering import CellRenderer
from grasp_sim.work_cell import WorkCell
from hand_eye import board_poses, geometry
from hand_eye.detection import Detector, Lens
from hand_eye.gate import Gate, Shot
from hand_eye.kinematics import forward
from hand_eye.looks import Design
from hand_eye.refine import by_pixels
from hand_eye.solve import Solution, solve
from hand_eye.tour import Fence, Mounting, Tour
from hand_eye.verdict import judge
from hand_eye.views import View, Views

GRAIN = 2.5  # of 255, noise of the pictures
MOUNT = (0.01, np.deg2rad(3.0))  # m, rad: how far the camera is off its profile, one standard deviation of a coordinate
SHOTS = 8  # pictures from one pose at most
PERIOD_NS = 100_000_000
PIXEL = 0.3  # px: detection noise of a corner in the noisy variants
MM, DEG = 2e-3, np.deg2rad(0.2)  # of the noisy variants


@dataclass(frozen=True)
class Rig:
    """A simulated cell with a board: the truth X and Y, and where the camera is thought to be."""

    mode: Mode
    cell: Cell
    world: WorkCell
    camera: int
    board: Board
    X: np.ndarray
    Y: np.ndarray
    nominal: np.ndarray


def make_rig(mode: Mode, seed: int) -> Rig:
    """The rig of a seed."""
    rng = np.random.default_rng([seed, MODES.index(mode)])
    cell, board = Cell.load("bin_picking"), Board.load("a4")
    arm, gripper = ArmProfile.load(cell.arm), Gripper.load(cell.gripper)
    index = 0 if mode == "eye_in_hand" else 1
    mounted = cell.cameras[index]
    nominal = mounted.T_parent_optical
    X = geometry.moved(nominal, np.concatenate([rng.normal(0, MOUNT[0], 3), rng.normal(0, MOUNT[1], 3)]))
    if mode == "eye_in_hand":
        yaw = rng.uniform(-0.5, 0.5) + np.pi / 2
        place = [*np.array([0.5, 0.0]) + rng.uniform(-0.03, 0.03, 2), 0.1]
        frame, centre = arm.base_frame, se3.make(se3.rpy_matrix(np.pi, 0.0, yaw), place)
    else:
        turn = se3.exp_so3(rng.normal(0, 0.05, 3))
        frame, centre = arm.flange_frame, se3.make(turn, np.array([0.0, -0.19, 0.04]) + rng.normal(0, 0.005, 3))
    Y = centre @ se3.make(np.eye(3), -board.centre)
    roll, pitch, yaw = _rpy(X)
    moved = mounted.model_copy(update={"position": tuple(X[:3, 3].tolist()), "rpy": (roll, pitch, yaw)})
    cameras = tuple(moved if i == index else c for i, c in enumerate(cell.cameras))
    cell = cell.model_copy(update={"cameras": cameras})
    world = WorkCell(cell, arm, gripper, with_bin=False, board=BoardPlace(board, frame, Y))
    world.place_arm(np.array(cell.poses["observe"]))
    return Rig(mode, cell, world, index, board, X, Y, nominal)


def _rpy(T: np.ndarray) -> tuple[float, float, float]:
    R = T[:3, :3]
    return (
        float(np.arctan2(R[2, 1], R[2, 2])),
        float(np.arcsin(np.clip(-R[2, 0], -1, 1))),
        float(np.arctan2(R[1, 0], R[0, 0])),
    )


def collect(rig: Rig, count: int, seed: int) -> Views:
    """Up to `count` views of a tour."""
    world, arm, gripper = rig.world, rig.world.arm_profile, rig.world.gripper_profile
    planner = make_planner("builtin", arm.urdf_path.read_text(), arm, gripper, rig.cell)
    planner.set_scene(None)
    camera = rig.cell.cameras[rig.camera].camera_profile.camera("camera")
    lens = Lens(camera.K, np.zeros(0), (camera.width, camera.height))
    eye = _Eye(rig, lens, np.random.default_rng([seed, 7]))
    tcp = gripper.T_flange_tcp
    with CellRenderer(world.cell_model) as eye.renderer:
        views = eye.look([])
        if not views:
            raise InputError(f"seed {seed}: the board is not seen from the first pose")
        first, flange = _seen(views, rig, lens)[0], views[0].T_base_flange
        T_other_parent = flange if rig.mode == "eye_in_hand" else se3.inverse(flange)
        Y = T_other_parent @ rig.nominal @ first
        fence = Fence(rig.cell, flange, Mounting.of(rig.mode, rig.nominal, Y, rig.board, tcp))
        tour = Tour.plan(Design(rig.mode, rig.nominal, Y), fence, rig.board, lens.K, lens.size, first)
        while len(views) < count:
            target = tour.next(views[-1].T_base_flange)
            if target is None:
                break
            try:
                path = planner.plan_linear(world.q.copy(), target @ tcp, gripper.max_width)
            except PlanningError:
                continue
            world.place_arm(path.q[-1])
            views += eye.look(views)
            tour.taken = list(_seen(views, rig, lens))
    return Views.of(views, rig.mode, lens.K, rig.board.corners)


def _seen(views: Sequence[View], rig: Rig, lens: Lens) -> np.ndarray:
    all_views = Views.of(views, rig.mode, lens.K, rig.board.corners)
    return board_poses.fit(all_views, board_poses.first_guess(all_views)).T_cam_board


class _Eye:
    """Takes noisy pictures from where the arm stands, until the gate has a view or gives up."""

    renderer: CellRenderer

    def __init__(self, rig: Rig, lens: Lens, rng: np.random.Generator) -> None:
        self._rig, self._rng = rig, rng
        self._detector, self._gate = Detector(rig.board), Gate(len(rig.board.corners), lens)
        self._stamp = 0

    def look(self, taken: Sequence[View]) -> list[View]:
        """One view, or none."""
        world = self._rig.world
        picture = self.renderer.render(world.snapshot(), self._rig.camera).color
        flange = world.body_pose(world.model.body(world.arm_profile.flange_frame).id)
        self._stamp += 100 * PERIOD_NS
        for _ in range(SHOTS):
            self._stamp += PERIOD_NS
            try:
                found = self._detector.find(grain(picture, GRAIN, self._rng))
            except InputError:
                return []
            answer = self._gate.offer(Shot(self._stamp, found, flange, world.q.copy()), taken)
            if answer.view is not None:
                return [answer.view]
            if not answer.waiting:
                return []
        return []


def variants(views: Views, rig: Rig, seed: int) -> Iterator[tuple[str, Views]]:
    """The same views as they are, and with noise."""
    arm = rig.world.arm_profile
    yield "as rendered", views
    rng = np.random.default_rng([seed, 11])
    off = np.concatenate([rng.normal(0, MM, (len(views), 3)), rng.normal(0, DEG, (len(views), 3))], axis=1)
    pixels = views.pixels + rng.normal(0, PIXEL, views.pixels.shape)
    yield "arm 2 mm, 0.2 deg", replace(views, T_base_flange=geometry.moved(views.T_base_flange, off), pixels=pixels)
    kinematics = forward(arm.urdf_path.read_text(), arm.base_frame, arm.flange_frame, arm.joints)
    told = kinematics(views.joints + rng.normal(0, DEG, views.joints.shape))
    yield "joints 0.2 deg", replace(views, T_base_flange=told, pixels=pixels)
    yield "joints 0.2 deg, board 2 mm", replace(views, T_base_flange=told, pixels=pixels + _shaken(views, rig, rng))


def _shaken(views: Views, rig: Rig, rng: np.random.Generator) -> np.ndarray:
    """(M, 2) px: what a board that is seen 2 mm (each coordinate) off its place moves the corners by."""
    T = geometry.board_in_camera(views, rig.X, rig.Y)
    off = T.copy()
    off[:, :3, 3] += rng.normal(0, MM, (len(views), 3))
    return geometry.errors(views, off) - geometry.errors(views, T)


def compare(rig: Rig, X: np.ndarray) -> tuple[float, float]:
    """Error of X: mm, deg."""
    apart = np.linalg.norm(X[:3, 3] - rig.X[:3, 3]) * 1e3
    return float(apart), float(np.rad2deg(se3.rotation_angle(X[:3, :3], rig.X[:3, :3])))


def measure(mode: Mode, seed: int, counts: Sequence[int]) -> Iterator[dict]:
    """A row for every number of views and every variant."""
    rig = make_rig(mode, seed)
    views = collect(rig, max(counts), seed)
    for count in counts:
        some = views.keep(np.arange(len(views)) < count)
        for name, noisy in variants(some, rig, seed):
            yield {"mode": mode, "seed": seed, "views": len(some), "asked": count, "noise": name} | _row(rig, noisy)


def _row(rig: Rig, views: Views) -> dict:
    found: Solution = solve(views)
    mm, deg = compare(rig, found.X)
    plain = compare(rig, by_pixels(views.keep(found.used), found.candidates[0].X, found.candidates[0].Y)[0])
    return {
        "mm": mm,
        "deg": deg,
        "verdict": judge(found).word,
        "uncertain_mm": found.uncertainty[0],
        "used": int(found.used.sum()),
        "pixels_only_mm": plain[0],
        "closed_form_mm": {c.name: compare(rig, c.X)[0] for c in found.candidates},
    }


def table(rows: Sequence[dict]) -> str:
    """Median, standard deviation and worst of all seeds, as Markdown."""
    lines = [
        "| mode | views | noise | mm: median | spread | worst | deg: median | worst | trusted | pixels only, worst |",
        "|---|---:|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    keys = sorted({(r["mode"], r["asked"]) for r in rows})
    for mode, asked in keys:
        for noise in dict.fromkeys(r["noise"] for r in rows):
            some = [r for r in rows if (r["mode"], r["asked"], r["noise"]) == (mode, asked, noise)]
            mm, deg = np.array([[r["mm"], r["deg"]] for r in some]).T
            trusted = sum(r["verdict"] == "trust" for r in some)
            plain = max(r["pixels_only_mm"] for r in some)
            lines.append(
                f"| {mode} | {asked} | {noise} | {np.median(mm):.2f} | {mm.std():.2f} | {mm.max():.2f} | "
                f"{np.median(deg):.3f} | {deg.max():.3f} | {trusted} of {len(some)} | {plain:.2f} |"
            )
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="python -m grasp_eval.hand_eye_accuracy", description=__doc__)
    parser.add_argument("--seeds", type=int, default=10, help="number of seeds, from 0 (default 10)")
    parser.add_argument("--poses", type=int, nargs="+", default=[15, 30], help="numbers of views (default 15 30)")
    parser.add_argument("--mode", choices=MODES, nargs="+", default=MODES, help="default: both")
    parser.add_argument("--out", type=Path, default=Path("out/hand_eye"), help="folder (default out/hand_eye)")
    args = parser.parse_args(argv)
    rows: list[dict] = []
    for seed in range(args.seeds):
        for mode in args.mode:
            rows += measure(mode, seed, args.poses)
            print(f"seed {seed} {mode}: {rows[-1]['views']} views", file=sys.stderr, flush=True)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "rows.json").write_text(json.dumps(rows, indent=1), encoding="utf-8")
    text = table(rows)
    (args.out / "table.md").write_text(text + "\n", encoding="utf-8")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
