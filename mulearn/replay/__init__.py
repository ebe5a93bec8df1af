"""Remembering: a ring of moves, and recorded episodes."""
