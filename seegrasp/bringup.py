"""Starting, watching and ending node processes: `seegrasp up`, and the class that the demo and the system tests use."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from grasp_core.config import names
from grasp_core.errors import ConfigError
from seegrasp.bringup_config import BringupSpec, NodePlan, load, parse_settings, resolve
from seegrasp.process import DeadNode, Process, Sink

STOP_S = 5.0  # from the request to no process left
_GRACE_S = 3.5  # of it, before processes are killed


class Bringup:
    """A set of nodes, each a process of its own. Nothing is restarted unless `restart` is called.

    Use it as a context manager, or call `stop`. Processes end when this process does, whatever its end.
    """

    def __init__(self, plans: Sequence[NodePlan], log_dir: Path, sink: Sink | None = None) -> None:
        """`sink(node, line)` gets every line that a node writes, on a thread of its own."""
        self.log_dir = Path(log_dir)
        self._processes = {plan.name: Process(plan, self.log_dir, sink) for plan in plans}

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

    def _get(self, name: str) -> Process:
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
    parser = argparse.ArgumentParser(
        prog="seegrasp up",
        description="Start the nodes of a bringup, until Ctrl-C.",
        epilog="The arguments of the bringup (--show lists them) are options, too: --robot-ip X is --set robot_ip:=X.",
    )
    parser.add_argument("bringup", help=f"{', '.join(names('bringup'))}; or a YAML file")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY:=VALUE", dest="settings", help="argument or node.parameter"
    )
    parser.add_argument("--without", action="append", default=[], metavar="NODE", help="leave a node out")
    parser.add_argument("--show", action="store_true", help="show arguments and nodes, start nothing")
    parser.add_argument("--keep-going", action="store_true", help="do not stop the others when a node ends")
    parser.add_argument("--log-dir", type=Path, help="default: out/up/<date and time>")
    return parser


def _with_settings(argv: list[str]) -> list[str]:
    """`--robot-ip X` and `--robot-ip=X` as `--set robot_ip:=X`, for the arguments of the bringup that is named."""
    found = next((a for a in argv if not a.startswith("-")), None)
    try:
        known = set() if found is None else set(load(found).arguments)
    except ConfigError:  # told when it is loaded to be started
        return argv
    out, rest = [], iter(argv)
    for word in rest:
        name, equals, value = word.removeprefix("--").partition("=")
        if not word.startswith("--") or name.replace("-", "_") not in known:
            out.append(word)
            continue
        given = value if equals else next(rest, None)
        if given is None:
            raise SystemExit(f"seegrasp up: --{name} needs a value")
        out += ["--set", f"{name.replace('-', '_')}:={given}"]
    return out


def describe(spec: BringupSpec, plans: Sequence[NodePlan]) -> str:
    """A bringup in words."""
    lines = [spec.description, "arguments:"]
    lines += [f"  {key}:={a.default}  {a.description}" for key, a in spec.arguments.items()]
    lines.append("nodes:")
    for plan in plans:
        lines.append(f"  {plan.label} ({' '.join([plan.module, *plan.arguments])})")
        lines += [f"    {key}: {value}" for key, value in plan.parameters.items()]
        lines += [f"    {old} -> {new}" for old, new in plan.remappings.items()]
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """`seegrasp up`: 0 after Ctrl-C or SIGTERM, 1 when a node ended by itself or the configuration is wrong."""
    args = _parser().parse_args(_with_settings(sys.argv[1:] if argv is None else list(argv)))
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
