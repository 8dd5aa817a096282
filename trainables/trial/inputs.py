"""Loads a trial's data as tokens."""

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from trainables.config.trial import ModelConfig, Runtime, TrialConfig
from trainables.data.task import TaskData
from trainables.data.tokens import TokenSplit, tokenize_task
from trainables.trial.kept import files_of, tokenizer_of


def load_tokens(
    config: TrialConfig, runtime: Runtime, tasks: dict[str, TaskData]
) -> dict[str, dict[str, TokenSplit]]:
    """Load a trial's tokens through the machine's token cache: task name -> split -> tokens.

    Those of the last tasks are kept open for the next trials of this process.
    """
    files = files_of(config.model)
    prefixed = config.arm.strategy == "naive_concat" and config.arm.task_prefix
    return {
        name: (_tokens if files is None else _kept_tokens)(
            _Tokenized(
                data.fingerprint,
                config.model.model_dump_json(),
                files,
                name if prefixed else None,
                runtime.cache_dir,
                data,
            )
        )
        for name, data in tasks.items()
    }


@dataclass(frozen=True)
class _Tokenized:
    """What a task's tokens depend on."""

    fingerprint: str
    model: str
    files: str | None
    prefix: str | None
    cache_dir: str | None
    data: TaskData = field(compare=False)


def _tokens(of: _Tokenized) -> dict[str, TokenSplit]:
    model = ModelConfig.model_validate_json(of.model)
    return tokenize_task(
        of.data,
        tokenizer_of(model, of.files),
        max_length=model.max_length,
        prefix=of.prefix,
        cache_dir=Path(of.cache_dir) if of.cache_dir else None,
    )


_kept_tokens = lru_cache(maxsize=8)(_tokens)
