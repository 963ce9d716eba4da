"""`make bench`: every benchmark in turn, each in a process of its own, so that none warms another.

`python -m benchmarks NAME [its options]` runs one.
"""

import subprocess
import sys

BENCHMARKS = ("jobs", "execution", "projector", "api", "coverage")

if __name__ == "__main__":
    for name, *options in [sys.argv[1:]] if sys.argv[1:] else [[name] for name in BENCHMARKS]:
        print(f"\n== {name}", flush=True)
        subprocess.run([sys.executable, "-m", f"benchmarks.{name}", *options], check=True)
