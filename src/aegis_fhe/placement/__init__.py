"""Which device holds what, and what therefore crosses between devices. Needs no device, and no torch."""
