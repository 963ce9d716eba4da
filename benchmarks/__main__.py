"""`make bench`: every benchmark in turn, each in a process of its own, so that none warms another."""

import subprocess
import sys

BENCHMARKS = ("jobs", "execution", "projector", "api")

if __name__ == "__main__":
    for name in BENCHMARKS:
        print(f"\n== {name}", flush=True)
        subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=True)
