"""Starting, watching and ending node processes: `seegrasp up`, and the class that the demo and the system tests use."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import yaml

from grasp_core.errors import ConfigError
from seegrasp.bringup_config import BringupSpec, NodePlan, load, parse_settings, resolve

STOP_S = 5.0  # from the request to no process left
_GRACE_S = 3.5  # of it, before processes are killed
_TAIL = 15
Sink = Callable[[str, str], None]  # node name, line


@dataclass(frozen=True)
class DeadNode:
    """A node that ended by itself: exit code (negative: the signal) and last log lines."""

    name: str
    code: int
    tail: str

    def __str__(self) -> str:
        how = f"exit code {self.code}" if self.code >= 0 else f"signal {signal.Signals(-self.code).name}"
        return f"node {self.name} ended with {how}; its last lines:\n{self.tail or '(it wrote nothing)'}"


class _Process:
    """One node: process group of its own, output into a log file, the last lines kept."""

    def __init__(self, plan: NodePlan, log_dir: Path, sink: Sink | None) -> None:
        self.plan, self.log_dir, self.sink = plan, log_dir, sink
        self.asked_to_end = False
        self.tail: deque[str] = deque(maxlen=_TAIL)
        self.process: subprocess.Popen | None = None
        self._reader: threading.Thread | None = None

    def start(self) -> None:
        params = self.log_dir / f"{self.plan.name}.params.yaml"
        document = {"/**": {"ros__parameters": dict(self.plan.parameters)}}
        params.write_text(yaml.safe_dump(document), encoding="utf-8")
        arguments = self.plan.ros_args(str(params) if self.plan.parameters else None)
        env = {**os.environ, "PYTHONUNBUFFERED": "1", "ROS_LOG_DIR": str(self.log_dir)}
        self.asked_to_end = False
        self.process = subprocess.Popen(
            [sys.executable, "-m", "seegrasp.child", self.plan.module, *arguments],
            stdin=subprocess.PIPE,  # its end tells the child that we are gone
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=env,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, args=(self.process,), daemon=True)
        self._reader.start()

    def _read(self, process: subprocess.Popen) -> None:
        with (self.log_dir / f"{self.plan.name}.log").open("a", encoding="utf-8") as log:
            for line in process.stdout:
                log.write(line)
                log.flush()
                self.tail.append(line.rstrip("\n"))
                if self.sink is not None:
                    self.sink(self.plan.name, line.rstrip("\n"))

    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def send(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):  # already gone
            os.killpg(self.process.pid, number)

    def ask_to_end(self) -> None:
        if self.alive():  # one that ended by itself stays dead, not stopped
            self.asked_to_end = True
            self.send(signal.SIGTERM)

    def finish(self, deadline: float) -> None:
        """Wait until the deadline (time.monotonic), then kill what is left of the group."""
        if self.process is None:
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(max(0.0, deadline - time.monotonic()))
        self.send(signal.SIGKILL)  # a stuck node, or children of one that ended
        self.process.wait()
        self.process.stdin.close()
        self._reader.join(timeout=1.0)

    def dead(self) -> DeadNode | None:
        if self.process is None or self.asked_to_end or self.process.poll() is None:
            return None
        self._reader.join(timeout=0.5)
        return DeadNode(self.plan.name, self.process.returncode, "\n".join(self.tail))


class Bringup:
    """A set of nodes, each a process of its own. Nothing is restarted unless `restart` is called.

    Use it as a context manager, or call `stop`. Processes end when this process does, whatever its end.
    """

    def __init__(self, plans: Sequence[NodePlan], log_dir: Path, sink: Sink | None = None) -> None:
        """`sink(node, line)` gets every line that a node writes, on a thread of its own."""
        self.log_dir = Path(log_dir)
        self._processes = {plan.name: _Process(plan, self.log_dir, sink) for plan in plans}

    @classmethod
    def load(
        cls,
        name: str,
        log_dir: Path,
        settings: Sequence[str] = (),
        sink: Sink | None = None,
        without: Sequence[str] = (),
    ) -> Bringup:
        """config/bringup/<name>.yaml with settings such as `seed:=3`, leaving out the nodes `without`."""
        plans = resolve(load(name), parse_settings(settings))
        unknown = set(without) - {p.name for p in plans}
        if unknown:
            raise ConfigError(f"bringup {name!r} has no node {', '.join(sorted(unknown))}")
        return cls([p for p in plans if p.name not in without], log_dir, sink)

    @property
    def names(self) -> list[str]:
        """The nodes, in the order of starting."""
        return list(self._processes)

    def start(self) -> None:
        """Start every node that does not run; does not wait until they are ready."""
        self.log_dir.mkdir(parents=True, exist_ok=True)
        for process in self._processes.values():
            if not process.alive():
                process.start()

    def stop(self, names: Sequence[str] | None = None) -> None:
        """End nodes (all, or those named) within STOP_S: SIGTERM, then SIGKILL, to their process groups."""
        chosen = [self._get(name) for name in (self.names if names is None else names)]
        deadline = time.monotonic() + _GRACE_S
        for process in reversed(chosen):
            process.ask_to_end()
        for process in chosen:
            process.finish(deadline)

    def restart(self, name: str) -> None:
        """End a node if it runs, and start it again; its log goes on in the same file."""
        self.stop([name])
        self._get(name).start()

    def alive(self, name: str | None = None) -> bool:
        """Whether a node, or every node, runs."""
        chosen = self._processes.values() if name is None else [self._get(name)]
        return all(process.alive() for process in chosen)

    def dead(self) -> list[DeadNode]:
        """Nodes that ended without being asked to."""
        return [d for d in (process.dead() for process in self._processes.values()) if d is not None]

    def pid(self, name: str) -> int:
        """Process id (and process group) of a started node."""
        process = self._get(name).process
        if process is None:
            raise ConfigError(f"node {name!r} has not been started")
        return process.pid

    def _get(self, name: str) -> _Process:
        if name not in self._processes:
            raise ConfigError(f"no node {name!r} in this bringup; there are {', '.join(self._processes)}")
        return self._processes[name]

    def __enter__(self) -> Bringup:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()


class _Terminal:
    """Prints nodes' lines with their names in front, on a terminal each in a colour of its own."""

    def __init__(self) -> None:
        self._colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        self._seen: list[str] = []
        self._lock = threading.Lock()

    def __call__(self, name: str, line: str) -> None:
        with self._lock:
            if name not in self._seen:
                self._seen.append(name)
            label = f"{name:>13}"
            if self._colour:
                label = f"\033[3{1 + self._seen.index(name) % 6}m{label}\033[0m"
            print(f"{label} | {line}", flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="seegrasp up", description="Start the nodes of a bringup, until Ctrl-C.")
    parser.add_argument("bringup", help="a name in config/bringup (sim, perception, real), or a YAML file")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY:=VALUE", dest="settings", help="argument or node.parameter"
    )
    parser.add_argument("--without", action="append", default=[], metavar="NODE", help="leave a node out")
    parser.add_argument("--show", action="store_true", help="show arguments and nodes, start nothing")
    parser.add_argument("--keep-going", action="store_true", help="do not stop the others when a node ends")
    parser.add_argument("--log-dir", type=Path, help="default: out/up/<date and time>")
    return parser


def describe(spec: BringupSpec, plans: Sequence[NodePlan]) -> str:
    """A bringup in words."""
    lines = [spec.description, "arguments:"]
    lines += [f"  {key}:={a.default}  {a.description}" for key, a in spec.arguments.items()]
    lines.append("nodes:")
    for plan in plans:
        lines.append(f"  {plan.name} ({plan.module})")
        lines += [f"    {key}: {value}" for key, value in plan.parameters.items()]
        lines += [f"    {old} -> {new}" for old, new in plan.remappings.items()]
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """`seegrasp up`: 0 after Ctrl-C or SIGTERM, 1 when a node ended by itself or the configuration is wrong."""
    args = _parser().parse_args(argv)
    log_dir = args.log_dir or Path("out/up") / datetime.now().strftime("%Y%m%d-%H%M%S")
    try:
        if args.show:
            spec = load(args.bringup)
            print(describe(spec, resolve(spec, parse_settings(args.settings))))
            return 0
        bringup = Bringup.load(args.bringup, log_dir, args.settings, _Terminal(), args.without)
    except ConfigError as error:
        print(f"seegrasp up: {error}", file=sys.stderr)
        return 1
    return watch(bringup, args.keep_going)


def watch(bringup: Bringup, keep_going: bool = False) -> int:
    """Run a bringup until Ctrl-C or SIGTERM (0), or until a node ends by itself (1)."""
    ended = threading.Event()
    previous = {s: signal.signal(s, lambda *_: ended.set()) for s in (signal.SIGINT, signal.SIGTERM)}
    reported: set[str] = set()

    def report() -> None:
        for dead in bringup.dead():
            if dead.name not in reported:
                reported.add(dead.name)
                print(f"seegrasp up: {dead}", file=sys.stderr, flush=True)

    try:
        with bringup:
            print(f"started {', '.join(bringup.names)}; logs in {bringup.log_dir}; Ctrl-C stops them", flush=True)
            while not ended.wait(0.2):
                report()
                if len(reported) == len(bringup.names):
                    break
                if reported and not keep_going:
                    print("seegrasp up: stopping the others", file=sys.stderr, flush=True)
                    break
        report()
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    return 1 if reported else 0


if __name__ == "__main__":
    sys.exit(main())
