"""Every bank movement exactly once: accounts, transactions and the one path that posts them."""
