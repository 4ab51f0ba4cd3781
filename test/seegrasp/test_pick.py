"""`seegrasp pick` against an action server of the same type."""

import threading
from collections.abc import Callable, Iterator

import pytest
import rclpy
from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.executors import MultiThreadedExecutor
from rclpy.node import Node
from seegrasp_msgs.action import Pick
from seegrasp_msgs.msg import PickAttempt

from grasp_core.errors import ErrorCode
from seegrasp import pick


@pytest.fixture
def serve(ros_domain: int) -> Iterator[Callable]:
    context = rclpy.Context()
    context.init()
    node = Node("pick_node", context=context)
    executor = MultiThreadedExecutor(2, context=context)
    executor.add_node(node)
    thread = threading.Thread(target=executor.spin, daemon=True)
    thread.start()

    def start(execute: Callable, accept: bool = True) -> None:
        answer = GoalResponse.ACCEPT if accept else GoalResponse.REJECT
        ActionServer(
            node,
            Pick,
            "/pick",
            execute,
            goal_callback=lambda _: answer,
            cancel_callback=lambda _: CancelResponse.ACCEPT,
        )

    yield start
    executor.shutdown()
    thread.join()
    node.destroy_node()
    context.try_shutdown()


def test_shows_progress_and_result(serve, capsys: pytest.CaptureFixture) -> None:
    asked = []

    def execute(handle):
        asked.append(handle.request)
        good = PickAttempt(index=0, success=True, duration_s=9.5)
        bad = PickAttempt(index=1, stage="lift", error_code=int(ErrorCode.OBJECT_LOST), error_msg="slipped")
        handle.publish_feedback(Pick.Feedback(stage="observe", attempt=0))
        handle.publish_feedback(Pick.Feedback(stage="observe", attempt=1, picked=1, finished=[good, bad]))
        handle.succeed()
        return Pick.Result(error_code=int(ErrorCode.REGION_CLEARED), picked=1, attempts=[good, bad])

    serve(execute)
    assert pick.main(["--count", "4", "--min-score", "0.5", "--wait", "30"]) == 0
    assert (asked[0].count, asked[0].min_score) == (4, 0.5)
    said = capsys.readouterr().out
    assert "picked 1 in 2 attempts: REGION_CLEARED" in said


def test_a_failed_run_has_exit_code_1(serve, capsys: pytest.CaptureFixture) -> None:
    def execute(handle):
        handle.abort()
        return Pick.Result(error_code=int(ErrorCode.NO_DEPTH), error_msg="no cloud for 5 s")

    serve(execute)
    assert pick.main(["--wait", "30"]) == 1
    assert "NO_DEPTH no cloud for 5 s" in capsys.readouterr().out


def test_a_refused_goal(serve, capsys: pytest.CaptureFixture) -> None:
    serve(lambda handle: Pick.Result(), accept=False)
    assert pick.main(["--wait", "30"]) == 1
    assert "refused the goal" in capsys.readouterr().err


def test_nobody_there(ros_domain: int, capsys: pytest.CaptureFixture) -> None:
    assert pick.main(["--wait", "0.3"]) == 1
    assert "no action server /pick" in capsys.readouterr().err


def test_values_out_of_range(capsys: pytest.CaptureFixture) -> None:
    assert pick.main(["--min-score", "2"]) == 2
    assert "from 0 to 1" in capsys.readouterr().err


def test_a_finished_attempt_in_words() -> None:
    lost = PickAttempt(index=3, stage="lift", error_code=403, error_msg="slipped", duration_s=7.0)
    assert pick.attempt_line(lost) == "attempt 3: failed in lift: OBJECT_LOST (slipped), 7.0 s"
    assert pick.code_name(9999) == "code 9999"
