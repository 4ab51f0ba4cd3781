"""Setting up: what is missing is named, steps are done once, and what ROS supplies is not made again."""

from pathlib import Path

import pytest

from tools import bootstrap

checks = bootstrap.checks


def interpreter(version=(3, 11), **changes) -> "checks.Interpreter":
    fields = {
        "executable": f"/usr/bin/python{version[0]}.{version[1]}",
        "version": version,
        "implementation": "CPython",
    }
    fields |= {"machine": "x86_64", "venv": True, "headers": True, "rclpy": False, "colcon": False}
    return checks.Interpreter(**(fields | changes))


def test_takes_the_first_interpreter_that_does() -> None:
    old, without_venv, good = interpreter((3, 9)), interpreter((3, 11), venv=False), interpreter((3, 12))
    assert checks.choose_interpreter([old, without_venv, good], None) == (good, [])


def test_names_the_packages_that_an_interpreter_lacks() -> None:
    chosen, reasons = checks.choose_interpreter([interpreter(venv=False, headers=False)], None)
    assert chosen is None
    assert reasons == [
        "/usr/bin/python3.11 lacks the venv module and Python.h: sudo apt install python3.11-venv python3.11-dev"
    ]


def test_says_which_pythons_do_when_there_is_none() -> None:
    chosen, reasons = checks.choose_interpreter([interpreter((3, 10)), interpreter((3, 14))], None)
    assert chosen is None
    assert "3.11 3.12 3.13" in reasons[-1]
    assert "make setup PYTHON=" in reasons[-1]
    assert len(reasons) == 3


def test_a_ros_installation_needs_its_own_python_with_rclpy_and_colcon() -> None:
    assert interpreter((3, 10), rclpy=True, colcon=True).problems("humble") == []
    said = " ".join(interpreter((3, 12)).problems("jazzy"))
    assert "sudo apt install ros-jazzy-rclpy" in said
    assert "python3-colcon-common-extensions" in said


def test_the_given_python_decides_alone() -> None:
    assert checks.candidates(None, {"PYTHON": "/opt/py"}) == ["/opt/py"]
    assert checks.candidates("jazzy", {})[0] == "/usr/bin/python3"


def test_probe_of_what_does_not_run(tmp_path: Path) -> None:
    shim = tmp_path / "python3.12"
    shim.write_text("#!/bin/sh\necho 'pyenv: python3.12: command not found' >&2\nexit 127\n")
    shim.chmod(0o755)
    assert checks.probe(str(shim)) is None


def test_missing_programs_come_with_the_command() -> None:
    present = {"git", "make"}
    assert checks.check_tools(lambda name: name if name in present else None) == [
        "missing g++, cmake: sudo apt install g++ cmake"
    ]


def test_other_platforms_are_refused() -> None:
    assert "Linux on x86-64 only" in checks.check_platform("linux", "aarch64")[0]
    assert checks.check_platform("linux", "x86_64") == []


def test_missing_egl_and_disk() -> None:
    def fail(name):
        raise OSError(name)

    assert "sudo apt install libegl1" in checks.check_egl(fail)[0]
    assert "make room" in checks.check_disk(Path("/"), free=10**9)[0]


def test_compat_only_where_no_prefix_supplies_it(tmp_path: Path) -> None:
    assert checks.missing_compat("") == list(checks.COMPAT)
    assert set(checks.COMPAT) == {path.name for path in (Path(__file__).parents[2] / "interfaces/compat").iterdir()}
    index = tmp_path / "share" / "ament_index" / "resource_index" / "packages"
    index.mkdir(parents=True)
    (index / "tf2_msgs").touch()
    assert checks.missing_compat(f"/nowhere:{tmp_path}") == [n for n in checks.COMPAT if n != "tf2_msgs"]


class FakeSetup(bootstrap.Setup):
    """Does not run programs: notes their names and makes what they would."""

    def __init__(self, ros, root: Path, fail: str = "") -> None:
        super().__init__(ros, root)
        self.calls: list[tuple[str, list[str]]] = []
        self.fail = fail

    def call(self, command, what, total=0, env=None, live=False) -> None:
        self.calls.append((what, command))
        if self.fail and self.fail in what:
            raise bootstrap.SetupError(f"{what} failed")
        if what == "making .venv":
            (self.venv / "bin").mkdir(parents=True)
            self.python.touch()
        if what == "colcon build":
            (self.root / "install").mkdir(exist_ok=True)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in (*bootstrap.BUILD_INPUTS, "requirements.lock", "requirements-ros.lock", "requirements-torch.lock"):
        (tmp_path / name).write_text(f"{name}==1 \\\n")
    monkeypatch.setattr(bootstrap.checks, "find_interpreter", lambda ros: (interpreter(), []))
    monkeypatch.setattr(bootstrap, "mend_cmake", lambda venv, python: 0)
    monkeypatch.setattr(bootstrap.checks, "check_disk", lambda root: [])
    monkeypatch.delenv("ROS_DISTRO", raising=False)
    monkeypatch.delenv("AMENT_PREFIX_PATH", raising=False)
    return tmp_path


def run(root: Path, ros=None, fail="") -> FakeSetup:
    setup = FakeSetup(ros, root, fail)
    setup.run()
    return setup


def test_second_run_does_nothing(root: Path) -> None:
    assert run(root).calls[0][0] == "making .venv"
    assert run(root).calls == []


def test_a_changed_interface_builds_only(root: Path) -> None:
    run(root)
    (root / "interfaces").write_text("changed")
    assert [what for what, _ in run(root).calls] == ["colcon build"]


def test_a_changed_lock_installs_and_builds(root: Path) -> None:
    run(root)
    (root / "requirements.lock").write_text("numpy==2 \\\n")
    calls = [what for what, _ in run(root).calls]
    assert calls[0] == "pip install"
    assert calls[-1] == "colcon build"


def test_an_interrupted_install_goes_on(root: Path) -> None:
    with pytest.raises(bootstrap.SetupError):
        run(root, fail="pip install")
    assert run(root).calls[0][0] == "pip install"


def test_torch_comes_from_pytorch_where_the_index_has_no_cpu_build(root: Path) -> None:
    setup = run(root, fail="configured package index")
    command = next(c for what, c in setup.calls if what == "torch from PyTorch's index")
    assert command[-2:] == ["--extra-index-url", bootstrap.TORCH_INDEX]
    assert "--require-hashes" in command
    assert "--no-deps" in command


def test_on_ros_the_wheels_and_its_packages_are_left_out(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prefix = root.parent / "opt"
    for package in checks.COMPAT:
        path = prefix / "share/ament_index/resource_index/packages" / package
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"{root}/install:{prefix}")
    calls = dict(run(root, "jazzy").calls)
    assert "--system-site-packages" in calls["making .venv"]
    assert not any("requirements-ros" in a for a in calls["pip install"])
    assert not any("compat" in a for a in calls["colcon build"])
    assert (root / ".venv" / "seegrasp-ros").read_text() == "jazzy\n"


def test_without_ros_compat_is_built(root: Path) -> None:
    calls = dict(run(root).calls)
    assert "interfaces/compat/tf2_msgs" in calls["colcon build"]
    assert any("requirements-ros" in a for a in calls["pip install"])


def test_sourcing_ros_later_makes_a_new_environment(root: Path) -> None:
    run(root)
    assert run(root, "kilted").calls[0][0] == "making .venv"


def test_a_failing_program_is_told_with_its_last_lines(tmp_path: Path) -> None:
    setup = bootstrap.Setup(None, tmp_path)
    with pytest.raises(bootstrap.SetupError, match=r"(?s)step failed \(exit code 3\).*setup\.log.*the reason"):
        setup.call(["sh", "-c", "echo the reason; exit 3"], "step")


def test_cmake_files_are_pointed_at_the_environment(tmp_path: Path) -> None:
    import sys
    import sysconfig

    tag, version = f"cp3{sys.version_info[1]}", f"python3.{sys.version_info[1]}"
    file = tmp_path / "share" / "a" / "a.cmake"
    file.parent.mkdir(parents=True)
    old = f"/opt/python/{tag}-{tag}"
    file.write_text(f'"{old}/include/{version};{old}/lib/{version}/site-packages/numpy"')
    assert bootstrap.mend_cmake(tmp_path, Path(sys.executable)) == 1
    include, site = sysconfig.get_path("include"), sysconfig.get_path("purelib")
    assert file.read_text() == f'"{include};{site}/numpy"'
    assert bootstrap.mend_cmake(tmp_path, Path(sys.executable)) == 0


def test_progress_counts_and_stays_quiet_elsewhere(capsys: pytest.CaptureFixture) -> None:
    progress = bootstrap.Progress(30)
    for i in range(30):
        progress.line(f"Collecting package{i}==1.0\n")
        progress.line("  Downloading\n")
    progress.end()
    assert capsys.readouterr().out == "[setup]   25/30 package24\n"
