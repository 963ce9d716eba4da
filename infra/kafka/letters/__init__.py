"""Dead letters: found on the log, shown, and sent back once."""
