"""The bundled plugins; each is found by its entry point and imported by nobody."""
