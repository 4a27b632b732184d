"""What an agent holds inside a fixed window. A leaf: it knows nothing of documents, graphs or ``graphreader``.

Begin with ``agent.Agent``, ``sqlite.open_storage`` and ``loop.turn``; a program that decides itself what to read opens
a ``window.Window``. What memory has to be given is in ``protocols``, what storage has to do in ``storage``.
"""

from memory.listing import clipped, fit

__all__ = ["clipped", "fit"]
