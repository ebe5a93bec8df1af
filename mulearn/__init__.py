"""mulearn: learn the world, let language suggest, let search decide."""

__version__ = "0.1.0"
