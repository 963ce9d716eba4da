"""What a reader should know before believing an explanation."""

import numpy as np

from handlers.attribution.values import Floats

from .findings import Findings

_FIT, _STABILITY = 0.5, 0.6
_ADDITIVITY = 1e-3
_SAME = 1e-9


def about_answers(findings: Findings) -> list[str]:
    """Answers that are always the same, and a single sample."""
    told = []
    if not np.abs(findings.values).max(initial=0.0) > _SAME:
        told.append("The model's answers do not vary with any feature: all values are zero")
    elif findings.n_samples > 1 and np.ptp(findings.predictions, axis=0).max() <= _SAME:
        told.append("The model gives all explained samples the same answer")
    if findings.n_samples == 1:
        told.append("One sample was explained: what matters for it need not matter for others")
    return told


def about_values(findings: Findings) -> list[str]:
    """Values that do not add up, local models that do not fit or do not stay."""
    told = []
    error = findings.additivity_error
    if error is not None and error > _ADDITIVITY:
        told.append(f"Base value and contributions miss the prediction by up to {error:.2g}")
    if findings.local_fits is not None and (fit := middle(findings.of_told(findings.local_fits))) is not None:
        if fit < _FIT:
            told.append(
                f"The local models explain little of the answers around a sample (middle R² {fit:.2f}): "
                "method shap explains them whole"
            )
        stability = middle(findings.stabilities)
        if stability is not None and stability < _STABILITY:
            told.append(f"Drawn anew, the local models name other features (stability {stability:.2f} of 1)")
    return told


def middle(values: Floats | None) -> float | None:
    """The median of what is known, None where nothing is."""
    if values is None or np.isnan(values).all():
        return None
    return float(np.nanmedian(values))
