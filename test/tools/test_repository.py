"""The repository itself: no machine's paths in lock files, sound scripts, metadata that agree."""

import ast
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
LOCKS = ("requirements.lock", "requirements-ros.lock", "requirements-torch.lock")


@pytest.mark.parametrize("name", LOCKS)
def test_lock_has_hashes_and_no_addresses(name: str) -> None:
    text = (ROOT / name).read_text()
    pins = [line for line in text.splitlines() if line and line[0].isalnum()]
    assert pins
    for pin in pins:
        assert re.match(r"^[a-z0-9][a-z0-9._-]*==\S+( ; .*)? \\$", pin), pin
    assert text.count("--hash=sha256:") >= len(pins)
    assert not re.search(r"https?://|file:|--index|--extra|--find-links|--trusted| @ |^/", text, re.MULTILINE)


def test_torch_is_the_cpu_build() -> None:
    assert re.search(r"^torch==[\d.]+\+cpu \\$", (ROOT / "requirements-torch.lock").read_text(), re.MULTILINE)
    for name in LOCKS[:2]:
        assert not re.search(r"^(torch|nvidia-|cuda-|triton)", (ROOT / name).read_text(), re.MULTILINE)


def test_the_two_locks_agree() -> None:
    pins = []
    for name in LOCKS[:2]:
        lines = [line for line in (ROOT / name).read_text().splitlines() if line and line[0].isalnum()]
        pins.append(dict(line.removesuffix(" \\").split("==", 1) for line in lines if "3.11'" not in line))
    shared = pins[0].keys() & pins[1].keys()
    assert {n: pins[0][n] for n in shared} == {n: pins[1][n] for n in shared}


def test_versions_agree() -> None:
    versions = {
        p: ET.parse(p).findtext("version") for p in (ROOT / "package.xml", *ROOT.glob("interfaces/s*/package.xml"))
    }
    versions["setup.py"] = re.search(r'version="([^"]+)"', (ROOT / "setup.py").read_text())[1]
    assert len(set(versions.values())) == 1, versions


@pytest.mark.parametrize("script", ["tools/env.sh", "tools/lock.sh", "bin/seegrasp", ".ci/run"])
def test_script_parses(script: str) -> None:
    subprocess.run(["bash", "-n", str(ROOT / script)], check=True)


def test_env_is_idempotent_and_works_from_anywhere(tmp_path: Path) -> None:
    command = f'. {ROOT}/tools/env.sh && first=$(env | sort) && . {ROOT}/tools/env.sh && [ "$first" = "$(env | sort)" ]'
    env = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, env=env, capture_output=True, text=True)
    if (ROOT / ".venv" / "seegrasp-ros").read_text().strip() != "wheels":
        pytest.skip("set up on a ROS installation, which a bare environment does not have")
    assert done.returncode == 0, done.stderr


def test_env_says_what_to_do_where_nothing_is_set_up(tmp_path: Path) -> None:
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "env.sh").write_text((ROOT / "tools" / "env.sh").read_text())
    done = subprocess.run(["bash", "-c", f". {tmp_path}/tools/env.sh"], capture_output=True, text=True)
    assert done.returncode == 1
    assert f"make -C {tmp_path} setup" in done.stderr


def test_env_refuses_another_ros_than_it_was_set_up_with(tmp_path: Path) -> None:
    for name in ("tools", ".venv/bin", "install"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "tools" / "env.sh").write_text((ROOT / "tools" / "env.sh").read_text())
    for name in (".venv/bin/activate", "install/local_setup.bash"):
        (tmp_path / name).touch()
    for mode, distro, said in (("wheels", "jazzy", "ROS jazzy is sourced"), ("jazzy", "", "/opt/ros/jazzy/setup.bash")):
        (tmp_path / ".venv" / "seegrasp-ros").write_text(mode)
        env = {"PATH": "/usr/bin:/bin"} | ({"ROS_DISTRO": distro} if distro else {})
        done = subprocess.run(["bash", "-c", f". {tmp_path}/tools/env.sh"], env=env, capture_output=True, text=True)
        assert (done.returncode, said in done.stderr) == (1, True), done.stderr


def test_make_help_names_every_target() -> None:
    done = subprocess.run(["make", "-C", str(ROOT), "--no-print-directory"], capture_output=True, text=True, check=True)
    for target in ("setup", "demo", "test", "lint", "clean"):
        assert f"make {target}" in done.stdout


def test_plain_colcon_build_leaves_compat_to_ros() -> None:
    defaults = yaml.safe_load((ROOT / "colcon_defaults.yaml").read_text())
    for verb in defaults.values():
        assert verb["base-paths"] == [".", "interfaces/seegrasp_msgs"]


def test_nodes_are_installed_under_their_names() -> None:
    bringups = [yaml.safe_load(p.read_text()) for p in (ROOT / "config" / "bringup").glob("*.yaml")]
    wanted = {n["executable"]: n["module"] for b in bringups for n in b["nodes"] if "arguments" not in n}
    code = "import setuptools\nsetuptools.setup = lambda **k: print(*k['entry_points']['console_scripts'], sep='\\n')\n"
    done = subprocess.run(
        [sys.executable, "-c", code + "exec(open('setup.py').read())"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    installed = dict(line.split(" = ") for line in done.stdout.splitlines())
    assert {name: f"{module}:main" for name, module in wanted.items()}.items() <= installed.items()


NOT_IN_PYTHON_3_10 = {  # Humble's; ruff's target version covers syntax only
    "typing": {"Self", "Never", "assert_never", "LiteralString", "Unpack", "TypeVarTuple", "override", "Required"},
    "enum": {"StrEnum", "verify", "member"},
    "datetime": {"UTC"},
    "itertools": {"batched"},
    "contextlib": {"chdir"},
}


def test_nothing_is_imported_that_the_oldest_python_lacks() -> None:
    found = []
    tracked = subprocess.run(["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in tracked.stdout.split():
        if not (ROOT / name).exists():
            continue
        for node in ast.walk(ast.parse((ROOT / name).read_text(encoding="utf-8"), feature_version=(3, 10))):
            if isinstance(node, ast.ImportFrom) and node.module in NOT_IN_PYTHON_3_10:
                new = {alias.name for alias in node.names} & NOT_IN_PYTHON_3_10[node.module]
                found += [f"{name}:{node.lineno}: {node.module}.{n}" for n in new]
            if isinstance(node, ast.Import) and any(alias.name == "tomllib" for alias in node.names):
                found.append(f"{name}:{node.lineno}: tomllib")
    assert not found
