"""Pictures of an explanation: what moved a model's answers. Bins and ranks, unless values are asked for."""

from .drawing import draw_explanation
from .explained import Explained

__all__ = ["Explained", "draw_explanation"]
