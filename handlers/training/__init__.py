"""Fitting a network: everything that is needed once and not again when it predicts."""
