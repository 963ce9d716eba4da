"""What a finished network needs to predict. This folder is copied into every artifact: it imports nothing of ours."""
