"""The explanation handler: reads what the model was made from, takes it apart, ranks, draws, and looks for rows."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from events.explanations import ExplanationFacts
from events.requests import ExplanationRequested
from handlers.anatomy.model import part_of
from handlers.attribution.values import Part
from handlers.contract import Inputs, Outputs, Report, Result
from handlers.pictures.explained import Explained, draw_explanation
from handlers.provenance import Clock, hardware, packages
from handlers.splits import Indices

from . import artifact, results
from .background import background
from .checks import asked_model
from .doubts import about_answers, about_values
from .findings import Findings
from .ground import Ground, read_again
from .interactions import Interaction, interactions, partners
from .lime_values import MOST_TRAINING, lime_values
from .progress import Stretch
from .ranking import Ranking, rank
from .rows_left import refuse_other_rows
from .samples import Samples, choose_samples
from .shap_values import shap_values

#: Where in an explanation its pictures are.
PICTURES = "pictures"
#: Samples that pictures show at most; rankings are of all of them.
_MOST_DRAWN = 1000


def run(request: ExplanationRequested, inputs: Inputs, out: Outputs, report: Report) -> Result:
    """Explains a model on rows of its dataset and leaves values, rankings and pictures in `out.explanation`.

    Same request, data and model: same numbers.

    Raises:
        JobRefused: it cannot be explained as asked (see `checks`, `samples`, `handlers.anatomy.model`), takes longer
            than it may (`timed_out`), or its files hold rows that nobody asked for (`row_in_artifact`).
    """
    clock = Clock()
    model, dataset = asked_model(request, inputs)
    with clock("read"):
        report(0, "Reading the dataset")
        ground = read_again(model, inputs.models, dataset)
        chosen = choose_samples(request, ground)
    with clock("open"):
        report(3, f"Opening the model to explain {len(chosen.rows)} samples")
        part = part_of(model, inputs.models)
    table = ground.table(part.features, chosen.rows)
    with clock("explain"):
        findings = _found(request, ground, part, table, Stretch(report, 8, 85))
    work = _Work(request, ground, chosen, findings, table)
    with clock("rank"):
        report(85, "Ranking the features")
        ranking, pairs = work.ranked()
    out.explanation.mkdir(parents=True)
    with clock("pictures"):
        report(88, "Drawing")
        visualizations = work.drawn(ranking, pairs, out)
    with clock("write"):
        facts = work.written(ranking, pairs, visualizations, out)
    with clock("scan"):
        report(96, "Looking for rows in the explanation")
        scan = refuse_other_rows(out.explanation, ground.problem, work.shown, work.rows)
    report(100, "Finished")
    record = {
        "seconds": clock.seconds,
        "packages": packages(),
        "hardware": hardware(),
        "n_features": len(part.features),
        "scan": scan.as_record(),
    }
    return Result(summary=results.summary(findings, ranking), explanation=facts, record=record)


def _found(
    request: ExplanationRequested, ground: Ground, part: Part, table: pd.DataFrame, stretch: Stretch
) -> Findings:
    seed = request.seed
    if request.method == "lime":
        return lime_values(part, table, background(ground, part.features, MOST_TRAINING, seed), seed, stretch)
    return shap_values(part, table, background(ground, part.features, seed=seed), seed, stretch)


@dataclass(frozen=True, slots=True)
class _Work:
    """What was found, and what it was found about: `table` (n, p), the samples' own cells."""

    request: ExplanationRequested
    ground: Ground
    chosen: Samples
    findings: Findings
    table: pd.DataFrame

    @property
    def rows(self) -> Indices:
        return self.chosen.rows[: self.findings.n_samples]

    @property
    def shown(self) -> pd.DataFrame | None:
        """The cells that the explanation may hold."""
        return self.table if self.request.include_values else None

    def ranked(self) -> tuple[Ranking, list[Interaction]]:
        values = self.findings.values
        ranking = rank(values, self.ground.groups(self.rows))
        if self.request.method == "lime":  # local models have no interactions
            return ranking, []
        return ranking, interactions(values, self.table, ranking.order, ranking.by_output)

    def drawn(self, ranking: Ranking, pairs: list[Interaction], out: Outputs) -> dict[str, str]:
        """Name → path in the explanation."""
        findings, problem = self.findings, self.ground.problem
        some = np.unique(np.linspace(0, findings.n_samples - 1, min(_MOST_DRAWN, findings.n_samples)).astype(int))
        explained = Explained(
            features=findings.features,
            table=self.table.iloc[some].reset_index(drop=True),
            values=findings.values[some],
            base=findings.base.mean(axis=0),
            predictions=findings.predictions[some],
            outputs=results.outputs_of(problem),
            rows=self.rows[some].tolist(),
            importance=ranking.importance,
            intervals=ranking.drawable(),
            interactions=partners(pairs),
            is_shap=self.request.method == "shap",
            target=problem.target_column,
            local_fits=None if findings.local_fits is None else findings.of_told(findings.local_fits)[some],
        )
        drawn = draw_explanation(explained, out.explanation / PICTURES, include_values=self.request.include_values)
        return {name: f"{PICTURES}/{file}" for name, file in drawn.items()}

    def written(
        self, ranking: Ranking, pairs: list[Interaction], visualizations: dict[str, str], out: Outputs
    ) -> ExplanationFacts:
        findings, folder = self.findings, out.explanation
        classes = results.classes_of(self.ground.problem)
        samples = results.explained_samples(findings, self.rows, classes)
        artifact.write_values(folder / artifact.VALUES, findings, self.rows, classes)
        artifact.write_importance(folder / artifact.IMPORTANCE, findings, ranking, classes, pairs)
        artifact.write_samples(folder / artifact.SAMPLES, samples, findings.stabilities)
        if self.shown is not None:
            artifact.write_features(folder / artifact.FEATURES, self.shown, self.rows)
        return results.facts_of(
            results.Told(
                method=self.request.method,
                problem=self.ground.problem,
                classes=classes,
                findings=findings,
                ranking=ranking,
                rows=self.rows,
                samples=samples,
                visualizations=visualizations,
                warnings=[
                    *self.chosen.warnings,
                    *about_answers(findings),
                    *about_values(findings),
                ],
            )
        )
