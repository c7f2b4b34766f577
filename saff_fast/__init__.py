"""4D semantic fields of casual videos, trained in minutes."""

__version__ = "0.1.0"
