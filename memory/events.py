"""What an agent is told of: users, the system, documents, the clock. Each is the beginning of a turn."""

from __future__ import annotations

from datetime import datetime

from memory.records import Item, Kind


def user_message(text: str, time: datetime) -> Item:
    """The user says something."""
    return Item(Kind.USER_MESSAGE, text, time)


def system_alert(text: str, time: datetime) -> Item:
    """The program has something to say."""
    return Item(Kind.SYSTEM_ALERT, text, time)


def document_loaded(name: str, time: datetime, function: str = "archival_search") -> Item:
    """A document can now be searched by ``function``. Its name may be anybody's text, so it is shown as a quotation."""
    return Item(Kind.DOCUMENT_LOADED, f"A document was loaded; {function} finds what it says.", time, name)


def timed(text: str, time: datetime) -> Item:
    """A moment that was waited for has come."""
    return Item(Kind.TIMED, text, time)
