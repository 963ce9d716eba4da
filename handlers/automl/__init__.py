"""AutoGluon as a handler: many models, one weighted ensemble, live news, an artifact without training rows."""
