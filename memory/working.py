"""Working context: edits of blocks. Pure; see ``session`` for whose and where they go."""

from __future__ import annotations

from dataclasses import replace

from memory.errors import CapacityError, FunctionError
from memory.paging import CountTokens
from memory.records import Block


def appended(block: Block, text: str, count_tokens: CountTokens) -> Block:
    """The block with a line more; the same block where it says so already. Raises ``CapacityError``."""
    line = text.strip()
    if not line:
        raise FunctionError("There is no text to append.")
    if line in block.text.splitlines():
        return block
    return _checked(block, f"{block.text}\n{line}" if block.text else line, count_tokens)


def replaced(block: Block, old: str, new: str, count_tokens: CountTokens) -> Block:
    """The block with ``new`` in place of ``old``, which must occur once. Raises as ``appended`` does, and if not so."""
    occurrences = block.text.count(old) if old else 0
    if occurrences == 0:
        raise FunctionError(f"{block.name!r} does not hold {old!r:.200}. Copy the old text from the block exactly.")
    if occurrences > 1:
        raise FunctionError(f"{block.name!r} holds {old!r:.200} {occurrences} times. Give more of the text around it.")
    text = block.text.replace(old, new)
    return _checked(block, "\n".join(line for line in text.splitlines() if line.strip()), count_tokens)


def _checked(block: Block, text: str, count_tokens: CountTokens) -> Block:
    (tokens,) = count_tokens([text])
    if tokens > block.max_tokens and tokens >= count_tokens([block.text])[0]:
        raise CapacityError(
            f"{block.name!r} is at capacity: it would have {tokens} tokens of at most {block.max_tokens}. Shorten what "
            "it holds with working_replace, or move something to archival storage, then try again."
        )
    return replace(block, text=text)
