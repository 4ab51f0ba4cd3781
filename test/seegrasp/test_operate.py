"""`seegrasp arm`, `pause`, `resume`, `stop`, `recover` against services of the same names."""

import threading
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from std_srvs.srv import SetBool, Trigger

from seegrasp import operate


@pytest.fixture
def arm_node(ros_domain: int) -> Iterator[SimpleNamespace]:
    context = rclpy.Context()
    context.init()
    node = Node("arm_node", context=context, namespace="left")
    heard: list[str] = []

    def answer(word: str, success: bool = True):
        def serve(request, response):
            heard.append(f"{word} {getattr(request, 'data', '')}".strip())
            response.success, response.message = success, f"{word} it is"
            return response

        return serve

    node.create_service(SetBool, "~/arm", answer("arm"))
    node.create_service(Trigger, "~/pause", answer("pause"))
    node.create_service(Trigger, "~/resume", answer("resume", success=False))
    node.create_service(Trigger, "~/stop", answer("stop"))
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    thread = threading.Thread(target=executor.spin, daemon=True)
    thread.start()
    yield SimpleNamespace(heard=heard, node=node, answer=answer)
    executor.shutdown()
    thread.join()
    node.destroy_node()
    context.try_shutdown()


def test_each_word_reaches_arm_node(arm_node, capsys: pytest.CaptureFixture) -> None:
    options = ["--namespace", "left", "--wait", "20"]
    assert [operate.arm(options), operate.pause(options), operate.stop(options)] == [0, 0, 0]
    assert arm_node.heard == ["arm True", "pause", "stop"]
    assert "seegrasp pause: pause it is" in capsys.readouterr().out
    assert operate.resume(options) == 1
    assert "resume it is" in capsys.readouterr().err


def test_a_stop_goes_to_pick_node_and_arm_node(arm_node, capsys: pytest.CaptureFixture) -> None:
    arm_node.node.create_service(Trigger, "/left/pick_node/stop", arm_node.answer("pick stop"))
    assert operate.stop(["--namespace", "left", "--wait", "20"]) == 0
    assert sorted(arm_node.heard) == ["pick stop", "stop"]
    told = capsys.readouterr().out
    assert "pick_node/stop: pick stop it is" in told
    assert "arm_node/stop: stop it is" in told


@pytest.mark.parametrize(("hangs", "answers"), [("pick_node", "arm_node"), ("arm_node", "pick_node")])
def test_a_stop_reaches_the_one_where_the_other_hangs(
    arm_node, capsys: pytest.CaptureFixture, hangs: str, answers: str
) -> None:
    hanging = Node(hangs, context=arm_node.node.context, namespace="right")  # there, but nobody spins it
    hanging.create_service(Trigger, "~/stop", lambda request, response: response)
    arm_node.node.create_service(Trigger, f"/right/{answers}/stop", arm_node.answer("stop"))
    assert operate.stop(["--namespace", "right", "--wait", "8"]) == 0
    assert arm_node.heard == ["stop"]
    told = capsys.readouterr().out
    assert f"{answers}/stop: stop it is" in told
    assert f"{hangs}/stop does not answer" in told
    hanging.destroy_node()


def test_nobody_there(ros_domain: int, capsys: pytest.CaptureFixture) -> None:
    assert operate.stop(["--wait", "0.3"]) == 1
    assert "no answer of pick_node/stop or arm_node/stop" in capsys.readouterr().err


@pytest.mark.parametrize("driver", ["ur_driver_node", "flexiv_driver_node"])
def test_recover_reaches_whichever_driver_there_is(arm_node, capsys: pytest.CaptureFixture, driver: str) -> None:
    arm_node.node.create_service(Trigger, f"/{driver}/recover", arm_node.answer(driver))
    assert operate.recover(["--namespace", "left", "--wait", "20"]) == 0
    assert arm_node.heard == [driver]
    assert f"seegrasp recover: {driver} it is" in capsys.readouterr().out
