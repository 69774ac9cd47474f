"""For whom we work."""
