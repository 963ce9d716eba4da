"""A model's results as one page for people: what is told is gathered in `data`, how it looks is in the template."""
