"""The soak: a thousand jobs on Apache Kafka while whatever can die is killed, and a verdict from independent evidence.

`make soak`, or `python -m soak`. Read `performance.py` from top to bottom: stage, traffic, faults, evidence, verdict.
"""
