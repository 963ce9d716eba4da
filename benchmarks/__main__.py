"""`make bench`: the short benchmarks in turn, each in a process of its own, so that none warms another.

`python -m benchmarks NAME [its options]` runs one, `--all` runs the long ones as well, `--list` names them.
"""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
BENCHMARKS = ("jobs", "promises", "execution", "projector", "api", "coverage", "evaluation")
#: They take minutes to hours (`recovery` needs Java, too), and run only when they are asked for.
LONG = ("recovery", "rebuild", "time_limits", "referee", "epochs", "networks", "cohorts", "ensembles")


def main(arguments: list[str]) -> None:
    if arguments == ["--list"]:
        print("in `make bench`:", *BENCHMARKS)
        print("long, by name or with --all:", *LONG)
        return
    chosen = {(): BENCHMARKS, ("--all",): (*BENCHMARKS, *LONG)}.get(tuple(arguments))
    for name, *options in [[name] for name in chosen] if chosen else [arguments]:
        print(f"\n== {name}", flush=True)
        command = [sys.executable, "-m", f"benchmarks.{name}", *options]
        # Some start what the tests start: Apache Kafka, workers as they are deployed.
        subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"})
    if not arguments:
        print(f"\nLeft out, because they are long: {', '.join(LONG)} (python -m benchmarks NAME, or --all)")


if __name__ == "__main__":
    main(sys.argv[1:])
