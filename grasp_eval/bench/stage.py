"""The stage of a benchmark round: a bare table, or one with a container on it, as a work cell.

Base frame: origin in the middle of the workspace on the table top, z up.
"""

from __future__ import annotations

import numpy as np

from grasp_core.cell import BoxModel, Cell, Table
from grasp_core.errors import ConfigError
from grasp_eval.bench.protocol import Protocol

TABLE_HALF = 0.5  # m, at least
TABLE_MARGIN = 0.3  # m of table around the workspace, at least
BELOW_TABLE = 0.02  # m of the workspace below the table top: the table's points belong to the cloud
BIN_MARGIN = 0.01  # m of workspace around the outer walls of the container


def stage_cell(protocol: Protocol, scene: str) -> Cell:
    """The cell of one kind of scene under a protocol, without cameras and tray.

    The workspace is the protocol's cube on the table, reaching a little below its top; for ``bin`` it is widened to
    hold the flat Euro container of the shipped bin-picking cell, which then stands in its middle. ConfigError when the
    protocol has no such scene.
    """
    protocol.rules(scene)
    shipped = Cell.load("bin_picking")
    half = np.full(2, protocol.workspace / 2)
    container = None
    if scene == "bin":
        if shipped.bin is None:
            raise ConfigError("config/cells/bin_picking.yaml has no bin, which 'bin' scenes stand in: add one")
        container = shipped.bin.model_copy(update={"center": (0.0, 0.0)})
        half = np.maximum(half, np.array(container.size) / 2 + container.wall_thickness + BIN_MARGIN)
    reach = np.maximum(half + TABLE_MARGIN, TABLE_HALF)
    return Cell(
        name=f"bench_{protocol.name}_{scene}",
        arm=shipped.arm,
        gripper=shipped.gripper,
        base_frame=shipped.base_frame,
        workspace=BoxModel(min=(*(-half).tolist(), -BELOW_TABLE), max=(*half.tolist(), protocol.workspace)),
        table=Table(height=0.0, min=tuple((-reach).tolist()), max=tuple(reach.tolist())),
        bin=container,
        cameras=(),
    )
