"""Labelled texts out of installed packages, read by path: nothing is imported, unpickled or redistributed."""
