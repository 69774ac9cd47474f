"""Who changed what, when and in which run; written in bulk, append-only."""
