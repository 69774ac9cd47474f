"""Figures for people: read-only."""
