"""Pure rules of money and paper: no Django, no I/O, no clock."""
