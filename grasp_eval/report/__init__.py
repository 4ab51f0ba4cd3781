"""Report pages: one self-contained HTML file each (own style, pictures embedded), from the templates here."""

from __future__ import annotations

import base64
import io
import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from PIL import Image

from grasp_eval.results import Round, percentiles, totals, write_atomic

PACKAGES = ("torch", "mujoco", "pin", "coal", "ompl", "numpy", "scipy", "rosbags", "mcap")


def _percent(share: dict[str, object]) -> str:
    return "–" if share["rate"] is None else f"{100 * share['rate']:.0f} %"


def _number(value: float | None, digits: int = 0) -> str:
    return "–" if value is None else f"{value:,.{digits}f}".replace(",", "\u202f")


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{seconds:.1f} s"


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("grasp_eval", "report"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(percent=_percent, number=_number, duration=_duration)
    return environment


def data_uri(pixels: np.ndarray, quality: int = 82) -> str:
    """An RGB picture (H, W, 3) uint8 as a JPEG data URI."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def machine() -> dict[str, str]:
    """Processor, cores, memory and system of this machine."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [x.split(":", 1)[1].strip() for x in cpuinfo.read_text().splitlines() if x.startswith("model name")]
        model = names[0] if names else model
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "processor": model,
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{memory:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
    }


def versions(root: Path | None = None) -> dict[str, str]:
    """Versions of what the results depend on, with the commit of the working tree where there is one."""
    found = {"python": platform.python_version(), "ros": os.environ.get("ROS_DISTRO", "wheels (kilted)")}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    found["seegrasp"] = _commit(root or Path(__file__).resolve().parents[2])
    return found


def _commit(root: Path) -> str:
    command = ["git", "-C", str(root), "describe", "--always", "--dirty"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"unknown ({error})"
    return done.stdout.strip() if done.returncode == 0 else "unknown (no git repository)"


def command_line() -> str:
    """The command that is running, as one would type it."""
    name = Path(sys.argv[0]).name
    name = "python -m seegrasp" if name == "__main__.py" else name
    return " ".join([name, *sys.argv[1:]])


def render(template: str, **values: object) -> str:
    """Fill a template of this folder; everything is HTML-escaped."""
    return _environment().get_template(template).render(**values)


def write_demo_report(
    folder: Path,
    *,
    title: str,
    rounds: list[Round],
    pictures: dict[tuple[int, int], str],
    about: dict[str, str],
    problems: list[str],
    files: list[str],
) -> Path:
    """Write report.html of a demo run. `pictures`: (seed, attempt index) -> data URI. Raises SaveError."""
    attempts = [a for r in rounds for a in r.attempts]
    page = render(
        "demo.html.j2",
        title=title,
        rounds=rounds,
        total=totals(rounds),
        timings=percentiles(attempts),
        pictures=pictures,
        about=about,
        machine=machine(),
        versions=versions(),
        problems=problems,
        files=files,
    )
    path = folder / "report.html"
    write_atomic(path, page)
    return path


def write_replay_report(
    folder: Path,
    *,
    title: str,
    summary: dict[str, str],
    metrics: dict[str, dict[str, float]],
    frames: list[dict[str, object]],
    timings: list[dict[str, object]],
    pictures: list[dict[str, str]],
    problems: list[str],
) -> Path:
    """Write report.html of an offline replay. Raises SaveError.

    `pictures`: {"uri", "caption"} each. `metrics`: see offline_frames.
    """
    page = render(
        "replay.html.j2",
        title=title,
        summary=summary,
        metrics=metrics,
        frames=frames,
        timings=timings,
        pictures=pictures,
        problems=problems,
        machine=machine(),
        versions=versions(),
    )
    path = folder / "report.html"
    write_atomic(path, page)
    return path
