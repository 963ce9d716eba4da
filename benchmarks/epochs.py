"""What an epoch of the handlers' training costs over a plain loop: the same network, rows and batches, one thread.

    python -m benchmarks epochs [--sizes 455x30,2000x2000] [--architectures rnn,lstm] [--seconds 2]

Turn and turn about in one process: after each epoch of ours the plain loops do one each. Ours is everything from one
word of progress to the next: Lightning, the schedule of the learning rate, clipping, validation loss and score, best
weights, progress, checkpoints. The plain loop is what anybody would write for the same lesson: shuffled batches of
blended rows, the same loss and optimizer, clipping, and the validation loss, without which there is no early stopping.
The bare loop does without blending, clipping and validation. Printed are medians of the milliseconds that the core
worked, and ratios of medians; one of them by the clock, which other processes disturb. The first epoch does not count.
"""

import argparse
import copy
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from .automl_job import ONE_CORE, busy

ARCHITECTURES = ("cnn_1d", "cnn_2d", "rnn", "lstm", "transformer")
#: Training rows x features, and classes: as khan, breast_cancer, digits and pbmc68k have them, and a large table.
SIZES = {"60x2308": 4, "455x30": 2, "1168x64": 10, "455x765": 10, "2000x2000": 2}
GOAL = 1.3
_BATCH_ROWS = 32
_WARM_UP, _LEAST, _MOST = 1, 3, 30


def main() -> None:
    asked = _asked()
    if any(os.environ.get(name) != value for name, value in ONE_CORE.items()):
        again = [sys.executable, "-m", "benchmarks.epochs", *sys.argv[1:]]
        sys.exit(subprocess.run(again, env={**os.environ, **ONE_CORE}).returncode)
    warnings.simplefilter("ignore")
    import torch

    torch.set_num_threads(1)
    heads = f"{'epochs':>6}{'ours ms':>10}{'plain ms':>10}{'ratio':>7}{'by clock':>10}{'to bare':>9}"
    print(f"{'architecture':14}{'rows x features':17}{heads}")
    ratios = []
    for architecture in asked.architectures.split(","):
        for size in asked.sizes.split(","):
            turns = _measure(architecture, size, asked.seconds)
            (ours, by_clock), (plain, plain_by_clock), (bare, _) = turns.medians()
            ratios.append(ours / plain)
            print(
                f"{architecture:14}{size:17}{len(turns.ours) - _WARM_UP:6d}{1000 * ours:10.1f}{1000 * plain:10.1f}"
                f"{ours / plain:7.2f}{by_clock / plain_by_clock:10.2f}{ours / bare:9.2f}",
                flush=True,
            )
    print(f"ours over plain: median {statistics.median(ratios):.2f}, worst {max(ratios):.2f} (goal: ≤ {GOAL}) {busy()}")


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="An epoch of the handlers' training over one of a plain loop.")
    parser.add_argument("--sizes", default=",".join(SIZES), help="rows x features")
    parser.add_argument("--architectures", default=",".join(ARCHITECTURES))
    parser.add_argument("--seconds", type=float, default=2, help="for each line, at least; every line has three epochs")
    return parser.parse_args()


#: Seconds of the core, and by the clock.
Times = tuple[float, float]
Loop = Callable[[], None]


def _now() -> Times:
    return time.process_time(), time.perf_counter()


def _since(begun: Times) -> Times:
    core, clock = _now()
    return core - begun[0], clock - begun[1]


class Turns:
    """A report that, told of an epoch of ours, gives the plain loops theirs; it ends the fit when there are enough."""

    def __init__(self, plain: Loop, bare: Loop, seconds: float) -> None:
        self.ours: list[Times] = []
        self._loops: dict[Loop, list[Times]] = {plain: [], bare: []}
        self._seconds = seconds
        self._begun = self._resumed = _now()

    def medians(self) -> list[Times]:
        """Of the epochs that count: ours, the plain loop's, the bare loop's."""
        parts = [zip(*told[_WARM_UP:], strict=True) for told in (self.ours, *self._loops.values())]
        return [(statistics.median(core), statistics.median(clock)) for core, clock in parts]

    def __call__(self, percent: float, message: str, **told: Any) -> None:
        if not told.get("metrics"):
            return  # a word in the middle of an epoch
        self.ours.append(_since(self._resumed))
        for loop, times in self._loops.items():
            begun = _now()
            loop()
            times.append(_since(begun))
        self._resumed = _now()

    def should_stop(self) -> bool:
        """Asked after every epoch of ours, and only then means yes."""
        worked = self._resumed[0] - self._begun[0]
        enough = len(self.ours) >= _WARM_UP + _LEAST and worked > self._seconds
        return enough or len(self.ours) >= _WARM_UP + _MOST

    def checkpoint(self) -> None: ...


def _measure(architecture: str, size: str, seconds: float) -> Turns:
    from handlers.contract import Outputs
    from handlers.networks.catalogue import build_encoder
    from handlers.networks.network import Network
    from handlers.training.fit import fit
    from handlers.training.settings import Settings

    n_rows, n_features = map(int, size.split("x"))
    rows = _rows(n_rows, n_features, SIZES.get(size, 2))
    network = Network(build_encoder({"name": architecture, "n_features": n_features}), n_features, rows.n_outputs)
    # Its patience is a share of these epochs, so that no fit ends early.
    settings = Settings(epochs=10 * _MOST, batch_size=_BATCH_ROWS, learning_rate=0.001, seed=0, metric="accuracy")
    plain, bare = (_loop(copy.deepcopy(network), rows, settings, bare=bare) for bare in (False, True))
    turns = Turns(plain, bare, seconds)
    with tempfile.TemporaryDirectory() as folder:
        out = Outputs(Path(folder) / "out", Path(folder) / "keep")
        out.directory.mkdir()
        out.keep.mkdir()
        fit(network, rows, settings, out, turns)
    return turns


def _rows(n_rows: int, n_features: int, n_classes: int) -> Any:
    """Noise in which a few columns tell the class; a fifth of the rows is for validation."""
    from handlers.training.rows import Rows

    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_rows, n_features)).astype(np.float32)
    y = rng.integers(n_classes, size=n_rows)
    X[:, :n_classes] += 2 * np.eye(n_classes, dtype=np.float32)[y]
    order = rng.permutation(n_rows)
    fit, validation = (np.sort(part) for part in np.split(order, [n_rows - n_rows // 5]))
    return Rows(X, y, n_classes, fit, validation)


def _loop(network: Any, rows: Any, settings: Any, *, bare: bool) -> Loop:
    """One epoch of a plain loop over the rows."""
    import torch
    from torch.nn.functional import cross_entropy

    X, y = torch.as_tensor(rows.X), torch.as_tensor(rows.y)
    fit, validation = torch.as_tensor(rows.fit), torch.as_tensor(rows.validation)
    parameters = list(network.parameters())
    decay = settings.weight_decay
    optimizer = torch.optim.AdamW(parameters, lr=settings.learning_rate, weight_decay=decay, fused=True)
    blend = torch.distributions.Beta(settings.mixup, settings.mixup)
    loss_of = partial(cross_entropy, label_smoothing=settings.label_smoothing)

    def loss(chosen: Any) -> Any:
        if bare:
            return loss_of(network.deep(X[chosen]), y[chosen])
        share, other = float(blend.sample()), chosen[torch.randperm(len(chosen))]
        said = network.deep(share * X[chosen] + (1 - share) * X[other])
        return share * loss_of(said, y[chosen]) + (1 - share) * loss_of(said, y[other])

    def epoch() -> None:
        network.train()
        for chosen in fit[torch.randperm(len(fit))].split(settings.batch_size):
            optimizer.zero_grad()
            loss(chosen).backward()
            if not bare:
                torch.nn.utils.clip_grad_norm_(parameters, settings.gradient_norm)
            optimizer.step()
        if not bare:
            network.eval()
            with torch.inference_mode():
                cross_entropy(network.deep(X[validation]), y[validation]).item()

    return epoch


if __name__ == "__main__":
    main()
