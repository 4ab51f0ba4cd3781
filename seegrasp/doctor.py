"""`seegrasp doctor`: checks the machine, the installation and the running nodes; says what to do about each problem."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum


class Status(Enum):
    """How a check ended."""

    OK = "ok"
    PROBLEM = "problem"
    NOT_RUNNING = "not running"  # nothing to check: a problem only where the user says that it runs


@dataclass(frozen=True)
class Finding:
    """A row of the table."""

    check: str
    status: Status
    what: str
    todo: str = ""


def ok(check: str, what: str) -> Finding:
    """A finding without a problem."""
    return Finding(check, Status.OK, what)


def problem(check: str, what: str, todo: str) -> Finding:
    """A problem and what to do about it."""
    return Finding(check, Status.PROBLEM, what, todo)


def not_running(check: str, what: str, todo: str) -> Finding:
    """Something that is not there to be checked."""
    return Finding(check, Status.NOT_RUNNING, what, todo)


def run(checks: Iterable[Callable[[], list[Finding]]]) -> list[Finding]:
    """All findings; a check that raises is a finding too, so that one defect does not hide the others."""
    findings = []
    for check in checks:
        try:
            findings += check()
        except Exception as error:
            name = check.__name__.removeprefix("check_").replace("_", " ")
            findings.append(problem(name, f"{type(error).__name__}: {error}", "see the message; then run doctor again"))
    return findings


def table(findings: Sequence[Finding], colour: bool) -> str:
    """The findings as text; what to do below each problem, once where it is the same as for the one before."""
    paint = {Status.OK: "32", Status.PROBLEM: "31", Status.NOT_RUNNING: "33"}
    wide = max(len(f.check) for f in findings)
    lines, said = [], ""
    for f in findings:
        status = f"{f.status.value:11}"
        status = f"\033[{paint[f.status]}m{status}\033[0m" if colour else status
        lines.append(f"{f.check:{wide}}  {status}  {f.what}")
        if f.todo and f.todo != said:
            lines.append(f"{'':{wide}}  {'':11}  -> {f.todo}")
        said = f.todo
    return "\n".join(lines)


def exit_code(findings: Iterable[Finding], live: bool) -> int:
    """1 when there is a problem, or, with `live`, when something does not run."""
    bad = {Status.PROBLEM, Status.NOT_RUNNING} if live else {Status.PROBLEM}
    return int(any(f.status in bad for f in findings))


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `seegrasp doctor`."""
    parser = argparse.ArgumentParser(prog="seegrasp doctor", description=__doc__)
    parser.add_argument("--offline", action="store_true", help="leave the running nodes alone: machine and files only")
    parser.add_argument("--live", action="store_true", help="camera, arm and nodes must run: a problem if not")
    parser.add_argument("--cell", default="bin_picking", help="cell profile of the live checks (default bin_picking)")
    parser.add_argument("--seconds", type=float, default=3.0, help="how long to listen to the nodes (default 3)")
    parser.add_argument("--watch", action="store_true", help="only the running nodes: tell what dies and what returns")
    args = parser.parse_args(argv)
    from seegrasp import doctor_live, doctor_machine

    if args.watch:
        with contextlib.suppress(KeyboardInterrupt):
            doctor_live.watch(args.cell, lambda line: print(line, flush=True), lambda: False)
        return 0
    findings = run(doctor_machine.CHECKS)
    if not args.offline:
        findings += run([lambda: doctor_live.check_running_nodes(args.cell, args.seconds)])
    print(table(findings, sys.stdout.isatty() and "NO_COLOR" not in os.environ))
    code = exit_code(findings, args.live)
    unseen = any(f.status is Status.NOT_RUNNING for f in findings)
    print(f"\n{'there are problems: see the arrows' if code else 'no problem found'}", end="")
    print("; what does not run could not be checked" if unseen and not code else "")
    return code


if __name__ == "__main__":
    sys.exit(main())
