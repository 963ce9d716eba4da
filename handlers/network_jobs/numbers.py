"""A prepared problem as numbers, for what learns from nothing else."""

from events.errors import ReasonCode
from handlers.contract import JobRefused
from handlers.networks.table import TableEncoder
from handlers.preparation import Prepared
from handlers.training.rows import Rows, training_rows


def numbers(prepared: Prepared) -> tuple[TableEncoder, Rows]:
    """The training rows as numbers, and what reads tables that way; all of it fitted on training rows alone.

    Raises:
        JobRefused: `no_features`.
    """
    problem, train = prepared.problem, prepared.parts.train
    X = problem.X.iloc[train]
    try:
        table = TableEncoder().fit(X)
    except ValueError as error:
        raise JobRefused(
            ReasonCode.NO_FEATURES,
            "no feature column holds numbers or repeating categories in the training rows: name other feature_columns",
        ) from error
    return table, training_rows(table.transform(X), problem, train)
