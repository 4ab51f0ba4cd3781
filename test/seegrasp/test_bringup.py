"""Processes of a bringup: started, watched, ended, and never left behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from grasp_core.errors import ConfigError
from seegrasp.bringup import STOP_S, Bringup, DeadNode
from seegrasp.bringup_config import NodePlan

FAKES = Path(__file__).parent / "fakes"
PATIENCE_S = 20.0


@pytest.fixture(autouse=True)
def fakes_on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    root = Path(__file__).resolve().parents[2]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(FAKES), str(root), os.environ.get("PYTHONPATH", "")]))


def plan(module: str, **parameters) -> NodePlan:
    return NodePlan(f"{module}_node", module, f"{module}_node", parameters, {"cloud": "/other/cloud"})


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Bringup]]:
    made: list[Bringup] = []

    def build(*plans: NodePlan, **options) -> Bringup:
        made.append(Bringup(plans, tmp_path / "logs", **options))
        made[-1].start()
        return made[-1]

    yield build
    for bringup in made:
        bringup.stop()


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.02)


def log_of(bringup: Bringup, name: str) -> str:
    file = bringup.log_dir / f"{name}.log"
    return file.read_text() if file.exists() else ""


def running(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rsplit(")", 1)[1].split()[0] != "Z"


def test_nodes_get_parameters_and_remappings_and_write_logs(make) -> None:
    lines = []
    bringup = make(plan("steady", rate=2.5, names=["a"]), sink=lambda name, line: lines.append((name, line)))
    wait_for(lambda: "ready" in log_of(bringup, "steady_node"))
    assert bringup.alive()
    assert bringup.names == ["steady_node"]
    words = log_of(bringup, "steady_node").split()
    assert words[:3] == ["ready", "steady", "--ros-args"]
    assert "cloud:=/other/cloud" in words
    parameters = yaml.safe_load(Path(words[-1]).read_text())
    assert parameters == {"/**": {"ros__parameters": {"rate": 2.5, "names": ["a"]}}}
    assert lines[0][0] == "steady_node"


def test_stop_ends_all_and_is_no_death(make) -> None:
    bringup = make(plan("steady"))
    wait_for(lambda: "ready" in log_of(bringup, "steady_node"))
    pid = bringup.pid("steady_node")
    bringup.stop()
    assert not running(pid)
    assert not bringup.alive()
    assert bringup.dead() == []
    bringup.stop()


def test_what_ignores_the_request_is_killed_with_its_children(make) -> None:
    bringup = make(plan("stubborn"))
    wait_for(lambda: "child" in log_of(bringup, "stubborn_node"))
    child = int(log_of(bringup, "stubborn_node").split()[1])
    bringup.stop()
    wait_for(lambda: not running(child))
    assert not bringup.alive()


def test_a_node_that_ends_is_told_with_code_and_last_lines(make) -> None:
    bringup = make(plan("failing"), plan("crashing"), plan("steady"))
    wait_for(lambda: len(bringup.dead()) == 2)
    assert bringup.dead() == [DeadNode("failing_node", 3, "no camera"), DeadNode("crashing_node", -9, "")]
    assert "exit code 3" in str(bringup.dead()[0])
    assert "SIGKILL" in str(bringup.dead()[1])
    assert bringup.alive("steady_node")
    assert not bringup.alive()


def test_restart_is_a_new_process(make) -> None:
    bringup = make(plan("steady"))
    wait_for(lambda: "ready" in log_of(bringup, "steady_node"))
    before = bringup.pid("steady_node")
    os.kill(before, signal.SIGKILL)
    wait_for(lambda: bringup.dead())
    bringup.restart("steady_node")
    assert bringup.pid("steady_node") != before
    wait_for(lambda: log_of(bringup, "steady_node").count("ready") == 2)
    assert bringup.dead() == []


def test_unknown_nodes_are_refused(make) -> None:
    with pytest.raises(ConfigError, match=r"no node 'nobody'.*steady_node"):
        make(plan("steady")).restart("nobody")


def test_no_orphans_when_the_manager_is_killed(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from seegrasp.bringup import Bringup; "
        "from seegrasp.bringup_config import NodePlan; "
        f"b = Bringup([NodePlan('n', 'stubborn', 'n', {{}}, {{}})], Path({str(tmp_path)!r})); b.start(); "
        "print(b.pid('n'), flush=True); time.sleep(60)"
    )
    manager = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    node = int(manager.stdout.readline())
    log = tmp_path / "n.log"
    wait_for(lambda: log.exists() and "child" in log.read_text())
    child = int(log.read_text().split()[1])
    manager.kill()
    manager.wait()
    manager.stdout.close()
    wait_for(lambda: not running(node) and not running(child))


def bringup_file(path: Path, *modules: str) -> Path:
    nodes = [{"name": m, "module": m, "executable": m} for m in modules]
    path.write_text(yaml.safe_dump({"description": "fakes", "nodes": nodes}))
    return path


def up(tmp_path: Path, *modules: str, options: tuple[str, ...] = ()) -> subprocess.Popen:
    file = bringup_file(tmp_path / "fakes.yaml", *modules)
    command = [sys.executable, "-m", "seegrasp", "up", str(file), "--log-dir", str(tmp_path / "logs"), *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_up_ends_on_a_signal_within_its_time(tmp_path: Path, number: int) -> None:
    process = up(tmp_path, "steady", "stubborn")
    for name, word in (("steady", "ready"), ("stubborn", "child")):
        log = tmp_path / "logs" / f"{name}.log"
        wait_for(lambda log=log, word=word: log.exists() and word in log.read_text())
    process.send_signal(number)
    out, _ = process.communicate(timeout=STOP_S + PATIENCE_S)
    assert process.returncode == 0, out
    assert "steady | ready" in out


def test_up_says_who_died_and_stops_the_others(tmp_path: Path) -> None:
    process = up(tmp_path, "steady", "failing")
    out, _ = process.communicate(timeout=STOP_S + PATIENCE_S)
    assert process.returncode == 1
    assert "node failing ended with exit code 3; its last lines:\nno camera" in out
    assert "stopping the others" in out


def test_up_may_keep_going(tmp_path: Path) -> None:
    process = up(tmp_path, "steady", "failing", options=("--keep-going",))
    lines = []
    while not any("exit code 3" in line for line in lines):
        lines.append(process.stdout.readline())
        assert lines[-1], f"ended early: {''.join(lines)}"
    log = tmp_path / "logs" / "steady.log"
    wait_for(lambda: log.exists() and "ready" in log.read_text())
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=STOP_S + PATIENCE_S)
    assert process.returncode == 1
