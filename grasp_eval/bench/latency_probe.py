"""`python -m grasp_eval.bench.latency_probe JOB OUT STARTED`: times one detector in this process and nothing else.

JOB (JSON) names the detector and the clouds (npz); OUT gets one JSON line per finding, so that what was measured before
a crash is kept. STARTED is the wall-clock time at which the process was asked for, s. Nothing is imported before the
memory of the bare interpreter has been read.
"""

import json
import math
import os
import sys
import time
from pathlib import Path

WARM_UP = 2  # calls that do not count


def main(argv: list[str]) -> int:
    """Run the job; 0, or 1 after a line with the error."""
    first_line = time.time()
    job = json.loads(Path(argv[0]).read_text(encoding="utf-8"))
    with open(argv[1], "a", encoding="utf-8") as out:

        def tell(**finding: object) -> None:
            out.write(json.dumps(finding) + "\n")
            out.flush()

        tell(cold="interpreter", ms=(first_line - float(argv[2])) * 1e3, memory_mb=peak_memory_mb())
        try:
            _run(job, tell)
            tell(done=True)
        except Exception as error:  # the detector is foreign code: whatever it raises is a finding
            tell(error=f"{type(error).__name__}: {error}")
            return 1
    return 0


def peak_memory_mb() -> float:
    """Peak resident memory of this process and its living descendants, MiB.

    From VmHWM: ru_maxrss is inherited over exec and would tell of the process that started this one.
    """
    return sum(_high_water_mark(pid) for pid in _tree(os.getpid())) / 1024


def _tree(pid: int) -> list[int]:
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = task.read_text().split()
        except OSError:  # the thread or process has ended in the meantime
            continue
        for child in children:
            found += _tree(int(child))
    return found


def _high_water_mark(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:  # ended in the meantime
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM:")), 0)


def _run(job: dict, tell) -> None:
    start = time.perf_counter()
    import importlib
    import importlib.util

    from grasp_core.gripper import Gripper
    from grasp_perception.detectors import make_detector, module_of

    name, python = job["detector"], job["python"]
    module = module_of(name) if python is None else ""
    if module and importlib.util.find_spec(module) is not None:  # an unknown one is for make_detector to tell
        importlib.import_module(module)
    tell(cold="import", ms=(time.perf_counter() - start) * 1e3, memory_mb=peak_memory_mb())
    gripper = Gripper.load(job["gripper"])
    start = time.perf_counter()
    detector = make_detector(name, **({} if python is None else {"python": python}))
    tell(cold="make", ms=(time.perf_counter() - start) * 1e3, memory_mb=peak_memory_mb())
    for index, case in enumerate(job["cases"]):
        observation, region = _load(case["file"])
        if index == 0:
            start = time.perf_counter()
            detector.detect(observation, gripper, region)
            tell(cold="first detect", ms=(time.perf_counter() - start) * 1e3, memory_mb=peak_memory_mb())
        if job["runs"]:
            tell(case=case["index"], **_measure(detector, observation, gripper, region, job["runs"]))
            tell(memory_mb=peak_memory_mb())


def _load(path: str) -> tuple:
    import numpy as np

    from grasp_core.cell import Box
    from grasp_core.cloud import Cloud
    from grasp_core.observation import Observation

    with np.load(path) as data:
        cloud = Cloud(data["points"], None, "base_link", 0)
        return Observation(cloud, T_base_cam=data["T_base_cam"]), Box(data["low"], data["high"])


def _measure(detector, observation, gripper, region, runs: int) -> dict:
    """Milliseconds of every call and of its stages, after some to warm up; or the error that the detector raised."""
    from grasp_core.errors import SeegraspError

    totals: list[float] = []
    cpu: list[float] = []
    stages: dict[str, list[float]] = {}
    try:
        for i in range(WARM_UP + runs):
            start, start_cpu = time.perf_counter(), time.process_time()
            grasps = detector.detect(observation, gripper, region)
            elapsed, busy = time.perf_counter() - start, time.process_time() - start_cpu
            if i < WARM_UP:
                continue
            totals.append(elapsed * 1e3)
            cpu.append(busy * 1e3)
            for stage, ms in detector.timings.items():
                if not math.isfinite(ms):
                    return {"failed": f"timings[{stage!r}] is {ms}, expected milliseconds"}
                stages.setdefault(stage, []).append(float(ms))
    except SeegraspError as error:
        return {"failed": f"{error.code.name}: {error}"}
    best = float(grasps.score.max()) if len(grasps) else None
    return {"grasps": len(grasps), "best_score": best, "total_ms": totals, "cpu_ms": cpu, "stages_ms": stages}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
