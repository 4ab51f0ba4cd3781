#!/usr/bin/env python3
"""Set seegrasp up: .venv from the lock files, then `colcon build`. Standard library only, Python 3.9 or newer.

Safe to run again at any time: each step leaves a stamp with the hash of what it was made from, and is done again only
when that changes; an interrupted step is done again from its start. With nothing to do it takes a fraction of a second.

Without ROS 2 the environment holds ROS 2 Kilted as wheels. With a ROS 2 sourced (ROS_DISTRO set) it is built on that
installation with --system-site-packages, and holds the other libraries only.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import checks

ROOT = Path(__file__).resolve().parent.parent
# The package index has the CUDA build of torch only, with gigabytes of libraries; PyTorch's own has the CPU build.
TORCH_INDEX = "https://download.pytorch.org/whl/cpu"
BUILD_INPUTS = ("package.xml", "setup.py", "setup.cfg", "colcon_defaults.yaml", "resource", "interfaces")
# By the environment's Python even where colcon is the system's: nodes get the interpreter that colcon runs on.
COLCON = "import sys; from colcon_core.command import main; sys.exit(main())"
WHEEL_BUILDER = "/opt/python/{tag}-{tag}"  # the prefix that the ROS wheels were built in, left in their CMake files


class SetupError(Exception):
    """Setting up cannot go on; the text says what to do."""


def say(text: str) -> None:
    print(f"[setup] {text}", flush=True)


def digest(root: Path, names: Iterable[str], *more: str) -> str:
    """Hash of files below root (folders: of every file in them), their names, and strings."""
    h = hashlib.sha256("\0".join(more).encode())
    for path in (root / name for name in names):
        for file in sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]:
            h.update(str(file.relative_to(root)).encode() + b"\0" + file.read_bytes() + b"\0")
    return h.hexdigest()


class Setup:
    """The steps, for one repository root and one kind of ROS ('wheels' or a distribution's name)."""

    def __init__(self, ros: str | None, root: Path = ROOT) -> None:
        self.ros = ros
        self.root = root
        self.kind = ros or "wheels"
        self.venv = root / ".venv"
        self.python = self.venv / "bin" / "python"
        self.log = root / "log" / "setup.log"

    # -- stamps

    def locks(self) -> list[str]:
        return ["requirements.lock"] if self.ros else ["requirements.lock", "requirements-ros.lock"]

    def install_key(self) -> str:
        return digest(self.root, [*self.locks(), "requirements-torch.lock"], self.kind)

    def build_key(self) -> str:
        return digest(self.root, BUILD_INPUTS, self.install_key(), str(self.root), *self.compat())

    def compat(self) -> list[str]:
        prefixes = os.environ.get("AMENT_PREFIX_PATH", "") if self.ros else ""
        outside = [p for p in prefixes.split(":") if p and not Path(p).is_relative_to(self.root)]
        return checks.missing_compat(":".join(outside))

    @staticmethod
    def stamped(path: Path, key: str) -> bool:
        return path.exists() and path.read_text().strip() == key

    @property
    def venv_stamp(self) -> Path:
        return self.venv / "seegrasp-ros"  # tools/env.sh reads it

    @property
    def install_stamp(self) -> Path:
        return self.venv / "seegrasp-installed"

    @property
    def build_stamp(self) -> Path:
        return self.root / "install" / ".seegrasp-built"

    def venv_ready(self) -> bool:
        return self.stamped(self.venv_stamp, self.kind) and self.python.exists()

    # -- steps

    def run(self) -> None:
        self.check(checks.check_platform() + checks.check_tools() + checks.check_egl())
        if not self.venv_ready():
            self.make_venv()
        if not self.stamped(self.install_stamp, self.install_key()):
            self.check(checks.check_disk(self.root))
            self.install()
        if not self.stamped(self.build_stamp, self.build_key()):
            self.build()

    @staticmethod
    def check(problems: list[str]) -> None:
        if problems:
            raise SetupError("\n".join(["this machine is not ready:", *(f"  - {p}" for p in problems)]))

    def make_venv(self) -> None:
        interpreter, reasons = checks.find_interpreter(self.ros)
        if interpreter is None:
            self.check(reasons)
        say(f"making .venv with {interpreter.executable} ({interpreter.name}), ROS: {self.kind}")
        for old in (self.venv, self.root / "build", self.root / "install"):
            shutil.rmtree(old, ignore_errors=True)
        options = ["--system-site-packages"] if self.ros else []
        self.call([interpreter.executable, "-m", "venv", *options, str(self.venv)], "making .venv")
        self.venv_stamp.write_text(self.kind + "\n")

    def install(self) -> None:
        self.install_stamp.unlink(missing_ok=True)
        total = len({name for lock in self.locks() for name in locked_names(self.root / lock)})
        say(f"installing about {total} locked packages and torch (CPU); the first time downloads about 700 MB")
        pip = [
            str(self.python),
            "-m",
            "pip",
            "install",
            "--require-hashes",
            "--disable-pip-version-check",
            "--no-input",
        ]
        self.call([*pip, *(a for lock in self.locks() for a in ("-r", str(self.root / lock)))], "pip install", total)
        torch = [*pip, "--no-deps", "-r", str(self.root / "requirements-torch.lock")]
        try:
            self.call(torch, "torch from the configured package index")
        except SetupError:
            say(f"the configured package index has no CPU build of torch: taking it from {TORCH_INDEX}")
            self.call([*torch, "--extra-index-url", TORCH_INDEX], "torch from PyTorch's index")
        if not self.ros:
            self.call([str(self.python), "-m", "pip", "check"], "pip check")
            changed = mend_cmake(self.venv, self.python)
            say(f"pointed {changed} CMake files of the ROS wheels at this environment")
        self.install_stamp.write_text(self.install_key() + "\n")

    def build(self) -> None:
        compat = self.compat()
        paths = [".", "interfaces/seegrasp_msgs", *(f"interfaces/compat/{name}" for name in compat)]
        names = ", ".join(("seegrasp", "seegrasp_msgs", *compat))
        say(f"colcon build of {names} ({'two minutes or so' if compat else 'about a minute'})")
        self.build_stamp.unlink(missing_ok=True)
        command = [str(self.python), "-c", COLCON, "build", "--base-paths", *paths]
        command += ["--event-handlers", "console_direct-", "--cmake-args", "-Wno-dev", "--no-warn-unused-cli"]
        command += [f"-DPython3_EXECUTABLE={self.python}", "-DCMAKE_BUILD_TYPE=Release"]
        self.call(command, "colcon build", env=self.build_env(), live=True)
        self.build_stamp.write_text(self.build_key() + "\n")

    def build_env(self) -> dict[str, str]:
        env = {k: v for k, v in os.environ.items() if k != "_ROS_WHEELS_BOOTSTRAP_COMPLETE"}
        env["VIRTUAL_ENV"] = str(self.venv)
        env["PATH"] = f"{self.venv / 'bin'}:{env['PATH']}"
        env.pop("COLCON_PREFIX_PATH", None)
        if not self.ros:
            env["AMENT_PREFIX_PATH"] = env["CMAKE_PREFIX_PATH"] = str(self.venv)
            env.pop("PYTHONPATH", None)
        return env

    # -- running programs

    def call(self, command: list[str], what: str, total: int = 0, env: dict | None = None, live: bool = False) -> None:
        """Run a program with its output in the log; show progress; SetupError with its last lines when it fails."""
        self.log.parent.mkdir(exist_ok=True)
        if env is None:  # libraries of another environment's ROS wheels must not reach this one's python
            env = {k: v for k, v in os.environ.items() if k not in ("_ROS_WHEELS_BOOTSTRAP_COMPLETE", "PYTHONHOME")}
            if not self.ros:
                env.pop("PYTHONPATH", None)
                env.pop("LD_LIBRARY_PATH", None)
        tail: deque[str] = deque(maxlen=25)
        with self.log.open("a") as log:
            log.write(f"\n$ {shlex.join(command)}\n")
            process = subprocess.Popen(
                command,
                cwd=self.root,
                env=env,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
            )
            progress = Progress(total)
            for line in process.stdout:
                log.write(line)
                tail.append(line.rstrip())
                if live:
                    print(f"[setup]   {line}", end="", flush=True)
                progress.line(line)
            progress.end()
        if process.wait():
            raise SetupError("\n".join([f"{what} failed (exit code {process.returncode}); see {self.log}", *tail]))


class Progress:
    """Turns pip's lines into a count of packages: one rewritten line on a terminal, a line every 25 elsewhere."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.seen = 0
        self.terminal = sys.stdout.isatty()

    def line(self, line: str) -> None:
        if not self.total:
            return
        if line.startswith(("Collecting ", "Processing ")):  # the second: a wheel in a folder
            self.seen += 1
            self.show(line.split()[1].rsplit("/", 1)[-1].split("==")[0], self.seen % 25 == 0)
        elif line.startswith("Installing collected packages"):
            self.show("unpacking", True)

    def show(self, what: str, milestone: bool) -> None:
        text = f"[setup]   {min(self.seen, self.total)}/{self.total} {what}"
        if self.terminal:
            print(f"\r{text[:100]:100}", end="", flush=True)
        elif milestone:
            print(text, flush=True)

    def end(self) -> None:
        if self.terminal and self.seen:
            print(flush=True)


def locked_names(lock: Path) -> list[str]:
    """Names in a lock file that this interpreter's version or Linux do not rule out."""
    lines = [line for line in lock.read_text().splitlines() if "==" in line and line[0].isalnum()]
    skip = ("sys_platform == 'win32'", "python_full_version < '3.11'")
    return [line.split("==")[0] for line in lines if not any(s in line for s in skip)]


def mend_cmake(venv: Path, python: Path) -> int:
    """Rewrite the wheel builder's paths in the exported CMake files to this environment's. Returns files changed."""
    code = "import json, sysconfig; print(json.dumps([sysconfig.get_path(n) for n in ('include', 'purelib')]))"
    include, site = json.loads(subprocess.check_output([str(python), "-c", code], text=True))
    builder = WHEEL_BUILDER.format(tag="cp" + Path(site).parent.name[len("python") :].replace(".", ""))
    version = Path(site).parent.name  # python3.11
    replacements = ((f"{builder}/include/{version}", include), (f"{builder}/lib/{version}/site-packages", site))
    changed = 0
    for file in (venv / "share").rglob("*.cmake"):
        text = file.read_text()
        new = text
        for old, path in replacements:
            new = new.replace(old, path)
        if new != text:
            file.write_text(new)
            changed += 1
    return changed


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args(argv)
    start = time.monotonic()
    try:
        Setup(os.environ.get("ROS_DISTRO")).run()
    except SetupError as error:
        print(f"[setup] {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\n[setup] stopped; run `make setup` to go on", file=sys.stderr)
        return 130
    say(f"ready ({time.monotonic() - start:.1f} s)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
