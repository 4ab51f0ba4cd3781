"""Running nodes as a process: start, spin, end cleanly, say in one line what is wrong."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence

import rclpy
from rclpy.exceptions import InvalidNamespaceException, InvalidNodeNameException
from rclpy.executors import Executor, ExternalShutdownException, MultiThreadedExecutor, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.utilities import remove_ros_args

from grasp_core.errors import ConfigError

_JOIN_S = 5.0


def run_node(factory: Callable[[], Node | Sequence[Node]], threads: int = 1, args: Sequence[str] | None = None) -> int:
    """Initialise rclpy, build the node(s), spin until SIGINT or SIGTERM and shut down; returns the exit code.

    `factory` returns one node, or the main node followed by data nodes. The main node gets an executor of `threads`
    threads. Every data node gets a SingleThreadedExecutor in a thread of its own: subscriptions to images and clouds
    belong there, because rclpy's MultiThreadedExecutor loses most of such messages.

    0 after a signal; 1 with one line on stderr after a ConfigError (bad parameters, files or arguments). Any other
    exception is a defect and leaves its traceback. Nodes may have `close()`, called before they are destroyed.
    """
    argv = list(sys.argv if args is None else args)
    try:
        rclpy.init(args=argv)
    except Exception as error:  # rclpy's argument errors differ between distributions
        return _fail(argv, f"bad ROS arguments: {' '.join(str(error).split())}")
    nodes: list[Node] = []
    try:
        _refuse_extra(argv)
        made = factory()
        nodes = [made] if isinstance(made, Node) else list(made)
        _spin(nodes, threads)
    except (KeyboardInterrupt, ExternalShutdownException):
        return 0
    except (ConfigError, InvalidNodeNameException, InvalidNamespaceException) as error:
        return _fail(argv, str(error))
    finally:
        for node in nodes:
            getattr(node, "close", lambda: None)()
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


def _spin(nodes: Sequence[Node], threads: int) -> None:
    main: Executor = MultiThreadedExecutor(num_threads=threads) if threads > 1 else SingleThreadedExecutor()
    main.add_node(nodes[0])
    spinners = [_Spinner(node) for node in nodes[1:]]
    try:
        main.spin()
    finally:
        for spinner in spinners:
            spinner.stop()
        main.shutdown(timeout_sec=_JOIN_S)


class _Spinner:
    """A SingleThreadedExecutor spinning one node in its own thread."""

    def __init__(self, node: Node) -> None:
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(node)
        self._thread = threading.Thread(target=self._run, name=f"spin {node.get_name()}", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._executor.spin()
        except ExternalShutdownException:
            return

    def stop(self) -> None:
        self._executor.shutdown(timeout_sec=_JOIN_S)
        self._thread.join(timeout=_JOIN_S)
