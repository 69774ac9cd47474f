"""People and organizations: who is here, and which business may they see."""
