"""How much each feature moved an answer: algorithms alone, on parts that can be asked."""
