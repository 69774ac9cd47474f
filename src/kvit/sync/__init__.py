"""Connections and their runs: what is due, who claims it, what came of it."""
