"""`seegrasp pick`: asks the running pick_node to pick, shows stages and attempts; Ctrl-C cancels the goal."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

import rclpy
from rclpy.action import ActionClient
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from rclpy.task import Future
from seegrasp_msgs.action import Pick
from seegrasp_msgs.msg import PickAttempt

from grasp_core.errors import ErrorCode

GOOD = (ErrorCode.NONE, ErrorCode.REGION_CLEARED, ErrorCode.DRY_RUN)
_CANCEL_S = 20.0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="seegrasp pick", description=__doc__)
    parser.add_argument("--count", type=int, default=0, help="objects to pick; 0 (default): until nothing is left")
    parser.add_argument("--max-attempts", type=int, default=0, help="0 (default): what pick_node is set to")
    parser.add_argument("--min-score", type=float, default=0.0, help="lowest grasp score; 0 (default): the node's")
    parser.add_argument("--namespace", default="", help="of pick_node (none)")
    parser.add_argument("--wait", type=float, default=5.0, help="seconds to wait for pick_node (default 5)")
    return parser


def attempt_line(attempt: PickAttempt) -> str:
    """One finished attempt in words."""
    if attempt.success:
        outcome = "picked and placed"
    else:
        outcome = f"failed in {attempt.stage}: {code_name(attempt.error_code)} ({attempt.error_msg})"
    return f"attempt {attempt.index}: {outcome}, {attempt.duration_s:.1f} s"


def code_name(code: int) -> str:
    """The name of an error code, or its number when this version does not know it."""
    return ErrorCode(code).name if code in ErrorCode._value2member_map_ else f"code {code}"


class _Progress:
    """Prints a line when the stage changes and one for every finished attempt."""

    def __init__(self) -> None:
        self._last = ("", 0)

    def __call__(self, message: Pick.Impl.FeedbackMessage) -> None:
        feedback = message.feedback
        for attempt in feedback.finished:
            print(attempt_line(attempt), flush=True)
        now = (feedback.stage, feedback.attempt)
        if now != self._last:
            self._last = now
            print(f"attempt {feedback.attempt}: {feedback.stage} (picked {feedback.picked})", flush=True)


def _await(node: Node, future: Future, timeout_s: float | None = None) -> bool:
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    while not future.done():
        if deadline is not None and time.monotonic() > deadline:
            return False
        rclpy.spin_once(node, timeout_sec=0.2)
    return True


def pick(node: Node, goal: Pick.Goal, wait_s: float) -> int:
    """Send the goal, show progress, return the exit code: 0 when the region was cleared or the count reached."""
    client = ActionClient(node, Pick, "pick")
    deadline = time.monotonic() + wait_s
    while not client.server_is_ready():
        if time.monotonic() > deadline:
            name = node.resolve_topic_name("pick")
            print(
                f"seegrasp pick: no action server {name} within {wait_s:g} s: start it with `seegrasp up sim`, or "
                "check ROS_DOMAIN_ID",
                file=sys.stderr,
            )
            return 1
        rclpy.spin_once(node, timeout_sec=0.1)
    sending = client.send_goal_async(goal, feedback_callback=_Progress())
    if not _await(node, sending, wait_s) or not sending.result().accepted:
        print(
            "seegrasp pick: pick_node refused the goal: it is busy, or a value is out of range (see its log)",
            file=sys.stderr,
        )
        return 1
    handle = sending.result()
    result_future = handle.get_result_async()
    try:
        _await(node, result_future)
    except KeyboardInterrupt:
        print("cancelling; the arm finishes what it must", flush=True)
        _await(node, handle.cancel_goal_async(), _CANCEL_S)
        if not _await(node, result_future, _CANCEL_S):
            print(f"seegrasp pick: no end {_CANCEL_S:g} s after cancelling", file=sys.stderr)
            return 1
    result = result_future.result().result
    print(
        f"picked {result.picked} in {len(result.attempts)} attempts: {code_name(result.error_code)} {result.error_msg}"
    )
    return 0 if result.error_code in GOOD else 1


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `seegrasp pick`."""
    args = _parser().parse_args(argv)
    if args.count < 0 or args.max_attempts < 0 or not 0.0 <= args.min_score <= 1.0:
        print(
            "seegrasp pick: expected --count and --max-attempts of 0 or more, --min-score from 0 to 1", file=sys.stderr
        )
        return 2
    goal = Pick.Goal(count=args.count, max_attempts=args.max_attempts, min_score=args.min_score)
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    node = Node("seegrasp_pick", namespace=args.namespace)
    try:
        return pick(node, goal, args.wait)
    finally:
        node.destroy_node()
        rclpy.try_shutdown()


if __name__ == "__main__":
    sys.exit(main())
