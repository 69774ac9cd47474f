"""Accounts at most European banks, by Enable Banking."""

from kvit.plugins.enable_banking.plugin import EnableBanking

__all__ = ["EnableBanking"]
