"""What it costs: every figure in README and docs comes from one of these. `make bench` runs them all."""
