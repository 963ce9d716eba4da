"""Fitting a network on training rows, in epochs that survive a killed worker."""
