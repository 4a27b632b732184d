"""What the small JSON files of a sentence encoder's folder say, as sentence-transformers writes them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

#: What may follow the transformer: anything else would change the vectors.
_PLAIN_MODULES: Final = {"Transformer", "Pooling", "Normalize"}
#: Tokenizers without a limit say something enormous.
_NO_LIMIT: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class BertShape:
    """What of ``config.json`` the forward pass needs."""

    layers: int
    heads: int
    dimensions: int
    norm_epsilon: float


def is_plain_bert(folder: Path) -> bool:
    """Whether ``folder`` holds a sentence encoder of the kind read here: BERT, mean pooling, exact GELU."""
    config = read_json(folder / "config.json")
    modules = read_json(folder / "modules.json")
    return (
        config.get("model_type") == "bert"
        and config.get("hidden_act") == "gelu"
        and config.get("position_embedding_type", "absolute") == "absolute"
        and _pools_by_mean(read_json(folder / "1_Pooling" / "config.json"))
        and {str(module.get("type")).rpartition(".")[2] for module in modules or ()} <= _PLAIN_MODULES
        and (folder / "model.safetensors").is_file()
        and (folder / "tokenizer.json").is_file()
    )


def _pools_by_mean(pooling: dict[str, Any]) -> bool:
    """Whether the vector is the mean over all tokens; older files have a switch for each way of pooling."""
    chosen = [key for key, value in pooling.items() if key.startswith("pooling_mode_") and value is True]
    by_mean = pooling.get("pooling_mode") == "mean" or chosen == ["pooling_mode_mean_tokens"]
    return by_mean and pooling.get("include_prompt", True) is True


def shape_of(folder: Path) -> BertShape:
    """The shape that ``config.json`` gives."""
    config = read_json(folder / "config.json")
    return BertShape(
        layers=int(config["num_hidden_layers"]),
        heads=int(config["num_attention_heads"]),
        dimensions=int(config["hidden_size"]),
        norm_epsilon=float(config.get("layer_norm_eps", 1e-12)),
    )


def max_tokens_of(folder: Path) -> int:
    """How many tokens are read at once: the least that any of the files says."""
    limits = [
        read_json(folder / "sentence_bert_config.json").get("max_seq_length"),
        read_json(folder / "tokenizer_config.json").get("model_max_length"),
        read_json(folder / "config.json")["max_position_embeddings"],
    ]
    return int(min(limit for limit in limits if limit and limit < _NO_LIMIT))


def prompts_of(folder: Path) -> dict[str, str | None]:
    """The texts that the model's makers put in front of queries and documents, by their names."""
    return dict(read_json(folder / "config_sentence_transformers.json").get("prompts") or {})


def read_json(path: Path) -> Any:  # noqa: ANN401 - an object, or a list in modules.json
    """What a JSON file holds; an empty object where it is absent or damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
