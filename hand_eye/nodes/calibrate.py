"""`seegrasp calibrate`: finds where a camera is on the arm or beside it, and checks it later.

Collects views of a printed board (--print), by hand with advice or by the arm itself (--auto), calculates, says how far
to trust the result, and keeps it in a file for the cell profile. docs/CALIBRATION.md leads through it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import rclpy
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from grasp_core.arm import ArmProfile
from grasp_core.board import Board
from grasp_core.calibration import MODES, Calibration, Mode
from grasp_core.cell import Cell, MountedCamera
from grasp_core.errors import ConfigError, SeegraspError
from grasp_core.gripper import Gripper
from hand_eye import printing, report
from hand_eye.kinematics import forward
from hand_eye.nodes import checking
from hand_eye.nodes.mover import Mover
from hand_eye.nodes.session import Session
from hand_eye.nodes.source import Source
from hand_eye.solve import solve
from hand_eye.verdict import judge
from hand_eye.views import Views


def parser() -> argparse.ArgumentParser:
    """The options of the command."""
    out = argparse.ArgumentParser(
        prog="seegrasp calibrate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = out.add_argument
    add("--mode", choices=MODES, help="camera on the flange, or beside the arm (default: by the camera's parent)")
    add("--cell", default="bin_picking", help="cell profile (default bin_picking)")
    add("--camera", default="camera", help="namespace of the camera in the cell profile (default camera)")
    add("--board", default="a4", help="board profile: name or YAML file (default a4)")
    add("--print", metavar="FILE", help="write the board as .pdf or .png in its true size, and nothing else")
    add("--poses", type=int, metavar="N", help="views to collect (default 15; with --check 6)")
    add("--auto", action="store_true", help="the arm moves itself, through arm_node, after you allowed it")
    add("--yes", action="store_true", help="with --auto or --touch: allow the arm to move without being asked")
    add("--speed", type=float, default=0.1, help="part of the arm's speeds, above 0 to 0.5 (default 0.1)")
    add(
        "--out", metavar="FILE", help="result (default out/calibration/<cell>_<camera>.yaml); the views beside it, .npz"
    )
    add("--solve", metavar="FILE", help="calculate again from the views of an earlier run (.npz); nothing is collected")
    add("--joint-offsets", action="store_true", help="also look for offsets of the arm's joints")
    add("--serial", default="", help="the camera's serial number (default: as its driver tells it)")
    add("--check", action="store_true", help="measure how well the result predicts where a board is, from new poses")
    add(
        "--touch",
        type=float,
        metavar="MM",
        help="with --check: drive the fingertips this high over corners of the board",
    )
    add("--namespace", default="", help="of arm_node (none)")
    add("--wait", type=float, default=5.0, metavar="S", help="how long to wait for camera and arm (default 5)")
    return out


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `seegrasp calibrate`: 0 trusted or good, 1 not, 2 wrong options."""
    out = parser()
    args = out.parse_args(argv)
    if args.poses is None:
        args.poses = 6 if args.check else 15
    if not 0.0 < args.speed <= 0.5 or args.poses < 3 or args.wait <= 0.0:
        out.error("expected --speed above 0 to 0.5, --poses of 3 or more, --wait above 0")
    if args.touch is not None and not (args.check and 5.0 <= args.touch <= 200.0):
        out.error("--touch goes with --check, and is 5 to 200 mm")
    try:
        return _run(args)
    except SeegraspError as error:
        print(f"seegrasp calibrate: {error.code.name}: {error}", file=sys.stderr)
        return 1


def _run(args: argparse.Namespace) -> int:
    board = Board.load(args.board)
    if args.print:
        print(printing.write(board, Path(args.print)))
        return 0
    cell = Cell.load(args.cell)
    mounted = find_camera(cell, args.camera)
    arm = ArmProfile.load(cell.arm)
    mode = find_mode(args.mode, mounted, arm)
    out = Path(args.out or f"out/calibration/{cell.name}_{mounted.namespace}.yaml")
    if args.solve:
        return _finish(args, Views.load(args.solve), board, mounted, arm, out, arm.urdf_path.read_text(), args.serial)
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    node = Node("seegrasp_calibrate", namespace=args.namespace)
    source = Source(node, mounted, arm)
    try:
        lens = source.lens(args.wait)
        session = Session(source, cell, board, mode, lens, Gripper.load(cell.gripper).T_flange_tcp)
        mover = Mover(node, cell.base_frame, args.speed)
        if args.auto or args.touch is not None:
            mover.require(args.wait)
        if args.check:
            return _check(args, session, mover, find_kept(args.out, mounted, out).T_parent_child)
        try:
            _collect(args, session, mover, mounted)
        finally:  # views are work: they outlive an arm that fails on the way
            if session.views:
                session.all().save(out.with_suffix(".npz"))
                print(f"{len(session.views)} views kept in {out.with_suffix('.npz')}", flush=True)
        views, urdf = session.all(), source.urdf or arm.urdf_path.read_text()
        return _finish(args, views, board, mounted, arm, out, urdf, args.serial or source.serial)
    finally:
        source.close()
        node.destroy_node()
        rclpy.try_shutdown()


def _collect(args: argparse.Namespace, session: Session, mover: Mover, mounted: MountedCamera) -> None:
    if args.auto:
        session.by_arm(args.poses, mover, mounted.T_parent_optical, args.yes)
    else:
        session.by_hand(args.poses)


def _check(args: argparse.Namespace, session: Session, mover: Mover, X: np.ndarray) -> int:
    results: list[bool | None] = []  # None: asked for, not measured
    if session.mode == "eye_to_hand" and args.touch is not None:  # then the board lies in the cell
        T_base_board = checking.lying(session, X)
    else:
        found = checking.predict(session, args.poses, mover if args.auto else None, X, args.yes)
        results.append(found.good)
        T_base_board = found.Y
    if args.touch is not None:
        results.append(checking.touch(session, mover, T_base_board, args.touch / 1e3, args.yes))
    print("not good" if False in results else "not measured" if None in results else "good")
    return 0 if all(results) else 1


def _finish(
    args: argparse.Namespace,
    views: Views,
    board: Board,
    mounted: MountedCamera,
    arm: ArmProfile,
    out: Path,
    urdf: str,
    serial: str,
) -> int:
    """Calculate, tell, keep."""
    kinematics = forward(urdf, arm.base_frame, arm.flange_frame, arm.joints) if args.joint_offsets else None
    solution = solve(views, kinematics)
    verdict = judge(solution)
    print(report.told(solution, verdict, mounted.T_parent_optical))
    if verdict.word == "wrong":
        print("nothing is kept: mend what is wrong and start anew", file=sys.stderr)
        return 1
    kept = report.calibration(
        solution, verdict, board, (mounted.parent, mounted.frame), mounted.namespace, serial, arm.joints
    )
    kept.save(out)
    print(f"kept in {out}; name it as `calibration:` of camera {mounted.namespace} in the cell profile")
    return 0 if verdict.word == "trust" else 1


def find_camera(cell: Cell, namespace: str) -> MountedCamera:
    """The cell's camera; ConfigError lists those that there are."""
    for camera in cell.cameras:
        if camera.namespace == namespace:
            return camera
    have = ", ".join(camera.namespace for camera in cell.cameras)
    raise ConfigError(f"cell {cell.name!r} has no camera {namespace!r}; it has: {have}")


def find_kept(asked: str | None, mounted: MountedCamera, out: Path) -> Calibration:
    """What `--check` checks: the file of `--out`, else the one that the cell names, else where a run writes it."""
    if asked is None and mounted.hand_eye is not None:
        return mounted.hand_eye
    return Calibration.load(out)


def find_mode(asked: str | None, mounted: MountedCamera, arm: ArmProfile) -> Mode:
    """The mode that the camera's parent frame means; ConfigError when another one is asked for."""
    by_parent = {arm.flange_frame: "eye_in_hand", arm.base_frame: "eye_to_hand"}
    mode = by_parent.get(mounted.parent)
    if mode is None:
        raise ConfigError(
            f"camera {mounted.namespace} is fixed to {mounted.parent!r} in the cell profile: expected the arm's flange "
            f"{arm.flange_frame!r} (eye_in_hand) or its base {arm.base_frame!r} (eye_to_hand)"
        )
    if asked is not None and asked != mode:
        raise ConfigError(
            f"--mode {asked}, but the cell profile has camera {mounted.namespace} fixed to {mounted.parent!r}, which "
            f"is {mode}: correct `parent` in a copy of the cell profile"
        )
    return mode


if __name__ == "__main__":
    sys.exit(main())
