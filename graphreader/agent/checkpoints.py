"""Checkpoints of unfinished runs, kept in the library as run records.

States hold ids and not texts, so each checkpoint is stored whole; a run's records are deleted when it has finished.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    get_checkpoint_id,
    writes_sort_key,
)

from graphreader.library.protocol import Library

_STATE = "checkpoint/"
_WRITES = "writes/"


class LibraryCheckpoints(BaseCheckpointSaver[int]):
    """A langgraph checkpoint saver over ``Library.put_run_record``. A thread id is a run id."""

    def __init__(self, library: Library) -> None:
        super().__init__()
        self._library = library

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Store a checkpoint."""
        run_id, namespace = _address(config)
        parent = config["configurable"].get("checkpoint_id")
        value = {"checkpoint": checkpoint, "metadata": metadata, "parent": parent}
        self._library.put_run_record(run_id, namespace, _STATE + checkpoint["id"], self._pack(value))
        return _config(run_id, namespace, checkpoint["id"])

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Store what a finished task of an unfinished step wrote."""
        run_id, namespace = _address(config)
        key = f"{_WRITES}{config['configurable']['checkpoint_id']}/{task_id}/"
        value = {"task": task_id, "path": task_path, "writes": [list(write) for write in writes]}
        marker = "-".join(sorted({channel for channel, _ in writes}))
        self._library.put_run_record(run_id, namespace, key + marker, self._pack(value))

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """The checkpoint that ``config`` names, or the latest of its run and namespace."""
        run_id, namespace = _address(config)
        wanted = get_checkpoint_id(config)
        records = self._library.run_records(run_id, namespace, _STATE + (wanted or ""))
        if not records:
            return None
        key = max(records)
        return self._tuple(run_id, namespace, key.removeprefix(_STATE), records[key])

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """The checkpoints of a run's namespace, newest first."""
        if config is None:
            return
        run_id, namespace = _address(config)
        before_id = get_checkpoint_id(before) if before else None
        count = 0
        for key, value in sorted(self._library.run_records(run_id, namespace, _STATE).items(), reverse=True):
            checkpoint_id = key.removeprefix(_STATE)
            if before_id is not None and checkpoint_id >= before_id:
                continue
            entry = self._tuple(run_id, namespace, checkpoint_id, value)
            if filter and any(entry.metadata.get(name) != wanted for name, wanted in filter.items()):
                continue
            if limit is not None and count >= limit:
                return
            count += 1
            yield entry

    async def adelete_thread(self, thread_id: str) -> None:
        """Forget a run."""
        self._library.delete_run(thread_id)

    def _tuple(self, run_id: str, namespace: str, checkpoint_id: str, value: bytes) -> CheckpointTuple:
        stored = self._unpack(value)
        pending = [
            self._unpack(record)
            for record in self._library.run_records(run_id, namespace, f"{_WRITES}{checkpoint_id}/").values()
        ]
        ordered = sorted(
            (
                (write_index, entry["task"], channel, written, entry["path"])
                for entry in pending
                for write_index, (channel, written) in enumerate(entry["writes"])
            ),
            key=lambda item: writes_sort_key(item[4], item[1], item[0]),
        )
        return CheckpointTuple(
            config=_config(run_id, namespace, checkpoint_id),
            checkpoint=stored["checkpoint"],
            metadata=stored["metadata"],
            parent_config=_config(run_id, namespace, stored["parent"]) if stored["parent"] else None,
            pending_writes=[(task, channel, written) for _, task, channel, written, _ in ordered],
        )

    def _pack(self, value: dict[str, Any]) -> bytes:
        kind, data = self.serde.dumps_typed(value)
        return kind.encode() + b"\n" + data

    def _unpack(self, value: bytes) -> Any:  # noqa: ANN401 - what was packed
        kind, _, data = value.partition(b"\n")
        return self.serde.loads_typed((kind.decode(), data))


def _address(config: RunnableConfig) -> tuple[str, str]:
    configurable = config["configurable"]
    return str(configurable["thread_id"]), str(configurable.get("checkpoint_ns", ""))


def _config(run_id: str, namespace: str, checkpoint_id: str) -> RunnableConfig:
    return {"configurable": {"thread_id": run_id, "checkpoint_ns": namespace, "checkpoint_id": checkpoint_id}}
