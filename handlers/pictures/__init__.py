"""Pictures of what a model said about its test rows: binned or on a fixed grid, never a row's own value."""

from .drawing import draw

__all__ = ["draw"]
