"""Columns that should be looked at before a score is believed. `handlers.suspicions` is the way in."""
