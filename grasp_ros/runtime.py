"""Running nodes as a process: start, spin, end cleanly, say in one line what is wrong."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence

import rclpy
from rclpy.exceptions import InvalidNamespaceException, InvalidNodeNameException
from rclpy.executors import Executor, ExternalShutdownException, MultiThreadedExecutor, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from rclpy.utilities import remove_ros_args

from grasp_core.errors import ConfigError

_JOIN_S = 5.0
_END_S = 10.0  # a node that has not ended so long after a signal is ended


def run_node(factory: Callable[[], Node | Sequence[Node]], threads: int = 1, args: Sequence[str] | None = None) -> int:
    """Initialise rclpy, build the node(s), spin until SIGINT or SIGTERM and shut down; returns the exit code.

    `factory` returns one node, or the main node followed by data nodes. The main node gets an executor of `threads`
    threads. Every data node gets a SingleThreadedExecutor in a thread of its own: subscriptions to images and clouds
    belong there, because rclpy's MultiThreadedExecutor loses most of such messages.

    A node may have `close()`: it is called first, while everything still spins and can publish; it ends the node's
    threads and goals. 0 after a signal; 1 with one line on stderr after a ConfigError (bad parameters, files or
    arguments). Any other exception is a defect and leaves its traceback. Call it from the main thread.
    """
    argv = list(sys.argv if args is None else args)
    stop = threading.Event()
    try:
        # rclpy's own handlers would invalidate the context under the feet of threads that publish.
        rclpy.init(args=argv, signal_handler_options=SignalHandlerOptions.NO)
    except Exception as error:  # rclpy's argument errors differ between distributions
        return _fail(argv, f"bad ROS arguments: {' '.join(str(error).split())}")
    _on_signals(stop)
    nodes: list[Node] = []
    try:
        _refuse_extra(argv)
        made = factory()
        nodes = [made] if isinstance(made, Node) else list(made)
        _spin(nodes, threads, stop)
    except (ConfigError, InvalidNodeNameException, InvalidNamespaceException) as error:
        return _fail(argv, str(error))
    finally:
        for node in reversed(nodes):
            node.destroy_node()
        rclpy.try_shutdown()
    return 0


def _fail(argv: Sequence[str], message: str) -> int:
    name = argv[0].rsplit("/", 1)[-1] if argv else "node"
    print(f"{name}: {' '.join(message.split())}", file=sys.stderr, flush=True)
    return 1


def _refuse_extra(argv: Sequence[str]) -> None:
    extra = remove_ros_args(args=list(argv))[1:]
    if extra:
        raise ConfigError(f"unknown argument(s) {' '.join(extra)}: parameters are given as --ros-args -p name:=value")


def _on_signals(stop: threading.Event) -> None:
    def handle(number: int, _frame: object) -> None:
        stop.set()
        for each in (signal.SIGINT, signal.SIGTERM):  # a second one ends the process at once
            signal.signal(each, signal.SIG_DFL)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handle)


def _spin(nodes: Sequence[Node], threads: int, stop: threading.Event) -> None:
    """Spin until `stop`; raises what a callback raised."""
    first: Executor = MultiThreadedExecutor(num_threads=threads) if threads > 1 else SingleThreadedExecutor()
    executors = [first, *(SingleThreadedExecutor() for _ in nodes[1:])]
    spinners = [_Spinner(node, executor, stop) for node, executor in zip(nodes, executors, strict=True)]
    stop.wait()
    overdue = threading.Timer(_END_S, _end_now, args=(nodes[0].get_name(),))
    overdue.daemon = True
    overdue.start()
    try:
        for node in nodes:
            getattr(node, "close", lambda: None)()
    finally:
        for spinner in spinners:
            spinner.stop()
        overdue.cancel()
    for spinner in spinners:
        if spinner.error is not None:
            raise spinner.error


def _end_now(name: str) -> None:
    print(f"{name}: did not end within {_END_S:g} s of being asked to: ended by force", file=sys.stderr, flush=True)
    os._exit(1)


class _Spinner:
    """An executor spinning one node in a thread of its own."""

    def __init__(self, node: Node, executor: Executor, done: threading.Event) -> None:
        """`done` is set when spinning ends by itself, because of an error or a shutdown from outside."""
        self._executor, self._done = executor, done
        self._stopping = False
        self._wake = node.create_guard_condition(lambda: None)
        executor.add_node(node)
        self.error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name=f"spin {node.get_name()}", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            while not self._stopping and rclpy.ok():
                self._executor.spin_once()
        except ExternalShutdownException:
            pass
        except Exception as error:  # raised again in the main thread
            self.error = error
        self._done.set()

    def stop(self) -> None:
        """Stop spinning and wait for the callbacks that run."""
        self._stopping = True
        self._wake.trigger()
        self._thread.join(timeout=_JOIN_S)
        # shutdown() destroys what running callbacks need before it waits for them, so wait first.
        self._executor._work_tracker.wait(_JOIN_S)
        self._executor.shutdown(timeout_sec=_JOIN_S)
