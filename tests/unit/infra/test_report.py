"""The report: everything a reader needs is there, nothing in it can run or load anything, and names stay names."""

import asyncio
import hashlib
import json
import re
from copy import deepcopy
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from handlers.metrics import CLASSIFICATION, REGRESSION
from infra.report.commands import Place
from infra.report.data import MOST_MEMBERS, report_data
from infra.report.explained import explained, read_explained
from infra.report.metrics import metric
from infra.report.numbers import figure, moment, seconds
from infra.report.pictures import MOST_BYTES, Pictures, picture, read_pictures
from infra.report.rendering import is_ours, render, save
from infra.storage.store import ObjectStore

METRICS = {name: 0.9 - place / 20 for place, name in enumerate(CLASSIFICATION)}
RESULTS: dict[str, Any] = {
    "model_id": "4be0f7a4-3e0a-5c9b-8d4e-0b9a4c1d2e3f",
    "model_name": "AutoML_4be0f7a4",
    "model_type": "automl",
    "problem_type": "binary",
    "job_id": "job-7",
    "dataset_id": "patients-1a2b3c4d",
    "target_column": "outcome",
    "split_id": "split-1-0123456789abcdef",
    "primary_metric": "log_loss",
    "metrics": {**METRICS, "log_loss": 0.2},
    "intervals": {**{name: [value - 0.05, value + 0.05] for name, value in METRICS.items()}, "log_loss": [0.15, 0.25]},
    "baseline": {
        "name": "logistic regression",
        "metrics": {**METRICS, "log_loss": 0.4},
        "intervals": {"log_loss": [0.3, 0.5]},
        "beaten": True,
    },
    "n_train": 369,
    "n_test": 114,
    "n_combination": 86,
    "registered_name": None,
    "version": None,
    "validation_score": 0.19,
    "classes": ["benign", "malignant"],
    "architecture": "WeightedEnsemble_L2: LightGBM 0.6, XGBoost 0.4",
    "hyperparameters": {"weights": {"LightGBM": 0.6}},
    "training_config": {
        "job_id": "job-7", "created_by": "mira", "seed": 0, "dataset_id": "patients-1a2b3c4d",
        "target_column": "outcome", "group_column": "patient", "time_limit": 60, "quality": "good_quality",
        "hyperparameter_tuning": False, "feature_columns": None, "resources": {"cpus": None, "gpus": None},
    },
    "leaderboard": [{"name": "LightGBM", "validation_score": 0.21, "fit_seconds": 4.2}],
    "warnings": ["Only 38 patients are among the test rows"],
    "environment": {
        "seconds": {"fit": 48.3}, "packages": {"lightgbm": "4.7.0"}, "n_features": 30,
        "hardware": {"cores": 2, "memory_gb": 24},
    },
    "artifacts_path": "models/4be0/attempt-1",
    "files": {},
    "pictures": {},
    "dataset_sha256": "9f86d081884c7d65",
    "created_by": "mira",
    "created_at": "2026-11-24T05:39:41Z",
}  # fmt: skip
DATASET = {"name": "patients.csv", "n_rows": 569, "n_columns": 32, "n_missing": 114}
PLACE = Place("/data/artifacts/models/4be0/attempt-1", "/data", tracking_uri="sqlite:////data/mlflow.db")
FORBIDDEN = {"script", "iframe", "object", "embed", "link", "a", "form", "base"}
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


def results(**changed: Any) -> dict[str, Any]:
    return {**deepcopy(RESULTS), **changed}


def page(
    told: dict[str, Any] = RESULTS, pictures: Pictures | None = None, dataset: dict[str, Any] | None = DATASET
) -> str:
    return render(report_data(told, dataset, pictures or Pictures(), PLACE))


class Page(HTMLParser):
    """Every tag with its attributes, and the text a reader sees, with one space wherever it is parted."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._open: list[str] = []
        self._text: list[str] = []
        self.feed(html)
        self.close()
        self.text = " ".join(" ".join(self._text).split())

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))
        self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if "style" not in self._open:
            self._text.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def assert_inert(html: str) -> None:
    """No script, no handler, nothing that is loaded from anywhere."""
    read = Page(html)
    assert {name for name, _ in read.tags} & FORBIDDEN == set()
    for name, attributes in read.tags:
        assert [told for told in attributes if told.startswith("on") or told in ("href", "srcset", "action")] == []
        assert (attributes.get("src") or "data:image/").startswith("data:image/"), name
    assert "url(" not in html
    assert "@import" not in html
    (policy,) = (meta["content"] for meta in read.all("meta") if meta.get("http-equiv"))
    assert policy is not None
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'unsafe-inline'")


def test_everything_is_told() -> None:
    html = page()
    read = Page(html)
    assert_inert(html)
    for told in (
        "Predicting «outcome»", "Better than the baseline", "the plain baseline, logistic regression",
        "log-loss 0.200 (0.150 to 0.250) against 0.400 (0.300 to 0.500) (lower is better)",
        "Only 38 patients are among the test rows", "569", "32", "114", "9f86d081884c7d65", "369", "86",
        "split-1-0123456789abcdef", "All rows of one «patient» are on one side.",
        "for which each «patient» counts as one observation",
        "Positive class malignant", "LightGBM 0.210 4.2 s 0.600", "it is ahead in 1 of 9.",
        "mlflow.pyfunc.load_model('/data/artifacts/models/4be0/attempt-1')",
        "pip install -r /data/artifacts/models/4be0/attempt-1/requirements.txt",
        "omniscope-ml rerun 4be0f7a4-3e0a-5c9b-8d4e-0b9a4c1d2e3f",
        "omniscope-ml submit automl --dataset patients-1a2b3c4d --target outcome --group patient --time-limit 60 "
        "--quality good_quality --seed 0 --watch",
        "fit 48.3 s", "lightgbm 4.7.0", "24 November 2026, 05:39 UTC", "Seed 0", "cores 2, memory 24 GB",
    ):  # fmt: skip
        assert told in read.text, told
    assert "models:/" not in html
    for name in CLASSIFICATION:
        assert metric(name).label in read.text
        assert metric(name).meaning[1:] in read.text


def test_the_page_is_one_for_every_reader() -> None:
    read = Page(page())
    assert read.all("html")[0]["lang"] == "en"
    assert len(read.all("caption")) == len(read.all("table")) == 2
    assert all(heading.get("scope") in ("col", "row") for heading in read.all("th"))
    assert all(drawing.get("aria-label") for drawing in read.all("svg"))
    known = {attributes["id"] for _, attributes in read.tags if "id" in attributes}
    assert {section["aria-labelledby"] for section in read.all("section")} <= known


def test_the_same_data_give_the_same_bytes() -> None:
    assert page() == page(results())


HOSTILE = [
    "<script>alert(1)</script>",
    "\"><img src=http://example.org/x onerror='alert(1)'>",
    "'); import os #",
    "{{ 7 * 7 }}{% raw %}",
    "</title></style></code></pre>",
    "長い" * 400,
    "genügend ß\u202eesrever\u0000",
]


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_names_from_the_data_stay_names(name: str) -> None:
    told = results(
        target_column=name,
        classes=[name, "b"],
        warnings=[name],
        model_name=name,
        registered_name=name,
        leaderboard=[{"name": name, "validation_score": 0.1, "fit_seconds": 1.0}],
        environment={"seconds": {name: 1.0}, "packages": {name: name}},
    )
    told["training_config"] |= {"target_column": name, "group_column": name, "exclude_columns": [name, "x"]}
    told["baseline"]["name"] = name
    html = page(told, Pictures(problems=(name,)), {**DATASET, "name": name})
    assert_inert(html)
    assert Page(html).tags[:12] == Page(page()).tags[:12], "the head is the same, whatever the names"
    assert [tag for tag, _ in Page(html).tags if tag == "img"] == []
    assert re.search("[\u202a-\u202e\u0000]", html) is None
    assert "49" not in Page(html).text or "{{" not in name


def test_what_is_not_known_is_not_there() -> None:
    """A model of another kind, of an older version, from another house: the page has fewer parts, and no gaps."""
    bare = results(
        model_type="deep_learning", problem_type="regression", primary_metric="rmse", metrics={"rmse": 3.5, "new": 1.0},
        intervals={}, baseline={"name": "mean", "metrics": {}, "intervals": {}, "beaten": False}, leaderboard=[],
        warnings=[], classes=None, environment={}, hyperparameters={}, validation_score=None, dataset_sha256=None,
        n_combination=0,
    )  # fmt: skip
    bare["training_config"] = {"dataset_id": "d", "target_column": "outcome", "architecture": "lstm", "seed": 3}
    for absent in ("pictures", "version", "registered_name", "files"):
        del bare[absent]
    html = page(bare, dataset=None)
    assert_inert(html)
    text = Page(html).text
    for part in ("Leaderboard", "Pictures", "Keep in mind", "Time by phase", "Packages", "Classes", "kept aside"):
        assert part not in text, part
    assert "does not predict «outcome» better than the plain baseline, mean: RMSE 3.500 against –" in text
    assert "not defined" in text
    assert "submit deep-learning --dataset d --target outcome --architecture lstm --seed 3 --watch" in text
    assert "None" not in text


def test_a_network_tells_how_it_was_trained() -> None:
    told = results(
        model_type="transfer_learning", architecture="transformer, the last 2 blocks trained on",
        leaderboard=[{"name": "from scratch", "validation_score": 0.31, "fit_seconds": None}],
        plan={
            "version": 1, "kind": "network", "epochs_run": 37, "best_epoch": 25,
            "from_scratch": {"metrics": {"log_loss": 0.456}, "intervals": {}},
        },
    )  # fmt: skip
    told["training_config"] = {
        "dataset_id": "d", "target_column": "outcome", "base_model": "job:m-1", "fine_tune_layers": "auto",
        "weights": "pretrained", "epochs": 50, "batch_size": None, "learning_rate": 0.002, "seed": 3,
    }  # fmt: skip
    curve = picture("learning_curve", "pictures/learning_curve.svg", SVG, told)
    text = Page(page(told, Pictures((curve,)))).text
    for sentence in (
        "Kind transfer learning", "Architecture transformer, the last 2 blocks trained on",
        "The same network from scratch log-loss 0.456 on the test rows",
        "Networks that were trained to choose and to compare, by log-loss", "from scratch 0.310 –",
        "Epochs trained 37; kept as after epoch 25", "Started from job:m-1", "Layers that learned on auto",
        "Weights to begin with pretrained", "Epochs at most 50", "Learning rate 0.002",
        "train it again and compare every number", "the learning curve from averages over many rows",
        "submit transfer-learning --dataset d --target outcome --base-model job:m-1 --fine-tune-layers auto "
        "--weights pretrained --epochs 50 --learning-rate 0.002 --seed 3 --watch",
    ):  # fmt: skip
        assert sentence in text, sentence
    assert "Best of the search" not in text
    assert "Weight:" not in text
    assert "test rows" not in curve.alt
    told["model_type"] = "deep_learning"
    told["training_config"] = {**told["training_config"], "architecture": "cnn_1d", "input_shape": [6, 100]}
    assert "A row is read as 6 × 100" in Page(page(told)).text
    assert "--input-shape 6x100" in Page(page(told)).text


def test_a_registered_model_is_loaded_by_its_name() -> None:
    text = Page(page(results(registered_name="patients.outcome", version="3"))).text
    assert "mlflow.pyfunc.load_model('models:/patients.outcome@challenger')" in text
    assert "os.environ['MLFLOW_TRACKING_URI'] = 'sqlite:////data/mlflow.db'" in text
    assert "patients.outcome, version 3" in text


@pytest.mark.parametrize(
    ("own", "beaten", "standing"),
    [
        ([0.1, 0.29], True, "better"),
        ([0.1, 0.31], True, "unclear"),
        (None, True, "unclear"),
        ([0.1, 0.2], False, "worse"),
    ],
)
def test_the_verdict_is_no_better_than_the_intervals(own: list[float] | None, beaten: bool, standing: str) -> None:
    told = results(intervals={"log_loss": own} if own else {})
    told["baseline"]["beaten"] = beaten
    found = report_data(told, None, Pictures(), PLACE)
    assert found.verdict.standing == standing
    assert len(found.ranges) == (2 if own else 0)
    assert all(0 <= line.low < line.high <= 100 and 0 <= line.at <= 100 for line in found.ranges)


def test_a_long_leaderboard_is_cut() -> None:
    members = [{"name": f"m{n}", "validation_score": 0.5, "fit_seconds": None} for n in range(MOST_MEMBERS + 5)]
    told = results(leaderboard=members, hyperparameters={"weights": {"m0": 0.75}})
    assert "and 5 more" in Page(page(told)).text
    assert report_data(told, None, Pictures(), PLACE).leaderboard[0].weight == "0.750"


def test_a_request_without_options_of_its_own_goes_as_json() -> None:
    told = results()
    told["training_config"]["feature_columns"] = ["a,b", "it's"]
    (asked,) = [
        snippet.text for snippet in report_data(told, None, Pictures(), PLACE).again if "submit" in snippet.text
    ]
    sent = json.loads(asked.splitlines()[1])
    assert sent["feature_columns"] == ["a,b", "it's"]
    assert "job_id" not in sent
    told["training_config"]["feature_columns"] = [f"gene{n}" for n in range(20_000)]
    again = report_data(told, None, Pictures(), PLACE).again
    assert [snippet for snippet in again if "submit" in snippet.text] == [], "longer than anybody reads"


def test_pictures_come_from_the_artifact_and_are_the_recorded_ones(tmp_path: Path) -> None:
    folder = tmp_path / "models/4be0/attempt-1/pictures"
    folder.mkdir(parents=True)
    for name in ("roc.svg", "calibration.svg", "changed.svg", "data.txt"):
        (folder / name).write_bytes(SVG)
    (folder / "huge.svg").write_bytes(b" " * (MOST_BYTES + 1))
    named = ["calibration.svg", "roc.svg", "changed.svg", "data.txt", "huge.svg", "gone.svg"]
    told = results(
        pictures={**{name.partition(".")[0]: f"pictures/{name}" for name in named}, "away": "../../roc.svg"},
        files={"pictures/roc.svg": hashlib.sha256(SVG).hexdigest(), "pictures/changed.svg": "0" * 64},
    )
    found = asyncio.run(read_pictures(ObjectStore.open(str(tmp_path)), told))

    assert [shown.name for shown in found.shown] == ["roc", "calibration"]
    assert len(found.problems) == 5
    html = page(told, found)
    assert_inert(html)
    roc, calibration = Page(html).all("img")
    assert roc["src"] is not None
    assert roc["src"].startswith("data:image/svg+xml;base64,")
    assert roc["alt"] == (
        "ROC curve on 114 test rows: true positives found against false alarms, at every threshold. "
        "AUROC 0.750 (0.700 to 0.800)."
    )
    assert (calibration["alt"] or "").startswith("Calibration on 114 test rows")
    for sentence in found.problems:
        assert sentence in Page(html).text


def test_every_metric_has_a_meaning() -> None:
    assert [name for name in (*CLASSIFICATION, *REGRESSION) if not metric(name).meaning] == []
    assert metric("log_loss").in_a_sentence == "log-loss"
    assert metric("auroc").in_a_sentence == "AUROC"
    assert metric("brand_new").label == "brand new"


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (0.97312, "0.973"), (0.9, "0.900"), (-0.25, "−0.250"), (0.0, "0.000"), (12.344, "12.34"), (53214.3, "53,214"),
        (0.000012345, "1.23e−05"), (1.5e20, "1.5e+20"), (float("nan"), "nan"), (1200, "1,200"), (None, "–"),
        ("text", "text"),
    ],
)  # fmt: skip
def test_figures_stand_in_line(value: object, told: str) -> None:
    assert figure(value) == told


def test_times_are_said_as_people_say_them() -> None:
    assert [seconds(value) for value in (0.42, 41.26, 125.0)] == ["0.42 s", "41.3 s", "2 min 5 s"]
    assert moment("2026-11-24T05:39:41Z") == "24 November 2026, 05:39 UTC"
    assert moment("lately") == "lately"


def test_a_report_is_known_as_one_of_ours(tmp_path: Path) -> None:
    save(page(), tmp_path / "r.html")
    (tmp_path / "other.html").write_text("<html>OmniScope ML report</html>")
    assert is_ours(tmp_path / "r.html")
    assert not is_ours(tmp_path / "other.html")
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["other.html", "r.html"]


EXPLANATION: dict[str, Any] = {
    "explainer": "interventional TreeSHAP, double precision",
    "exactness": "exact",
    "space": "probability",
    "feature_importance": {f"gene {number}": 0.5 / (number + 1) for number in range(12)},
    "importance_intervals": {"gene 0": [0.4, 0.6]},
    "class_importance": {"<b>benign</b>": {"gene 1": 0.3, "gene 0": 0.2}},
    "n_samples": 100,
    "n_background": 90,
    "samples": [],
    "additivity_error": 3e-13,
    "local_fit": None,
    "stability": None,
    "warnings": ["One class was never predicted"],
    "visualizations": {},
    "files": {},
    "artifacts_path": "explanations/e/attempt-1",
}


def test_an_explanation_is_a_section_of_the_report() -> None:
    html = render(report_data(RESULTS, DATASET, Pictures(), PLACE, explained(EXPLANATION, Pictures())))
    text = Page(html).text
    assert "What the model goes by" in text
    assert "interventional TreeSHAP, double precision, on 100 samples against 90 background rows" in text
    assert "gene 0 0.500 0.400 to 0.600" in text or "gene 0 0.5 0.4 to 0.6" in text, text
    assert "and 2 more" in text
    assert "<b>benign</b> gene 1, gene 0" in text, "names stay names"
    assert "within 3.0e-13" in text
    assert "One class was never predicted" in text
    assert "What the model goes by" not in Page(page()).text


async def test_of_samples_a_few_are_shown_and_all_pictures_are_checked(tmp_path: Path) -> None:
    store = ObjectStore.open(str(tmp_path))
    names = ["summary_plot", *(f"waterfall_{row}" for row in (17, 3, 9, 4))]
    files = {}
    for name in names:
        await store.put(f"explanations/e/attempt-1/pictures/{name}.svg", SVG)
        files[f"pictures/{name}.svg"] = hashlib.sha256(SVG).hexdigest()
    files["pictures/waterfall_3.svg"] = "0" * 64
    shown = {name: f"pictures/{name}.svg" for name in names}
    section = await read_explained(store, {**EXPLANATION, "visualizations": shown, "files": files})
    assert [picture.title for picture in section.pictures] == ["What moves the answers", "Row 17", "Row 9"]
    assert any("waterfall_3" in warning for warning in section.warnings)
