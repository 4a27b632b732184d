"""Every error a caller may want to tell apart. Each message names the thing that failed and what mends it.

AgentMemoryError
├── MemoryFileError           the file of memories cannot be used
│   ├── MemoryDamagedError        not such a file, or a damaged one
│   ├── MemoryVersionError        written by a newer version
│   ├── MemoryDiskError           the disk is full or failed; nothing was changed
│   └── MemoryBusyError           another process kept it locked for too long
├── BlockConflictError        a block was changed by another since it was read
├── BudgetError               no request can be made that fits the window
├── SummaryError              what was to be evicted could not be summarised; nothing was evicted
├── EmbeddingError            the embedder failed, or its vectors have the wrong shape
├── ModelSilentError          the model did not answer in time
├── UnusableReplyError        the model answered several times with something that is not a call
└── FunctionError             a call the model got wrong; told to the model, never to the caller
    ├── CapacityError             a block has no room for what was to be written
    └── CursorError               a cursor that was not given out, or whose hits have since changed
"""

from __future__ import annotations

from collections.abc import Sequence


class AgentMemoryError(Exception):
    """Root of all errors raised on purpose by this package."""


class MemoryFileError(AgentMemoryError):
    """The file of memories cannot be used."""


class MemoryDamagedError(MemoryFileError):
    """Not a file of memories, or a damaged one."""


class MemoryVersionError(MemoryFileError):
    """The file was written by a newer version."""


class MemoryDiskError(MemoryFileError):
    """The disk is full or failed. Nothing was changed."""


class MemoryBusyError(MemoryFileError):
    """Another process kept the file locked for too long. Nothing was changed."""


class BlockConflictError(AgentMemoryError):
    """Blocks were changed by another since they were read. Nothing was changed; ``blocks`` names them."""

    def __init__(self, blocks: Sequence[str]) -> None:
        self.blocks = tuple(blocks)
        named = ", ".join(map(repr, blocks))
        super().__init__(f"Working context {named} was changed by another since it was read. Read it again, then edit.")


class BudgetError(AgentMemoryError):
    """No request can be made that fits the window."""

    def __init__(self, needed_tokens: int, budget_tokens: int, problem: str) -> None:
        self.needed_tokens = needed_tokens
        self.budget_tokens = budget_tokens
        super().__init__(
            f"The request needs {needed_tokens} tokens and may have {budget_tokens}: {problem}. "
            "Use a longer window, a smaller reply reserve, fewer functions or smaller blocks."
        )


class SummaryError(AgentMemoryError):
    """What was to be evicted could not be summarised. Nothing was evicted."""


class EmbeddingError(AgentMemoryError):
    """The embedder failed, or its vectors have the wrong shape."""


class ModelSilentError(AgentMemoryError):
    """The model did not answer in time. Nothing of the turn was stored."""

    def __init__(self, seconds: float) -> None:
        super().__init__(
            f"The model did not answer within {seconds:.0f} s; nothing of this turn was stored. "
            "Check that it is running, or allow more time, and send the message again."
        )


class UnusableReplyError(AgentMemoryError):
    """The model answered several times with something that is not a call. Nothing of the turn was stored."""

    def __init__(self, tries: int, problem: str) -> None:
        super().__init__(
            f"The model answered {tries} times in a row with something that cannot be used ({problem}); nothing of "
            "this turn was stored. Does its endpoint honour JSON schemas? If it does, use a larger model."
        )


class FunctionError(AgentMemoryError):
    """A call the model got wrong. The message is what the model is told."""


class CapacityError(FunctionError):
    """A block has no room for what was to be written."""


class CursorError(FunctionError):
    """A cursor that was not given out, or whose hits have since changed."""
