"""Networks as a handler: five architectures, for tables, series and images."""
