"""Looks for cells of a dataset in the files of an artifact. `handlers.row_scan` is the way in."""
