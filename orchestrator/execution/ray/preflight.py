"""Preflight check: every node can reach the run directory, data and encoders.

Every node reads a file that was just written to the run directory, writes one there, and compares
the files of the data and encoders with those of this machine.
"""

import secrets
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from orchestrator.planning.plan import PlannedTrial
from trainables.errors import DataError, EncoderError, InputError, RunDirectoryError
from trainables.storage.node_probe import ProbeRequest, fingerprint, probe, read, write
from trainables.storage.object_store import Store
from trainables.storage.retry import Backoff, retry
from trainables.storage.run_dir import PROBE, RunDir

SEEN_SECONDS = 10.0
"""How long a network file system may take to show a node's file on this machine."""

ADVICE = (
    "put it on a file system that all nodes share under the same path, or give an object store "
    "that they reach, for example --run-dir s3://BUCKET/PATH"
)


Ask = Callable[
    [Callable[[ProbeRequest, str], dict[str, str]], ProbeRequest], Mapping[str, dict[str, str]]
]
"""Calls a function on every node (see ``nodes.on_every_node``): name of a node -> its answer."""


def check_nodes(
    ask: Ask, run_dir: RunDir, trials: Iterable[PlannedTrial], glue_dir: str | None
) -> None:
    """Check that every node can reach the run directory, the data and the encoders.

    Raises:
        RunDirectoryError: a node has another folder there, or cannot write to it.
        DataError: a node has other data, or none.
        EncoderError: a node has another encoder's folder, or none.
    """
    errors = files_of(trials, glue_dir)
    place = str(run_dir.root.resolve()) if run_dir.url is None else run_dir.url
    marker = f"{PROBE}{secrets.token_hex(16)}"
    wanted = ProbeRequest(
        place, run_dir.url is not None, marker, {path: fingerprint(Path(path)) for path in errors}
    )
    write(wanted, marker)
    try:
        for node, answer in sorted(ask(probe, wanted).items()):
            written = answer.pop("written", None)
            if place in answer:
                raise RunDirectoryError(f"{place}: node {node} {answer[place]}; {ADVICE}")
            for path, finding in answer.items():
                raise errors[path](f"{path}: node {node} {finding}")
            if written is None or not _appears(wanted, written):
                raise RunDirectoryError(
                    f"{place}: what node {node} writes there is not seen here; {ADVICE}"
                )
    finally:
        _clear(wanted)


def files_of(
    trials: Iterable[PlannedTrial], glue_dir: str | None
) -> dict[str, Callable[[str], InputError]]:
    """Paths that the trials read besides the run directory -> the error that is about each."""
    paths: dict[str, Callable[[str], InputError]] = {}
    for config in (trial.config for trial in trials):
        for name, task in config.tasks.items():
            if config.sources[name] == "files" and task.files is not None:
                paths |= dict.fromkeys(task.files.paths.values(), DataError)
            elif config.sources[name] == "glue_dir" and glue_dir is not None:
                paths[str(Path(glue_dir) / (task.glue_dir or ""))] = DataError
        if Path(config.model.encoder).is_absolute():
            paths[config.model.encoder] = EncoderError
    return paths


def _appears(wanted: ProbeRequest, name: str) -> bool:
    try:
        content = retry(lambda: read(wanted, name), Backoff(SEEN_SECONDS, 0.2, 1.0))
    except OSError:
        return False
    return content == name.encode()


def _clear(wanted: ProbeRequest) -> None:
    with suppress(OSError):
        if wanted.is_url:
            store = Store(wanted.run_dir)
            for name in [n for n in store.folders("") if n.startswith(wanted.marker)]:
                store.remove(name)
        else:
            for path in Path(wanted.run_dir).glob(f"{wanted.marker}*"):
                path.unlink(missing_ok=True)
