"""The explanation handler: which features moved a model, on which rows, how surely."""
