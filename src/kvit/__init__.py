"""Kvit: self-hosted invoicing that knows who has paid."""

__version__ = "0.1.0"
