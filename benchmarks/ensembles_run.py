"""The ensembles of one table and seed: members asked once, every size and method combined, one whole job beside."""

import tempfile
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from handlers.contract import Inputs, Limits, ModelFiles, Outputs

from .automl_job import Silent
from .ensembles_members import USUAL, dataset, members_of, read
from .paired import as_said

#: What decides an ensemble's numbers, its members apart.
ROOMS = ("ensemble",)
#: What is asked for, by name.
METHODS: dict[str, dict[str, Any]] = {
    "soft voting": {"method": "voting"},
    "hard voting": {"method": "voting", "voting": "hard"},
    "stacking": {"method": "stacking"},
    "blending": {"method": "blending"},
}
#: By the number of members.
SIZES = {3: ("automl", "cnn_1d", "transformer"), 4: ("automl", "cnn_1d", "even", "odd"), 6: tuple(USUAL)}


def run(table: str, seed: int) -> dict[str, Any]:
    """What every ensemble says about the test rows, what each member says alone, and which members are the best."""
    warnings.simplefilter("ignore")
    import torch

    from .networks_run import code

    torch.set_num_threads(1)
    names = list(members_of(table))
    files = [read(table, seed, name) for name in names]
    with tempfile.TemporaryDirectory() as folder:
        inputs = Inputs(dataset(table, seed, Path(folder)), models={f.model_id: f for f in files}, limits=Limits(1))
        found = _asked(files, inputs, seed)
        sizes = {3: tuple(names)} if table == "planted" else SIZES
        told: dict[str, Any] = {"code": code(ROOMS), "y": found.y.tolist(), "said": {}, "best": {}, "learned": {}}
        told["alone"] = {name: as_said(found.said.on_test(place, found.y)) for place, name in enumerate(names)}
        for size, chosen in sizes.items():
            places = [names.index(name) for name in chosen]
            told["best"][size] = {by: names[places[best]] for by, best in found.best(places).items()}
            for method, words in METHODS.items():
                if method != "hard voting" or table != "diabetes":
                    of = f"{size} {method}"
                    told["learned"][of], told["said"][of] = found.combined(places, words, seed)
        told["job"] = _job([files[names.index(name)] for name in sizes[3]], inputs, Path(folder), seed)
    assert np.allclose(told["job"].pop("probabilities"), _probabilities(told["said"]["3 blending"]), atol=1e-6)
    return told


def _probabilities(said: Any) -> Any:
    return said["predicted"] if said["probabilities"] is None else said["probabilities"]


class _Asked:
    """Members that were asked about the combination and the test rows of a table."""

    def __init__(self, members: Any, prepared: Any, said: Any, metric: str) -> None:
        problem, parts = prepared.problem, prepared.parts
        self.members, self.said, self.metric = members, said, metric
        self.y, self.y_combination = problem.y[parts.test], problem.y[parts.combination]

    def best(self, places: list[int]) -> dict[str, int]:
        from handlers.ensemble.asking import predictions
        from handlers.ensemble.comparison import best_of
        from handlers.metrics import score

        members = [self.members[place] for place in places]
        scores = [score(predictions(self.said.combination[p], self.y_combination))[self.metric] for p in places]
        return {
            "combination": best_of(members, scores, self.metric),
            "validation": best_of(members, [None] * len(members), self.metric),
        }

    def combined(self, places: list[int], words: dict[str, Any], seed: int) -> tuple[Any, Any]:
        from events.requests import EnsembleRequested
        from handlers.ensemble.asking import predictions
        from handlers.ensemble.combining import combined
        from handlers.ensemble.learning import combination_for
        from handlers.ensemble.practice import Practice

        ids = [self.members[place].model_id for place in places]
        request = EnsembleRequested(model_ids=ids, seed=seed, **words)
        practice = Practice.of(self.said.combination[places], self.y_combination, None)
        combination = combination_for(request, practice)
        answers = combined(combination, self.said.test[places])
        return combination, as_said(predictions(answers, self.y))


def _asked(files: list[ModelFiles], inputs: Inputs, seed: int) -> _Asked:
    from events.requests import EnsembleRequested
    from handlers.ensemble.asking import ask
    from handlers.ensemble.checks import chosen_members
    from handlers.ensemble.ground import common_ground, common_metric
    from handlers.provenance import Clock

    request = EnsembleRequested(model_ids=[file.model_id for file in files], method="voting", seed=seed)
    members = chosen_members(request, inputs)
    prepared = common_ground(request, members, inputs, Clock())
    return _Asked(members, prepared, ask(members, prepared, Silent()), common_metric(members, prepared))


def _job(files: list[ModelFiles], inputs: Inputs, folder: Path, seed: int) -> dict[str, Any]:
    """Blending as a whole job."""
    from events.requests import EnsembleRequested
    from handlers.ensemble.handler import run as handle
    from handlers.mlflow_models import predict

    out = Outputs(folder / "out", folder / "keep")
    out.directory.mkdir()
    request = EnsembleRequested(model_ids=[file.model_id for file in files], method="blending", seed=seed)
    result = handle(request, replace(inputs, models={file.model_id: file for file in files}), out, Silent())
    assert result.model is not None
    problem, test = _problem(files, inputs)
    said = predict(out.model, problem.X.iloc[test], problem.y[test], problem)
    answers = said.predicted if said.probabilities is None else said.probabilities
    return {
        "summary": result.summary,
        "plan": result.model.plan,
        "seconds": result.record["seconds"],
        "probabilities": answers.tolist(),
    }


def _problem(files: list[ModelFiles], inputs: Inputs) -> tuple[Any, Any]:
    from events.requests import TrainingRequested
    from handlers.datasets.target import load_problem

    assert inputs.dataset is not None
    problem = load_problem(TrainingRequested(dataset_id="d", target_column="target"), inputs.dataset)
    return problem, problem.split().test
