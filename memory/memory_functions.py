"""The functions of memory itself, as a model may call them. They are made for one turn's session."""

from __future__ import annotations

from memory import recall
from memory.errors import FunctionError
from memory.functions import Arguments, Function, Parameter, Result
from memory.records import Block
from memory.session import Session

SEND_MESSAGE = "send_message"

_CURSOR = Parameter("cursor", 'empty for the first page, then the "next_page_cursor" of the page before')


def memory_functions(session: Session) -> tuple[Function, ...]:
    """Answer, working context, recall storage, archival storage: those that the agent has."""
    functions = (_send_message(), *_working(session), *_recall(session), *_archival(session))
    names = session.agent.function_names
    return functions if names is None else tuple(one for one in functions if one.name in names)


def _send_message() -> Function:
    async def run(_arguments: Arguments) -> Result:
        return Result("sent", shown_again=True)

    description = "Answer the user. Nothing else that you write is seen by the user."
    return Function(SEND_MESSAGE, description, (Parameter("message", ""),), run)


def _working(session: Session) -> tuple[Function, ...]:
    # Notes about documents are written in place of others, never by name: a name may be anybody's text.
    names = tuple(block.name for block in session.blocks if block.source is None)
    block = Parameter("block", "", choices=names)

    async def append(arguments: Arguments) -> Result:
        edited = await session.append(str(arguments["block"]), str(arguments["text"]))
        return Result(_state_of(session, edited, str(arguments["block"])), shown_again=True)

    async def replace(arguments: Arguments) -> Result:
        edited = await session.replace(str(arguments["block"]), str(arguments["old"]), str(arguments["new"]))
        return Result(_state_of(session, edited, edited.name), shown_again=True)

    if not names:
        return ()
    return (
        Function("working_append", "Add a line to a block of working context.", (block, Parameter("text", "")), append),
        Function(
            "working_replace",
            "Change text in a block of working context.",
            (
                block,
                Parameter("old", "exactly as the block has it"),
                Parameter("new", "what takes its place; empty to delete it"),
            ),
            replace,
        ),
    )


def _state_of(session: Session, edited: Block, wanted: str) -> str:
    tokens = session.agent.model.count_tokens([edited.text])[0]
    said = f"{edited.name!r} has {tokens} of {edited.max_tokens} tokens."
    if edited.name == wanted:
        return said
    return f"Kept apart as a note about the document: its text is in the window, and the user did not say this. {said}"


def _recall(session: Session) -> tuple[Function, ...]:
    async def search(arguments: Arguments) -> Result:
        return await recall.search_recall(session, str(arguments["query"]), str(arguments["cursor"]))

    async def search_dates(arguments: Arguments) -> Result:
        first, last, cursor = (str(arguments[name]) for name in ("first_date", "last_date", "cursor"))
        return await recall.search_recall_dates(session, first, last, cursor)

    async def read(arguments: Arguments) -> Result:
        return await recall.read_message(session, int(arguments["message"]), int(arguments["from_character"]))

    query = Parameter("query", "some exact words, or what it was about")
    return (
        Function("recall_search", "Search all earlier messages by text.", (query, _CURSOR), search),
        Function(
            "recall_search_date",
            "List the messages of some days.",
            (Parameter("first_date", "like 2024-01-31"), Parameter("last_date", "that day or later"), _CURSOR),
            search_dates,
        ),
        Function(
            "recall_read",
            "Read a message that was shown only in part.",
            (Parameter("message", "its number", "integer"), Parameter("from_character", "", "integer")),
            read,
        ),
    )  # fmt: skip


def _archival(session: Session) -> tuple[Function, ...]:
    async def insert(arguments: Arguments) -> Result:
        entry = session.archive(str(arguments["text"]))
        marked = "" if entry.source is None else f" as a note about {entry.source!r}"
        return Result(f"Kept as entry {entry.number}{marked}.", shown_again=True)

    async def search(arguments: Arguments) -> Result:
        if not str(arguments["query"]).strip() and session.agent.archive is not None:
            raise FunctionError("Say what to search for.")
        return await recall.search_archive(session, str(arguments["query"]), str(arguments["cursor"]))

    return (
        Function("archival_insert", "Keep something for good, outside the window.", (Parameter("text", ""),), insert),
        Function(
            "archival_search",
            "Search what was kept, and the documents.",
            (Parameter("query", "what it is about"), _CURSOR),
            search,
        ),
    )
