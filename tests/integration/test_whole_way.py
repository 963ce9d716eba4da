"""From a dataset through models of two kinds to an ensemble, its explanation, and its end, on the log alone."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from support.house import House, open_house

from events.envelope import CloudEvent

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

ROWS, GENES = 260, 8
KINDS = ("datasets", "automl", "deep_learning", "ensemble", "explanation")


async def registered(house: House) -> None:
    """A cohort of which the first two genes tell the kind."""
    rng = np.random.default_rng(3)
    kinds = rng.integers(0, 2, ROWS)
    values = rng.normal(0, 1, (ROWS, GENES))
    values[:, :2] += 1.2 * kinds[:, None]
    table = pd.DataFrame(values.round(4), columns=[f"gene{number}" for number in range(GENES)])
    path = house.settings.data_dir / "datasets" / "cohort.csv"
    path.parent.mkdir(exist_ok=True)
    table.assign(kind=np.array(["healthy", "ill"])[kinds]).to_csv(path, index=False)
    await house.ask("datasets.uploaded", "cohort", dataset_id="cohort", uri=str(path))
    await house.heard("ml.dataset.registered", "cohort")


async def completed(house: House, kind: str, job_id: str, **asked: Any) -> CloudEvent:
    await house.ask(f"ml.{kind}.requested", job_id, **asked)
    end = await house.ended(job_id)
    assert end.name == "ml.job.completed", end.data
    return end


async def failure(house: House, kind: str, job_id: str, **asked: Any) -> tuple[str, str]:
    await house.ask(f"ml.{kind}.requested", job_id, **asked)
    end = await house.ended(job_id)
    assert end.name == "ml.job.failed", end.data
    return end.data["error"]["reason"], end.data["error"]["message"]


async def test_models_are_combined_explained_and_removed(tmp_path: Path) -> None:
    async with open_house(tmp_path, *KINDS) as house:
        store = house.settings.data_dir / "artifacts"
        await registered(house)
        asked = {"dataset_id": "cohort", "target_column": "kind"}
        searched = await completed(house, "automl", "search", **asked, time_limit=10, quality="medium")
        learned = await completed(house, "deep-learning", "net", **asked, architecture="cnn_1d", epochs=2)
        members = [searched.data["model_id"], learned.data["model_id"]]

        combined = await completed(house, "ensemble", "both", model_ids=members, method="blending")
        made = (await house.heard("ml.model.completed", combined.data["model_id"])).data
        assert sum(made["plan"]["weights"].values()) == pytest.approx(1)
        assert (made["target_column"], made["dataset_id"]) == ("kind", "cohort")
        assert {member["model_id"] for member in made["plan"]["members"]} == set(members)

        for model_id in (*members, made["model_id"]):
            await completed(house, "explanation", f"why-{model_id}", model_id=model_id, method="shap", num_samples=12)
        explained = (await house.heard("ml.explanation.completed", f"why-{made['model_id']}")).data
        assert set(list(explained["feature_importance"])[:2]) == {"gene0", "gene1"}, explained["feature_importance"]
        assert explained["additivity_error"] < 1e-3
        for picture in explained["visualizations"].values():
            assert (store / explained["artifacts_path"] / picture).stat().st_size > 0
        lime = await completed(house, "explanation", "lime", model_id=members[0], method="lime", sample_indices=[3, 0])
        assert "2 samples" in lime.data["summary"]

        reason, message = await failure(
            house, "explanation", "far", model_id=members[0], method="shap", sample_indices=[ROWS]
        )
        assert (reason, "sample_indices" in message) == ("out_of_range", True)
        reason, message = await failure(house, "ensemble", "once", model_ids=[members[0]] * 2, method="voting")
        assert (reason, "model_ids" in message) == ("invalid_field", True)

        await house.ask("ml.model-deletion.requested", members[0])
        refused = await house.heard("ml.model.deletion-refused", members[0])
        assert refused.data["used_by"] == [made["model_id"]]
        await house.ask("ml.model-deletion.requested", members[0], cascade=True)
        gone = await house.heard("ml.model.deleted", members[0])
        assert gone.data["with_models"] == [made["model_id"]]
        assert not list((store / "models" / made["model_id"]).rglob("MLmodel"))
        reason, _ = await failure(house, "explanation", "late", model_id=made["model_id"], method="shap")
        assert reason == "model_deleted"
        reason, _ = await failure(house, "ensemble", "later", model_ids=members, method="voting")
        assert reason == "model_deleted"
