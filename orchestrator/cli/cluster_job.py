"""Runs a submitted command on the cluster, then prints its tables at the end of the job's log.

Heavy imports wait until the cluster's Python version has been checked.
"""

import json
import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from orchestrator.submit.results import packed, read_results

OLDEST = (3, 11)

SENT = "one_or_many_sent"
"""As in ``orchestrator/submit/package.py``, which needs more packages than this."""


def difference(sender: dict[str, str]) -> str | None:
    """A warning if Python or Ray differ from the sender's versions; None if they do not."""
    here = {"python": platform.python_version(), "ray": _version("ray")}
    if all(here[name] == sender[name] for name in here):
        return None
    return (
        f"warning: this cluster runs Python {here['python']} and Ray {here['ray']}, the sender has "
        f"Python {sender['python']} and Ray {sender['ray']}; numbers are those of the cluster"
    )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "of no known version"


def run(arguments: list[str]) -> int:
    """Run the command line here; returns its exit code."""
    try:
        from orchestrator.cli import app

        app.main(arguments)
    except ModuleNotFoundError as error:
        print(
            f"error: {sys.executable} on this cluster has no package {error.name}; install "
            "requirements.txt on every node, as cluster/Dockerfile does",
            file=sys.stderr,
        )
        return 2
    except SystemExit as ending:
        return ending.code if isinstance(ending.code, int) else int(ending.code is not None)
    return 0


def results(where: str, code: int) -> dict[str, str]:
    """The tables of a run directory; those of an unfinished grid are made now."""
    from orchestrator.commands.report import report
    from orchestrator.commands.tune_report import report_tuning
    from orchestrator.run_dir.remote import has_search, run_dir_at
    from trainables.errors import OneOrManyError

    try:
        run_dir = run_dir_at(where)
        # The reports of a run directory in an object store are made again, not fetched.
        if code != 0 or run_dir.url is not None:
            (report_tuning if has_search(run_dir) else report)(run_dir)
    except (OneOrManyError, OSError):
        return {}
    return read_results(run_dir.root)


def main(arguments: list[str]) -> int:
    """The entry point of the job; takes the arguments of ``python -m orchestrator``."""
    if sys.version_info < OLDEST:
        print(f"error: this cluster has Python {platform.python_version()}; 3.11 is needed")
        return 2
    sender = json.loads(os.environ["ONE_OR_MANY_SENDER"])
    line = difference(sender)
    if line is not None:
        print(line, flush=True)
    # The user's own files are named relative to where they were unpacked.
    for folder in sys.path:
        if (Path(folder) / SENT).is_dir():
            os.chdir(Path(folder) / SENT)
    # Hints to resume name the command that was submitted.
    sys.argv = ["orchestrator", *sender["command"]]
    code = run(arguments)
    if code != 2:
        tables = results(arguments[arguments.index("--run-dir") + 1], code)
        if tables:
            print(packed(tables), end="", flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
