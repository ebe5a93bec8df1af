"""Thinking: one tree a position, over the slots of its nodes."""
