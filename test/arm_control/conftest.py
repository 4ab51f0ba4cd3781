"""A fake robot and a real arm_node on a domain of their own, shared by the tests of a module."""

import time
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import rclpy
from rclpy.context import Context
from rclpy.node import Node

from test.domains import own_domain


@pytest.fixture(scope="module")
def ros() -> Iterator[SimpleNamespace]:
    """A context on a domain of its own, and `spin(*nodes, threads)`; all ends with the module."""
    from test.arm_control.fakes import Spinner

    with own_domain() as domain:
        context = Context()
        rclpy.init(context=context, domain_id=domain)
        nodes: list[Node] = []
        spinners: list[Spinner] = []

        def spin(*some: Node, threads: int = 1) -> None:
            nodes.extend(some)
            spinners.append(Spinner(context, *some, threads=threads))

        yield SimpleNamespace(context=context, domain=domain, spin=spin)
        for node in nodes:
            getattr(node, "close", lambda: None)()
        context.try_shutdown()
        for spinner in spinners:
            spinner.stop()
        for node in nodes:
            node.destroy_node()


def eventually(condition, timeout: float = 60.0, what: str = "") -> None:
    """Wait until `condition()` holds."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"did not happen in {timeout} s: {what or condition}"
        time.sleep(0.01)
