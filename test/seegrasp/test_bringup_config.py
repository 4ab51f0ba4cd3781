"""Bringup files: strict, typed settings, and the shipped ones name what exists."""

import ast
import sys
import types
from pathlib import Path

import pytest
import yaml

from grasp_core.errors import ConfigError
from seegrasp.bringup_config import load, parse_settings, resolve

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ("sim", "perception", "real")
DOCUMENT = {
    "description": "a test",
    "arguments": {
        "seed": {"default": 1, "description": "of the scene"},
        "rate": {"default": 2.0, "description": "Hz"},
        "arm": {"default": True, "description": "with the arm"},
        "scene": {"default": "bin", "description": "kind", "choices": ["bin", "pile"]},
    },
    "nodes": [
        {
            "name": "a",
            "module": "m.a",
            "executable": "a",
            "parameters": {"seed": "${seed}", "label": "s${seed}-${scene}"},
        },
        {"name": "b", "module": "m.b", "executable": "a", "condition": "arm", "remappings": {"x": "/${scene}/x"}},
        {"name": "c", "module": "m.c", "executable": "c", "condition": "not arm", "parameters": {"rate": "${rate}"}},
    ],
}


def write(tmp_path: Path, **changes) -> str:
    path = tmp_path / "test.yaml"
    path.write_text(yaml.safe_dump({**DOCUMENT, **changes}))
    return str(path)


def plans(tmp_path: Path, *settings: str) -> dict:
    return {p.name: p for p in resolve(load(write(tmp_path)), parse_settings(settings))}


def test_arguments_keep_their_types_and_conditions_choose(tmp_path: Path) -> None:
    found = plans(tmp_path)
    assert list(found) == ["a", "b"]
    assert found["a"].parameters == {"seed": 1, "label": "s1-bin"}
    assert found["b"].remappings == {"x": "/bin/x"}
    found = plans(tmp_path, "seed:=7", "scene:=pile", "arm:=false", "rate:=3")
    assert list(found) == ["a", "c"]
    assert found["a"].parameters == {"seed": 7, "label": "s7-pile"}
    assert found["c"].parameters == {"rate": 3.0}
    assert isinstance(found["c"].parameters["rate"], float)


def test_parameters_of_one_node_can_be_set(tmp_path: Path) -> None:
    found = plans(tmp_path, "a.seed:=9", "a.box:=[1.0, 2.0]")
    assert found["a"].parameters == {"seed": 9, "label": "s1-bin", "box": [1.0, 2.0]}


def test_only_the_main_node_of_a_process_is_renamed(tmp_path: Path) -> None:
    found = plans(tmp_path)
    assert found["a"].ros_args("p.yaml") == ["--ros-args", "--params-file", "p.yaml"]
    assert found["b"].ros_args(None) == ["--ros-args", "-r", "a:__node:=b", "-r", "x:=/bin/x"]


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("seed", "expected key:=value"),
        ("sed:=1", "no argument 'sed'; there are arm, rate, scene, seed"),
        ("nobody.seed:=1", "no argument 'nobody.seed'"),
        ("seed:=many", "seed:=many: expected int"),
        ("seed:=1.5", "expected int"),
        ("arm:=1", "expected bool"),
        ("scene:=heap", "expected one of bin, pile"),
    ],
)
def test_wrong_settings_say_what_was_expected(tmp_path: Path, setting: str, said: str) -> None:
    with pytest.raises(ConfigError) as error:
        plans(tmp_path, setting)
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"nods": []}, "nods"),
        ({"nodes": [{"name": "a", "module": "m", "executable": "a", "remap": {}}]}, "nodes.0.remap"),
        ({"nodes": [{"name": "a", "module": "m", "executable": "a", "parameters": {"x": {"y": 1}}}]}, "parameters.x"),
        ({"nodes": [{"name": "a b", "module": "m", "executable": "a"}]}, "nodes.0.name"),
        ({"nodes": [{"name": "a", "module": "m", "executable": "a"}] * 2}, "'a' stands there twice"),
        (
            {"nodes": [{"name": "a", "module": "m", "executable": "a", "parameters": {"x": "${y}"}}]},
            "${y} is not among",
        ),
        (
            {"nodes": [{"name": "a", "module": "m", "executable": "a", "condition": "seed"}]},
            "not a true/false argument",
        ),
        ({"arguments": {"s": {"default": "x", "description": "", "choices": ["y"]}}}, "not one of its choices"),
    ],
)
def test_wrong_files_name_file_and_key(tmp_path: Path, changes: dict, said: str) -> None:
    path = write(tmp_path, **changes)
    with pytest.raises(ConfigError) as error:
        load(path)
    assert said in str(error.value)
    assert path in str(error.value)


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_bringups_name_modules_with_a_main(name: str) -> None:
    for plan in resolve(load(name), {}):
        source = (ROOT / (plan.module.replace(".", "/") + ".py")).read_text()
        functions = [n.name for n in ast.parse(source).body if isinstance(n, ast.FunctionDef)]
        assert "main" in functions, plan.module


class Recorded:
    """Stands in for classes of launch: remembers what it was made with."""

    def __init__(self, *args, **kwargs) -> None:
        self.args, self.kwargs = args, kwargs


@pytest.mark.parametrize("name", SHIPPED)
def test_launch_files_start_the_same_nodes(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    modules = {n: types.ModuleType(n) for n in ("launch", "launch.actions", "launch_ros", "launch_ros.actions")}
    modules["launch"].LaunchDescription = Recorded
    for class_name in ("DeclareLaunchArgument", "OpaqueFunction", "Shutdown"):
        setattr(modules["launch.actions"], class_name, type(class_name, (Recorded,), {}))
    modules["launch_ros.actions"].Node = type("Node", (Recorded,), {})
    for module_name, module in modules.items():
        monkeypatch.setitem(sys.modules, module_name, module)
    namespace: dict = {}
    exec((ROOT / "launch" / f"{name}.launch.py").read_text(), namespace)
    *arguments, function = namespace["generate_launch_description"]().args[0]
    spec = load(name)
    assert [a.args[0] for a in arguments] == list(spec.arguments)
    defaults = {a.args[0]: a.kwargs["default_value"] for a in arguments}
    nodes = function.kwargs["function"](types.SimpleNamespace(launch_configurations=defaults))
    assert [(n.kwargs["executable"], n.kwargs["parameters"][0]) for n in nodes] == [
        (p.executable, dict(p.parameters)) for p in resolve(spec, {})
    ]
