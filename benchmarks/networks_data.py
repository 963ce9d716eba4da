"""The tables that networks are measured on: plain ones, images, and a true time series; all real, out of wheels."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from . import referee_data
from .wheels import member

#: Points by which a network may lie behind the linear model, at the lower end of the interval.
_NEAR = -3.0


@dataclass(frozen=True, slots=True)
class Table:
    """How a table is read, and what is demanded of every architecture on it.

    `sequence` is [channels, length], `image` [channels, height, width] (for cnn_2d): None for columns without an order.
    `demand`: the interval of the difference to the linear model, in points, must lie above it.
    """

    read: Callable[[], pd.DataFrame]
    sequence: tuple[int, int] | None = None
    image: tuple[int, int, int] | None = None
    demand: float | None = None
    problem_type: str = "classification"

    def asked(self, architecture: str) -> dict[str, Any]:
        """What a request says about the table beside its name."""
        shape = self.image if architecture == "cnn_2d" else self.sequence
        return {"problem_type": self.problem_type} | ({} if shape is None else {"input_shape": list(shape)})


def tecator() -> pd.DataFrame:
    """215 pieces of meat: 100 absorbances of near infrared light, and the percentage of fat (Thodberg 1996)."""
    absorbances, fat = _series("sktime", "Tecator")
    return _table(absorbances).assign(target=fat.astype(np.float64))


def basic_motions() -> pd.DataFrame:
    """80 recordings of four movements: accelerometer and gyroscope, 6 channels of 100 steps (UEA archive)."""
    return _labelled("BasicMotions")


def osu_leaf() -> pd.DataFrame:
    """442 outlines of the leaves of six trees, each as one curve of 427 steps (UCR archive)."""
    return _labelled("OSULeaf")


TABLES = {
    "breast_cancer": Table(referee_data.breast_cancer),
    # A row of pixels is a channel, and steps go from left to right.
    "digits": Table(referee_data.digits, (8, 8), (1, 8, 8), demand=0.0),
    "pbmc68k": Table(referee_data.pbmc68k, demand=_NEAR),
    "khan": Table(referee_data.khan, demand=_NEAR),
    "tecator": Table(tecator, problem_type="regression"),
    "basic_motions": Table(basic_motions, (6, 100), (1, 6, 100), demand=0.0),
    "osu_leaf": Table(osu_leaf, (1, 427), (1, 1, 427), demand=0.0),
}


def _labelled(name: str) -> pd.DataFrame:
    series, labels = _series("aeon", name)
    return _table(series).assign(target=[f"class {label}" for label in labels])


def _series(package: str, name: str) -> tuple[Any, Any]:
    """Values (n, channels, length) and what is said of each, both published parts together.

    A .ts file is a head up to the line «@data», then a line for each series: channels, and at last the label, parted
    by colons.
    """
    values, labels = [], []
    for part in ("TRAIN", "TEST"):
        text = member(package, f"{package}/datasets/data/{name}/{name}_{part}.ts").read_text()
        for line in text.partition("@data\n")[2].split():
            *channels, label = line.split(":")
            values.append([[float(value) for value in channel.split(",")] for channel in channels])
            labels.append(label)
    return np.array(values), np.array(labels)


def _table(series: Any) -> pd.DataFrame:
    """A column for each step of each channel, channel after channel."""
    _, n_channels, length = series.shape
    names = [f"c{channel}_t{step:03d}" for channel in range(n_channels) for step in range(length)]
    return pd.DataFrame(series.reshape(len(series), -1), columns=names)
