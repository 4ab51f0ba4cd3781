"""Rounds without physics, for tests of what does rounds; a fake detector may be hostile in some of them."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from grasp_core.errors import ConfigError
from grasp_eval.bench.records import Attempt, Round, RoundResult, RunConfig

OBJECTS = ["box_0", "can_1", "box_2"]


def fake_attempt(index: int, number: int, success: bool, picture: str = "") -> Attempt:
    reason = "held" if success else "closed_on_nothing"
    position = [0.01 * number, 0.0, 0.1]
    return Attempt(
        index, number, success, reason, 0.5, 0.04, 0.02, 0.9, position, [0.0, 0.0, 0.0, 1.0], picture=picture,
        timings_ms={"detect": random.random()},
    )  # fmt: skip


def fake_result(index: int, config: RunConfig) -> RoundResult:
    """Three attempts, of which some fail and have a picture; the same for the same seed and number."""
    rng = random.Random(f"{config.seed} {index}")
    result = RoundResult(Round(index, 1000 + index, list(OBJECTS), ["box", "can", "box"]))
    for number, name in enumerate(OBJECTS):
        success = rng.random() < 0.6
        picture = "" if success else f"r{index:04d}_a{number}.jpg"
        result.attempts.append(fake_attempt(index, number, success, picture))
        if success:
            result.round.cleared.append(name)
        else:
            result.pictures[picture] = f"picture {picture}".encode()
    result.round.ended = "cleared" if len(result.round.cleared) == len(OBJECTS) else "attempts"
    return result


def make(config: RunConfig) -> dict:
    """A "detector": its parameters, from which ``play`` takes what to do in which round."""
    if config.detector == "refuses":
        raise ConfigError("unknown detector 'refuses'")
    if config.detector == "aborts":
        os.abort()
    return {"calls": 0, **config.detector_params}


def play(config: RunConfig, index: int, detector: dict, beat) -> RoundResult:
    """One round; ``detector`` maps hang, abort, raise, leave or orphan to numbers of rounds."""
    result = fake_result(index, config)
    begun = RoundResult(Round(index, 1000 + index, list(OBJECTS), ["box", "can", "box"]), result.attempts[:1])
    beat("detect", begun)
    if index in detector.get("orphan", []):  # a detector whose own process does not end by itself
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
        Path(config.detector_params["pids"]).write_text(str(child.pid))
    if index in detector.get("hang", []) and "pid" in detector:
        Path(detector["pid"]).write_text(str(os.getpid()))
    if index in detector.get("hang", []) or index in detector.get("orphan", []):
        time.sleep(600)
    if index in detector.get("abort", []):
        os.abort()
    if index in detector.get("leave", []):
        os._exit(3)
    if index in detector.get("raise", []):
        raise ValueError(f"round {index} is not to my liking")
    marker = Path(detector.get("kills_ray", "/"))
    if not marker.exists():  # once
        marker.write_text("done")
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(600)
    time.sleep(detector.get("slow", 0.0))
    beat("idle")
    detector["calls"] += 1
    result.round.first = {"threads": os.environ["OMP_NUM_THREADS"]}
    return result
