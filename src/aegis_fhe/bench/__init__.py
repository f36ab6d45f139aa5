"""How fast is the library, and how fast is somebody else's, in the same run? `aegis bench`."""
