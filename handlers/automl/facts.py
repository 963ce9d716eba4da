"""What a fitted predictor tells of itself, as plain data."""

import json
import math
from typing import Any

from .objectives import as_written

_MOST_MEMBERS = 100
_REFITTED = "_FULL"


def leaderboard(predictor: Any, metric: str) -> list[dict[str, Any]]:
    """Best first: name, validation score (as the metric is usually written), seconds to fit."""
    rows = predictor.leaderboard(silent=True).to_dict("records")
    members = [
        {
            "name": str(row["model"]),
            "validation_score": as_written(row["score_val"], metric),
            "fit_seconds": round(float(row["fit_time"]), 3) if math.isfinite(row["fit_time"]) else None,
        }
        for row in rows
    ]
    return members[:_MOST_MEMBERS]


def validation_score(members: list[dict[str, Any]], best: str) -> float | None:
    """The best model's score on validation rows. One that was refitted on all rows has its original's."""
    scores = {member["name"]: member["validation_score"] for member in members}
    found = scores.get(best)
    return scores.get(best.removesuffix(_REFITTED)) if found is None else found


def architecture(cleaned: Any) -> str:
    """The best model, and of an ensemble its members by weight: «WeightedEnsemble_L2: LightGBM 0.6, XGBoost 0.4»."""
    weights = member_weights(cleaned)
    told = ", ".join(f"{name} {weight:.2g}" for name, weight in weights.items())
    return f"{cleaned.model_best}: {told}" if told else str(cleaned.model_best)


def member_weights(cleaned: Any) -> dict[str, float]:
    """Member → weight, heaviest first; empty where the best model is no ensemble."""
    best = cleaned._trainer.load_model(cleaned.model_best)
    if not hasattr(best, "_get_model_weights"):
        return {}
    weights = {str(name): float(weight) for name, weight in best._get_model_weights().items()}
    return dict(sorted(weights.items(), key=lambda item: -item[1]))


def hyperparameters(cleaned: Any) -> dict[str, Any]:
    """Settings of every model that the best one needs, by name."""
    info = cleaned.info()["model_info"]
    found = {name: _own(about) for name, about in info.items() if name != cleaned.model_best or len(info) == 1}
    plain: dict[str, Any] = json.loads(json.dumps(found, default=str))
    return plain


def _own(about: dict[str, Any]) -> dict[str, Any]:
    # Of a bagged model the children's: its own are how rows were dealt out.
    settings: dict[str, Any] = about.get("bagged_info", {}).get("child_hyperparameters") or about["hyperparameters"]
    return settings
