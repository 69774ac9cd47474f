"""Invoices from draft to paid, their numbers, and the settlement lines that pay them."""
