"""Procedural objects: sizes, masses, convexity, determinism, and what MuJoCo makes of them."""

import mujoco
import numpy as np
import pytest
from scipy.spatial import ConvexHull

from grasp_core.errors import InputError
from grasp_sim.objects import FAMILIES, ObjectSpec, Part, add_object, sample_object
from grasp_sim.objects.shapes import FRICTION_RANGE, MASS_RANGE, shell_ring
from grasp_sim.objects.spec import rotation_from_wxyz

SEEDS = range(50)
GRIPPER = 0.085
CLEARANCE = 0.005


def compiled(obj: ObjectSpec) -> mujoco.MjModel:
    spec = mujoco.MjSpec()
    add_object(spec, obj, "thing", (0.1, 0.2, 0.3))
    return spec.compile()


def test_at_least_twelve_families() -> None:
    assert len(FAMILIES) >= 12


@pytest.mark.parametrize("family", FAMILIES)
def test_family_makes_sane_objects(family: str) -> None:
    for seed in SEEDS:
        obj = FAMILIES[family](np.random.default_rng(seed))
        assert obj.family == family
        assert MASS_RANGE[0] <= obj.mass <= MASS_RANGE[1]
        assert FRICTION_RANGE[0] <= obj.friction <= FRICTION_RANGE[1]
        assert 0.003 <= obj.grasp_width <= GRIPPER - CLEARANCE
        extents = obj.extents
        assert np.isfinite(extents).all()
        assert extents.min() >= 0.012
        assert extents.max() <= 0.23
        np.testing.assert_allclose(obj.bounds.mean(0), 0.0, atol=1e-9)
        assert (np.abs(obj.centre_of_mass) <= extents / 2).all()
        assert obj.part_masses.sum() == pytest.approx(obj.mass)
        assert len(obj.rgba) == 4
        assert all(0.0 <= c <= 1.0 for c in obj.rgba)
        assert all(np.isfinite(v) for v in obj.metadata.values())


@pytest.mark.parametrize("family", FAMILIES)
def test_parts_are_closed_and_convex(family: str) -> None:
    for seed in range(10):
        for part in FAMILIES[family](np.random.default_rng(seed)).parts:
            hull = part.hull
            assert hull.is_watertight
            assert hull.volume > 0
            assert hull.volume == pytest.approx(ConvexHull(hull.vertices).volume, rel=1e-6)
            # a polyhedron inside a round part has a little less volume than the formula
            assert hull.volume == pytest.approx(part.volume, rel=0.03)


@pytest.mark.parametrize("family", FAMILIES)
def test_mujoco_agrees_on_mass_and_centre(family: str) -> None:
    obj = FAMILIES[family](np.random.default_rng(3))
    model = compiled(obj)
    body = model.body("thing")
    assert float(body.mass[0]) == pytest.approx(obj.mass, rel=1e-6)
    np.testing.assert_allclose(body.ipos, obj.centre_of_mass, atol=2e-5)
    inertia = np.sort(body.inertia)
    assert (inertia > 0).all()
    assert inertia[0] + inertia[1] >= inertia[2] * 0.999
    names = [model.geom(i).name for i in range(model.ngeom)]
    assert names == [f"thing_g{i}" for i in range(len(obj.parts))]


def test_mujoco_places_meshes_where_the_object_has_them() -> None:
    """MuJoCo moves every mesh into its inertial frame: the surface must stay where it was."""
    obj = FAMILIES["bowl"](np.random.default_rng(1))
    model = compiled(obj)
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    for i, part in enumerate(obj.parts):
        if part.kind != "mesh":
            continue
        mesh = model.geom(f"thing_g{i}").dataid[0]
        start, count = model.mesh_vertadr[mesh], model.mesh_vertnum[mesh]
        vertices = model.mesh_vert[start : start + count] @ data.geom_xmat[i].reshape(3, 3).T + data.geom_xpos[i]
        expected = part.vertices @ part.rotation.T + part.position + np.array([0.1, 0.2, 0.3])
        np.testing.assert_allclose(vertices.min(0), expected.min(0), atol=1e-6)
        np.testing.assert_allclose(vertices.max(0), expected.max(0), atol=1e-6)


def test_same_generator_same_object() -> None:
    one, two = (sample_object(np.random.default_rng(7)) for _ in range(2))
    assert (one.name, one.mass, one.friction, one.rgba) == (two.name, two.mass, two.friction, two.rgba)
    for a, b in zip(one.parts, two.parts, strict=True):
        assert (a.kind, a.size, a.position, a.quaternion) == (b.kind, b.size, b.position, b.quaternion)
        assert a.vertices is None or np.array_equal(a.vertices, b.vertices)


def test_family_choice() -> None:
    rng = np.random.default_rng(0)
    assert {sample_object(rng, ["mug", "ring"]).family for _ in range(20)} == {"mug", "ring"}
    with pytest.raises(InputError, match="teapot"):
        sample_object(rng, ["teapot"])
    with pytest.raises(InputError):
        sample_object(rng, [])


def test_mesh_covers_bounds_and_radius() -> None:
    obj = FAMILIES["hammer"](np.random.default_rng(2))
    mesh = obj.mesh()
    np.testing.assert_allclose(mesh.bounds, obj.bounds)
    assert np.linalg.norm(mesh.vertices, axis=1).max() == pytest.approx(obj.radius)


def test_shell_ring_is_hollow() -> None:
    parts = shell_ring((0.03, 0.035, 0.0), (0.03, 0.035, 0.05), 16)
    outer, inner = (16 / 2 * r * r * np.sin(2 * np.pi / 16) * 0.05 for r in (0.035, 0.03))
    assert sum(part.volume for part in parts) == pytest.approx(outer - inner, rel=1e-6)


def test_rotation_from_wxyz_turns_about_z() -> None:
    half = np.sqrt(0.5)
    np.testing.assert_allclose(rotation_from_wxyz((half, 0, 0, half)) @ [1, 0, 0], [0, 1, 0], atol=1e-12)


@pytest.mark.parametrize(
    "kwargs",
    [
        {"kind": "pyramid", "size": (1.0,)},
        {"kind": "box", "size": (0.1, 0.1)},
        {"kind": "box", "size": (0.1, 0.1, 0.0)},
        {"kind": "sphere", "size": (float("nan"),)},
        {"kind": "mesh"},
        {"kind": "mesh", "vertices": np.zeros((4, 2))},
        {"kind": "sphere", "size": (0.1,), "vertices": np.zeros((4, 3))},
    ],
)
def test_bad_parts_are_refused(kwargs: dict) -> None:
    with pytest.raises(InputError):
        Part(**kwargs)


def test_flat_mesh_part_is_refused() -> None:
    flat = Part("mesh", vertices=np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0.0]]))
    with pytest.raises(InputError, match="no volume"):
        _ = flat.hull


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_scaled_objects_are_similar(family: str) -> None:
    obj = FAMILIES[family](np.random.default_rng(3))
    small = obj.scaled(0.5).scaled(1.6)
    np.testing.assert_allclose(small.bounds, 0.8 * obj.bounds, atol=1e-12)
    np.testing.assert_allclose(small.centre_of_mass, 0.8 * obj.centre_of_mass, atol=1e-12)
    np.testing.assert_allclose(small.part_masses, 0.8**3 * obj.part_masses)
    assert small.grasp_width == pytest.approx(0.8 * obj.grasp_width)
    assert small.metadata["scale"] == pytest.approx(0.8)
    assert (small.name, small.friction) == (obj.name, obj.friction)
    assert obj.with_friction(0.11).friction == 0.11


@pytest.mark.parametrize("factor", [0.0, -1.0, float("nan"), float("inf")])
def test_objects_are_not_scaled_to_nothing(factor: float) -> None:
    with pytest.raises(InputError, match="above zero"):
        FAMILIES["box"](np.random.default_rng(0)).scaled(factor)
