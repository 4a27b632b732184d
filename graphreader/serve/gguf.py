"""Conversion of a GGUF file to a folder that vLLM serves: bf16 safetensors, config, tokenizer, chat template.

Run as a module (FILE FOLDER) in a process of its own: that gives the memory back, about three times the size of the
result, and keeps torch out of the caller.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from graphreader.errors import WeightsError
from graphreader.serve.modules import module_command

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Ends of a turn or a text in the chat formats we convert. A GGUF file names one id only, and a model that ends its
#: turn with the other would then go on until the reply's limit.
_END_TOKENS = ("<|im_end|>", "<|endoftext|>")
_MAGIC = b"GGUF"
_POLL_SECONDS = 0.2
_KEPT_LOG_LINES = 15


def convert(gguf_file: Path, folder: Path, on_elapsed: Callable[[float], None] | None = None) -> None:
    """Convert in a child process; ``on_elapsed`` gets the seconds since it began. Raises ``WeightsError``."""
    log = folder.with_name(folder.name + ".log")
    command = module_command("graphreader.serve.gguf", str(gguf_file), str(folder))
    started = time.monotonic()
    with (
        log.open("wb") as output,
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT) as child,
    ):
        try:
            while child.poll() is None:
                if on_elapsed is not None:
                    on_elapsed(time.monotonic() - started)
                time.sleep(_POLL_SECONDS)
        except BaseException:
            child.kill()
            raise
    if child.returncode != 0:
        tail = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-_KEPT_LOG_LINES:])
        raise WeightsError(
            f"Converting {gguf_file.name} ended with code {child.returncode}. It needs the packages torch, "
            f"transformers, accelerate and gguf, and memory of three times its size as bf16.\n{tail}"
        )
    log.unlink()


def convert_here(gguf_file: Path, folder: Path) -> None:
    """Convert in this process, with what ``transformers`` has for it. Raises ``WeightsError``."""
    with gguf_file.open("rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            raise WeightsError(f"{gguf_file} is no GGUF file.")
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    where, name = str(gguf_file.parent), gguf_file.name
    tokenizer = AutoTokenizer.from_pretrained(where, gguf_file=name)
    tokenizer.save_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(
        where, gguf_file=name, dtype=torch.bfloat16, quantization_config=GgufConfig(dequantize=True)
    )
    model.save_pretrained(folder)
    generation = generation_config(tokenizer.get_vocab(), tokenizer.eos_token_id, tokenizer.pad_token_id)
    (folder / "generation_config.json").write_text(json.dumps(generation, indent=2), encoding="utf-8")


def generation_config(vocabulary: Mapping[str, int], eos_id: int | None, pad_id: int | None) -> dict[str, object]:
    """Greedy decoding that stops at every end token of the vocabulary, the tokenizer's own first."""
    ends = [eos_id, *(vocabulary.get(token) for token in _END_TOKENS)]
    found = list(dict.fromkeys(end for end in ends if end is not None))
    return {"eos_token_id": found, "pad_token_id": pad_id, "do_sample": False}


if __name__ == "__main__":
    convert_here(Path(sys.argv[1]), Path(sys.argv[2]))
