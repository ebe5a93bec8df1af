"""The same program on more devices."""
