"""Loads a trained model and predicts, as any program of yours would: MLflow and a table, nothing of ours.

python demo/load_and_predict.py MODEL_DIRECTORY TABLE.csv TARGET_COLUMN
"""

import sys

import mlflow.pyfunc
import pandas as pd

SHOWN = 5


def main(model_directory: str, table: str, target: str) -> None:
    model = mlflow.pyfunc.load_model(model_directory)
    rows = pd.read_csv(table).sample(SHOWN, random_state=0)
    predicted = model.predict(rows.drop(columns=target))["prediction"]
    # Some of these rows were learned from: this shows how a model is used, not how good it is.
    print(pd.DataFrame({"measured": rows[target], "predicted": predicted}).rename_axis("row").to_string())


if __name__ == "__main__":
    main(*sys.argv[1:])
