"""Uploads an export to the Hugging Face Hub."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from trainables.errors import ConfigError
from trainables.models.quiet import quiet


def repositories(folders: Iterable[str], name: str) -> dict[str, str]:
    """Folder of an export -> its repository: ``name``, or ``name-FOLDER`` of several folders.

    Raises:
        ConfigError: the Hub has no such names.
    """
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    chosen = {folder: name if folder == "." else f"{name}-{folder}" for folder in folders}
    try:
        for repository in chosen.values():
            validate_repo_id(repository)
    except HFValidationError as error:
        raise ConfigError(f"--push-to-hub {name}: {error}") from error
    return chosen


def check_login(name: str) -> None:
    """Check that the Hub answers and knows the user, before any work is done for it.

    Raises:
        ConfigError: it does not.
    """
    from huggingface_hub import HfApi

    repositories(["."], name)
    _asked(name, lambda: HfApi().whoami())


def push(folder: Path, repository: str, *, private: bool) -> str:
    """Upload a folder; the repository is made if there is none.

    Returns:
        Its address.

    Raises:
        ConfigError: the Hub cannot be reached or refuses.
    """
    from huggingface_hub import HfApi

    def upload() -> str:
        api = HfApi()
        made = api.create_repo(repository, private=private, exist_ok=True)
        api.upload_folder(repo_id=made.repo_id, folder_path=folder, commit_message="Export")
        return str(made)

    return _asked(repository, upload)


def _asked(name: str, ask: Callable[[], Any]) -> Any:
    """The result of ``ask``; every failure is one line.

    Raises:
        ConfigError: it failed.
    """
    from huggingface_hub import constants, errors

    try:
        with quiet():
            return ask()
    except errors.OfflineModeIsEnabled as error:
        why = "the Hub is switched off (HF_HUB_OFFLINE); unset that"
        raise ConfigError(f"--push-to-hub {name}: {why}") from error
    except errors.LocalTokenNotFoundError as error:
        why = "there is no token; log in with: hf auth login, or set HF_TOKEN"
        raise ConfigError(f"--push-to-hub {name}: {why}") from error
    except Exception as error:
        status = getattr(getattr(error, "response", None), "status_code", None)
        if status in (401, 403):
            why = f"the Hub refuses ({status}); log in with a token that may write there"
        else:
            text = next(iter(str(error).splitlines()), "") or type(error).__name__
            why = f"{constants.ENDPOINT} gave no usable answer ({text}); check the network"
        raise ConfigError(f"--push-to-hub {name}: {why}") from error
