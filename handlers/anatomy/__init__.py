"""What finished models are made of: parts whose attributions are known how to get."""
