"""Which money belongs to which invoice, and why."""
