"""Payment orders: written, handed to the bank once, and known again when they are executed."""
