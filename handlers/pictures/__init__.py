"""Pictures of what a model said about its test rows, and of how it learned: never a row's own value."""

from .drawing import draw, draw_learning_curve

__all__ = ["draw", "draw_learning_curve"]
