"""Doing: plans become moves, on the host or on the device."""
