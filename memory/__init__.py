"""What an agent holds inside a fixed window. A leaf: it knows nothing of documents, graphs or ``graphreader``.

Begin with ``agent.Agent``, ``sqlite.open_storage`` and ``loop.turn``; a program that decides itself what to read drives
a ``session.Session``. What memory has to be given is in ``protocols``, what storage has to do in ``storage``.
"""

from memory.window import fit

__all__ = ["fit"]
