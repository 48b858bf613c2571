"""
Pictures for whoever would rather look than read: `base` draws, each of the others says in records what its picture has,
and lays that out. Imports matplotlib, when a picture is drawn.
"""

from runbook_lib.render.pictures.base import WIDTH, Picture
from runbook_lib.render.pictures.matrix import MOST_LINES, Matrix, MatrixRow, matrix, matrix_data
from runbook_lib.render.pictures.points import Tier, Timeline, kept_points, lost_points, timeline
from runbook_lib.render.pictures.way import Leg, Part, legs, way

__all__ = [
    "MOST_LINES",
    "WIDTH",
    "Leg",
    "Matrix",
    "MatrixRow",
    "Part",
    "Picture",
    "Tier",
    "Timeline",
    "kept_points",
    "legs",
    "lost_points",
    "matrix",
    "matrix_data",
    "timeline",
    "way",
]
