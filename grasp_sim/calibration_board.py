"""A calibration board in the simulated cell: a thin plate with the board's picture, fixed to a frame of the arm."""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np

from grasp_core.board import Board
from grasp_core.errors import ConfigError
from grasp_sim.robot_model import wxyz

PIXELS_PER_SQUARE = 112  # a whole number for each of a marker's modules
THICKNESS = 0.003  # m
RIM = 0.01  # m of white paper around the pattern
WHITE = 255


@dataclass(frozen=True)
class BoardPlace:
    """A board and where it is: T_frame_board (4, 4), its face's frame in the frame `frame` of the arm."""

    board: Board
    frame: str
    T_frame_board: np.ndarray


def add_board(spec: mujoco.MjSpec, place: BoardPlace) -> None:
    """Add the plate; it is seen, but nothing collides with it.

    Raises:
        ConfigError: the arm has no such frame.
    """
    parent = next((body for body in spec.bodies if body.name == place.frame), None)
    if parent is None:
        raise ConfigError(f"calibration board: the arm has no frame {place.frame!r} to fix it to")
    picture = _picture(place.board)
    texture = spec.add_texture(
        name="calibration_board", type=mujoco.mjtTexture.mjTEXTURE_2D, width=picture.shape[1], height=picture.shape[0]
    )
    texture.nchannel = 3
    texture.data = np.repeat(picture[..., None], 3, axis=2).tobytes()
    material = spec.add_material(name="calibration_board", specular=0.0, shininess=0.0)
    textures = [""] * mujoco.mjtTextureRole.mjNTEXROLE.value
    textures[mujoco.mjtTextureRole.mjTEXROLE_RGB.value] = "calibration_board"
    material.textures = textures
    _add_mesh(spec, place.board)
    T = place.T_frame_board
    parent.add_body(name="calibration_board", pos=T[:3, 3].tolist(), quat=wxyz(T[:3, :3])).add_geom(
        name="calibration_board",
        type=mujoco.mjtGeom.mjGEOM_MESH,
        meshname="calibration_board",
        material="calibration_board",
        contype=0,
        conaffinity=0,
        mass=0.0,
    )


def _picture(board: Board) -> np.ndarray:
    rim = round(RIM / board.square * PIXELS_PER_SQUARE)
    return np.pad(board.picture(PIXELS_PER_SQUARE), rim, constant_values=WHITE)


def _add_mesh(spec: mujoco.MjSpec, board: Board) -> None:
    """A plate whose face carries the picture; its other sides show the picture's white corner."""
    rim = round(RIM / board.square * PIXELS_PER_SQUARE) / PIXELS_PER_SQUARE * board.square
    (x, y), low = board.size + rim, -rim
    face = np.array([[low, low, 0], [x, low, 0], [x, y, 0], [low, y, 0]], np.float64)
    back = face + np.array([0, 0, THICKNESS])
    # The face looks along -z: towards whoever sees x to the right and y down.
    front = [[0, 2, 1], [0, 3, 2]]
    rest = [[4, 5, 6], [4, 6, 7]]
    for i in range(4):
        j = (i + 1) % 4
        rest += [[i, j, j + 4], [i, j + 4, i + 4]]
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1], [0.001, 0.001]], np.float64)
    texture_of = [*front, *([[4, 4, 4]] * len(rest))]
    mesh = spec.add_mesh(
        name="calibration_board",
        uservert=np.vstack([face, back]).ravel().tolist(),
        userface=np.ravel([*front, *rest]).tolist(),
        usertexcoord=corners.ravel().tolist(),
        userfacetexcoord=np.ravel(texture_of).tolist(),
    )
    mesh.inertia = mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL
