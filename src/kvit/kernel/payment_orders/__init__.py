"""Payment orders as banks take them: accounts, checked fields and the standard file, pain.001."""
