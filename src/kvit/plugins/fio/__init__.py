"""Fio banka through its API (manual “API Bankovnictví”, 16.10.2025)."""

from kvit.plugins.fio.plugin import Fio, FioConfig

__all__ = ["Fio", "FioConfig"]
