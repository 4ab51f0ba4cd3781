"""A calibration board: a chessboard with ArUco markers in its white squares (ChArUco), so that parts of it suffice.

Board frame, as OpenCV has it: origin at the outer corner of the first square, x along the rows, y down the columns, so
z points into the board, away from who looks at it.
"""

from functools import cached_property
from typing import Annotated

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator
from typing_extensions import Self

from grasp_core import config

Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=3, le=60)]


class Board(config.StrictModel):
    """Model of ``config/boards/*.yaml``; m."""

    name: str
    squares: tuple[Count, Count]
    square: Positive
    marker: Positive
    dictionary: str
    legacy: bool = False

    @model_validator(mode="after")
    def _printable(self) -> Self:
        if self.marker >= self.square:
            raise ValueError(f"marker {self.marker} m must be smaller than square {self.square} m")
        number = getattr(cv2.aruco, f"DICT_{self.dictionary}", None)
        if number is None:
            known = sorted(name[5:] for name in dir(cv2.aruco) if name.startswith("DICT_"))
            raise ValueError(f"dictionary {self.dictionary!r} is unknown; expected one of {', '.join(known)}")
        have = len(cv2.aruco.getPredefinedDictionary(number).bytesList)
        need = self.squares[0] * self.squares[1] // 2
        if need > have:
            raise ValueError(f"dictionary {self.dictionary} has {have} markers, this board needs {need}")
        return self

    @classmethod
    def load(cls, name: str) -> "Board":
        """Load by shipped name or path of a YAML file; raises ConfigError."""
        return config.load_model(config.find("boards", name), cls, "boards")

    @property
    def size(self) -> NDArray[np.float64]:
        """(2,) m: along x and y."""
        return np.array(self.squares) * self.square

    @property
    def centre(self) -> NDArray[np.float64]:
        """(3,) m: of the board's face, in the board frame."""
        return np.array([*self.size / 2, 0.0])

    @cached_property
    def corners(self) -> NDArray[np.float64]:
        """(N, 3) m: where squares meet inside the board, in the order of their ids."""
        return np.asarray(self.pattern().getChessboardCorners(), np.float64)

    def pattern(self) -> cv2.aruco.CharucoBoard:
        """OpenCV's object for it."""
        dictionary = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, f"DICT_{self.dictionary}"))
        pattern = cv2.aruco.CharucoBoard(self.squares, self.square, self.marker, dictionary)
        pattern.setLegacyPattern(self.legacy)
        return pattern

    def picture(self, pixels_per_square: int) -> NDArray[np.uint8]:
        """The face without a margin, (rows, columns) uint8."""
        columns, rows = (n * pixels_per_square for n in self.squares)
        return self.pattern().generateImage((columns, rows), marginSize=0, borderBits=1)
