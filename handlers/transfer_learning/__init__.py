"""Models that begin where others ended: pretrained networks, and those of earlier jobs."""
