"""Objects whose meshes and poses are known beside a bag: what AP of its grasps is computed on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator
from typing_extensions import Self

from grasp_core import config, se3
from grasp_core.grasps import Grasps
from grasp_eval.bag_frames import BagTransforms
from grasp_eval.bench.ap import Model, accuracies, average_precision, score_grasps, table_points
from grasp_sim.mesh_files import read_mesh

Six = tuple[float, float, float, float, float, float]


class KnownObject(config.StrictModel):
    """One object.

    Attributes:
        mesh: file, relative to the YAML file. scale: from its units to m.
        frame: name of the mesh's frame in the bag's transforms; or
        pose: of the mesh in the base frame, fixed: x, y, z (m), roll, pitch, yaw (rad, fixed axes).
    """

    mesh: Path
    scale: Annotated[float, Field(gt=0)] = 1.0
    frame: str | None = None
    pose: Six | None = None

    @model_validator(mode="after")
    def _placed_once(self) -> Self:
        if (self.frame is None) == (self.pose is None):
            raise ValueError("expected either frame (of the bag's transforms) or pose (x, y, z, roll, pitch, yaw)")
        return self


class ObjectsFile(config.StrictModel):
    """Model of the file of `--objects`."""

    objects: Annotated[tuple[KnownObject, ...], Field(min_length=1)]


class KnownObjects:
    """The objects of a file, posed by a bag's transforms."""

    def __init__(self, path: Path, tf: BagTransforms) -> None:
        """Read the file and its meshes. Raises ConfigError, InputError."""
        self._objects: Sequence[KnownObject] = config.load_model(path, ObjectsFile).objects
        self._models = [Model.of_mesh(read_mesh(path.parent / o.mesh, o.scale)) for o in self._objects]
        self._tf = tf

    def __len__(self) -> int:
        return len(self._objects)

    def poses(self, base_frame: str, stamp: int) -> NDArray[np.float64]:
        """(N, 4, 4) in the base frame at a stamp (ns). Raises FrameError where the bag does not place a frame then."""
        return np.stack([self._pose(o, base_frame, stamp) for o in self._objects])

    def _pose(self, known: KnownObject, base_frame: str, stamp: int) -> NDArray[np.float64]:
        if known.pose is not None:
            return se3.make(se3.rpy_matrix(*known.pose[3:]), known.pose[:3])
        return self._tf.lookup(base_frame, known.frame, stamp)

    def ap(self, grasps: Grasps, base_frame: str, stamp: int, table_height: float, max_width: float) -> dict:
        """AP of grasps in the base frame: ``ap`` and ``ap_mu`` (see bench.ap). Raises FrameError, InputError.

        table_height: of what the objects stand on, m. max_width: of the gripper, m.
        """
        poses = self.poses(base_frame, stamp)
        centre = [*poses[:, :2, 3].mean(axis=0), 0.0]  # the metric's table is 1 m wide: it belongs under the objects
        verdicts = score_grasps(grasps, self._models, poses, table_points(table_height) + centre, max_width)
        return average_precision(accuracies(verdicts.friction))
