"""`seegrasp bench clutter`: any detector clears scenes under a named protocol.

Every round is a scene of its own, seeded by (seed, round); every detector meets the same scenes. A run that was stopped
goes on with the same command and --out; with more --rounds it is extended. The references, an oracle that knows the
true meshes and a blind one that comes from above, are measured on the same scenes and stand in the same report.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import shlex
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np

from grasp_core.camera import CameraProfile
from grasp_core.errors import ConfigError, InputError, SeegraspError
from grasp_core.gripper import Gripper
from grasp_eval.bench.contestants import REFERENCES
from grasp_eval.bench.measure import Engine, Interrupts, measure
from grasp_eval.bench.metrics import BROKEN
from grasp_eval.bench.protocol import Protocol, Scene
from grasp_eval.bench.ray_engine import AUTO, RayEngine, cluster, cpus
from grasp_eval.bench.records import RunConfig
from grasp_eval.bench.run_report import report_run
from grasp_eval.bench.scheduler import EngineError, Job, LocalEngine, usable_cores
from grasp_eval.bench.store import is_run, load_run
from grasp_eval.progress import Progress
from grasp_eval.report import machine, versions
from grasp_eval.results import SaveError
from grasp_sim.meshes import folder_and_scale
from grasp_sim.noise import DepthNoise
from grasp_sim.object_sets import PROCEDURAL, ObjectSet, load_object_set

NAME = "seegrasp bench clutter"
MOST_REFERENCES = 20  # rounds of each reference, unless asked for otherwise
ROUND_BYTES, RUN_BYTES = 50_000, 50_000_000  # on disk: a round with attempts and a share of pictures; the rest


def parser() -> argparse.ArgumentParser:
    """Options of the command."""
    p = argparse.ArgumentParser(prog=NAME, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = RunConfig()
    p.add_argument("--detector", default=default.detector, help="name, package.module:factory, oracle or top_down")
    p.add_argument(
        "--detector-python", metavar="PYTHON", help="run the detector in a process of its own, of this Python"
    )
    p.add_argument("--detector-param", action="append", default=[], metavar="KEY=VALUE", help="for its factory; JSON")
    p.add_argument(
        "--detector-timeout",
        type=float,
        default=default.detector_timeout,
        metavar="S",
        help="for one call (%(default)g)",
    )
    p.add_argument(
        "--protocol", default=default.protocol, help="name in config/protocols, or a YAML file (%(default)s)"
    )
    p.add_argument("--scene", default=default.scene, choices=get_args(Scene), help="kind of scene (%(default)s)")
    p.add_argument("--objects", default=default.objects, help="object set or folder of meshes (%(default)s)")
    p.add_argument("--count", type=int, help="objects in a scene (default: the protocol's)")
    p.add_argument("--noise", help="of the depth image (default: the protocol's)")
    p.add_argument("--gripper", default=default.gripper, help="name or YAML file (%(default)s)")
    p.add_argument("--rounds", type=int, default=default.rounds, help="scenes (%(default)s)")
    p.add_argument("--seed", type=int, default=default.seed, help="of the run (%(default)s)")
    p.add_argument(
        "--references",
        type=int,
        metavar="N",
        help=f"rounds of each reference, 0: none (default: --rounds, at most {MOST_REFERENCES})",
    )
    p.add_argument("--pictures", type=int, default=default.pictures, help="of failures, at most (%(default)s)")
    p.add_argument("--out", type=Path, help="run folder (default out/bench/<date and time>)")
    p.add_argument("--workers", type=int, help="processes (default: one per usable core)")
    p.add_argument(
        "--cluster",
        nargs="?",
        const=AUTO,
        metavar="ADDRESS",
        help="on a Ray cluster; without an address the running one, or else a new one here",
    )
    return p


def config_of(args: argparse.Namespace) -> RunConfig:
    """The configuration that the options ask for. Raises InputError naming the option."""
    for name, least in (("rounds", 1), ("seed", 0), ("pictures", 0), ("count", 1), ("workers", 1), ("references", 0)):
        value = getattr(args, name)
        if value is not None and value < least:
            raise InputError(f"--{name} {value}: expected at least {least}")
    if not 0 < args.detector_timeout < math.inf:
        raise InputError(f"--detector-timeout {args.detector_timeout:g}: expected a number of seconds above 0")
    return RunConfig(
        protocol=_absolute(args.protocol),
        scene=args.scene,
        objects=_folder(args.objects),
        detector=args.detector,
        detector_params=dict(_parameter(text) for text in args.detector_param),
        detector_python=_program(args.detector_python),
        gripper=_absolute(args.gripper),
        rounds=args.rounds,
        count=args.count,
        noise=args.noise,
        seed=args.seed,
        detector_timeout=args.detector_timeout,
        pictures=args.pictures,
    )


def _absolute(text: str) -> str:
    """A file of one's own as workers in other folders find it; names of shipped profiles stay as they are."""
    return str(Path(text).expanduser().resolve()) if text.endswith((".yaml", ".yml")) else text


def _folder(text: str) -> str:
    """Likewise a folder of meshes, with its factor where it has one (`folder@0.001`); names of sets stay."""
    folder, scale = folder_and_scale(text)
    if text.startswith(PROCEDURAL) or not folder.is_dir():
        return text
    return str(folder.resolve()) + ("" if scale is None else text[text.rindex("@") :])


def _program(text: str | None) -> str | None:
    """Without following links, which are what makes a venv."""
    return os.path.abspath(os.path.expanduser(text)) if text and os.sep in text else text


def _parameter(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not (key and equals):
        raise InputError(f"--detector-param {text!r}: expected KEY=VALUE")
    try:
        return key, json.loads(value, parse_constant=_no_number)
    except json.JSONDecodeError as error:
        if value[:1] in ("", "{", "[", '"'):
            raise InputError(f"--detector-param {text!r}: the value is not JSON: {error}") from error
        return key, value  # a word


def _no_number(text: str) -> None:
    raise InputError(f"--detector-param: {text} is not a number that JSON has")


def check(config: RunConfig, out: Path) -> dict[str, Any]:
    """Read all that the configuration names, and look at the disk, before anything is computed.

    Returns:
        What goes into run.json: the protocol and the objects as read.

    Raises:
        SeegraspError: naming what is wrong.
    """
    protocol = Protocol.load(config.protocol)
    protocol.rules(config.scene)
    DepthNoise.from_profile(CameraProfile.load(protocol.camera), config.noise or protocol.noise)
    gripper = Gripper.load(config.gripper)
    if config.detector in REFERENCES and (config.detector_params or config.detector_python):
        raise ConfigError(
            f"--detector {config.detector} is a reference of the bed: it takes no parameters and no Python"
        )
    objects = load_object_set(config.objects)
    for problem in objects.problems:
        print(f"left out: {problem}", file=sys.stderr)
    existing = next(p for p in (out.absolute(), *out.absolute().parents) if p.exists())
    needed, free = RUN_BYTES + config.rounds * ROUND_BYTES, shutil.disk_usage(existing).free
    if free < needed:
        raise InputError(
            f"{existing}: {free / 1e6:.0f} MB free, a run of {config.rounds} rounds may need {needed / 1e6:.0f} MB"
        )
    return {
        "protocol": protocol.model_dump(mode="json"),
        "gripper": gripper.model_dump(mode="json"),
        "objects": {"number": len(objects.names), "digest": _digest(objects), "left_out": list(objects.problems)},
    }


def _digest(objects: ObjectSet) -> str:
    """Of the objects' names, and of the shapes and masses of those that come from files, which may change."""
    found = hashlib.sha256("\n".join(objects.names).encode())
    if not objects.name.startswith(PROCEDURAL):
        for obj in objects.objects:
            found.update(np.round([*obj.bounds.ravel(), *obj.centre_of_mass, obj.mass, obj.friction], 6).tobytes())
    return found.hexdigest()[:16]


def reference_runs(args: argparse.Namespace, config: RunConfig) -> list[RunConfig]:
    """Configurations of the references on the same scenes; none of what is measured itself."""
    rounds = min(config.rounds, MOST_REFERENCES if args.references is None else args.references)
    names = [name for name in REFERENCES if name != config.detector] if rounds else []
    plain = replace(config, detector_params={}, detector_python=None, rounds=rounds, pictures=0)
    return [replace(plain, detector=name) for name in names]


def run(args: argparse.Namespace, config: RunConfig, folder: Path, command: str, interrupts: Interrupts) -> None:
    """Measure the detector, then the references; see ``measure`` for what it raises."""
    about = {"command": command, "versions": versions(), "machine": machine(), **check(config, folder)}
    progress = Progress()
    progress.line(f"{config.detector} on {config.scene} scenes, protocol {config.protocol}; results in {folder}")
    with ExitStack() as stack:
        engine, about["workers"], about["engine"] = _engines(args, stack)
        measure(folder, config, about, engine, interrupts, progress)
        for reference in reference_runs(args, config):
            if not interrupts.asked:
                measure(folder / reference.detector, reference, about, engine, interrupts, progress)


def _engines(args: argparse.Namespace, stack: ExitStack) -> tuple[Callable[[Job, int], Engine], int, str]:
    """What makes engines, how many rounds they do at a time, and what they are, in words."""
    workers = args.workers or usable_cores()
    if args.cluster is None:
        return lambda job, left: LocalEngine(job, min(workers, left)), workers, "processes on one machine"
    where = stack.enter_context(cluster(args.cluster, workers))
    return lambda job, left: RayEngine(job, args.workers), args.workers or cpus(), where


def _report(folder: Path) -> bool:
    """Write and show the report of the rounds that there are, if any; whether one was played to its end."""
    rounds = load_run(folder).rounds if is_run(folder) else []
    if rounds:
        lines, path = report_run(folder)
        print("\n".join([*lines, str(path)]))
    return any(r.ended not in BROKEN for r in rounds)


def main(argv: Sequence[str]) -> int:
    """Entry point of the command; returns its exit code: 0, 1 after an error, 130 after Ctrl-C or SIGTERM."""
    args = parser().parse_args(argv)
    folder = args.out or Path("out/bench") / time.strftime("%Y-%m-%d_%H-%M-%S")
    command = shlex.join([*NAME.split(), *argv])
    go_on = command if args.out else f"{command} --out {shlex.quote(str(folder))}"
    code = 0
    with Interrupts() as interrupts:
        try:
            try:
                run(args, config_of(args), folder, command, interrupts)
            except EngineError as error:  # what was finished before is worth a report
                print(f"{NAME}: {error}", file=sys.stderr)
                code = 1
            if not _report(folder) and not interrupts.asked:
                print(f"{NAME}: no round came to its end", file=sys.stderr)
                code = 1
        except KeyboardInterrupt:
            interrupts.asked = True
        except (SeegraspError, SaveError) as error:
            print(f"{NAME}: {error}", file=sys.stderr)
            code = 1
    if interrupts.asked:
        print(f"stopped; what is done is kept. Go on with: {go_on}", file=sys.stderr)
        return 130
    return code
