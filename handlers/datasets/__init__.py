"""From a file to a problem that can be learned: reading, looking at, and choosing target and features."""
