"""`seegrasp arm`, `pause`, `resume`, `stop` and `recover`: the operator's word to the nodes."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rclpy.client import Client
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.task import Future
from std_srvs.srv import SetBool, Trigger

_WHAT = {
    "arm": "Allow goals to move the arm, until it is stopped. First look that nobody is in its reach.",
    "pause": "Stop what moves; its goal waits for `seegrasp resume`.",
    "resume": "Let what was paused go on from where the arm stands.",
    "stop": "Stop what moves, end it, and let nothing move before `seegrasp arm`. The emergency stop is the red one.",
    "recover": "Have our own driver (driver:=rtde or rdk) take up the robot again after a stop, or say what has to be "
    "done first. The arm stays where it is; a gripper that has to be activated opens and closes.",
}
_DRIVERS = ("/ur_driver_node/recover", "/flexiv_driver_node/recover")  # drivers are in no namespace of ours
_GRACE = 1.5  # s that the others have after the first answer to a stop
_WAIT, _WAIT_RECOVER = 5.0, 40.0  # s; a robot starts its program, a gripper opens and closes


def ask(word: str, namespace: str, wait_s: float) -> tuple[bool, str]:
    """Call the service of a word and wait `wait_s` s at most: whether it was done, and what was answered.

    A stop goes to all who can, at once: one of them may hang. pick_node ends the run and reaches the controller where
    arm_node hangs, arm_node ends its goal and disarms where pick_node does.
    """
    ours = ("pick_node", "arm_node") if word == "stop" else ("arm_node",)
    services = list(_DRIVERS) if word == "recover" else [f"{name}/{word}" for name in ours]
    kind, request = (SetBool, SetBool.Request(data=True)) if word == "arm" else (Trigger, Trigger.Request())
    with _operator(namespace) as (node, executor):
        clients = {service: node.create_client(kind, service) for service in services}
        answers, silent = _call(executor, clients, request, wait_s, everybody=word == "stop")
    if not answers:
        return False, f"no answer of {' or '.join(services)} within {wait_s:g} s: is it running, in this ROS_DOMAIN_ID?"
    told = [f"{service}: {answer.message}" for service, answer in answers.items()]
    told += [f"{service} does not answer" for service in silent]
    message = "; ".join(told) if len(told) > 1 else next(iter(answers.values())).message
    return any(answer.success for answer in answers.values()), message


@contextmanager
def _operator(namespace: str) -> Iterator[tuple[Node, SingleThreadedExecutor]]:
    context = Context()
    context.init()
    node = Node(
        "seegrasp_operator", context=context, namespace=namespace, enable_rosout=False, start_parameter_services=False
    )
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    try:
        yield node, executor
    finally:
        executor.shutdown()
        node.destroy_node()
        context.try_shutdown()


def _call(
    executor: SingleThreadedExecutor, clients: dict[str, Client], request: Any, wait_s: float, everybody: bool
) -> tuple[dict[str, Any], list[str]]:
    """Answers by service, and the services that were called and are silent; of `everybody` there is, or the first."""
    futures: dict[str, Future] = {}
    deadline = time.monotonic() + wait_s
    while True:
        for service, client in clients.items():
            if service not in futures and client.service_is_ready() and (everybody or not futures):
                futures[service] = client.call_async(request)
        executor.spin_once(timeout_sec=0.02)
        answers = {service: future.result() for service, future in futures.items() if future.done()}
        if answers:  # who is not heard of soon is not there, or hangs
            deadline = min(deadline, time.monotonic() + _GRACE)
        finished = len(answers) == (len(clients) if everybody else 1)
        if finished or time.monotonic() > deadline:
            return answers, [service for service in futures if service not in answers]


def _run(word: str, argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog=f"seegrasp {word}", description=_WHAT[word])
    parser.add_argument("--namespace", default="", help="of the nodes (none)")
    wait = _WAIT_RECOVER if word == "recover" else _WAIT
    parser.add_argument("--wait", type=float, default=wait, help=f"seconds to wait for the answer (default {wait:g})")
    args = parser.parse_args(argv)
    done, message = ask(word, args.namespace, args.wait)
    print(f"seegrasp {word}: {message}", file=sys.stdout if done else sys.stderr)
    return 0 if done else 1


def arm(argv: Sequence[str]) -> int:
    """`seegrasp arm`."""
    return _run("arm", argv)


def pause(argv: Sequence[str]) -> int:
    """`seegrasp pause`."""
    return _run("pause", argv)


def resume(argv: Sequence[str]) -> int:
    """`seegrasp resume`."""
    return _run("resume", argv)


def stop(argv: Sequence[str]) -> int:
    """`seegrasp stop`."""
    return _run("stop", argv)


def recover(argv: Sequence[str]) -> int:
    """`seegrasp recover`."""
    return _run("recover", argv)
