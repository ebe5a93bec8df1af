"""Improving: targets, losses, and the step that everything serves."""
