"""What an agent holds inside a fixed window. A leaf: it knows nothing of documents, graphs or ``graphreader``."""

from memory.window import fit

__all__ = ["fit"]
