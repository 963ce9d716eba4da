"""The broker that `up` brings along: a server in one binary, and its log on disk."""
