"""Ray's token and files: made and kept closed, and refused where they are not the user's own."""

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from orchestrator.execution.ray.auth import (
    default_token_path,
    secure_token,
    session_folder,
    token_location,
)
from trainables.errors import ResourceError


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home directory, and nothing about tokens in the environment."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    monkeypatch.delenv("RAY_AUTH_TOKEN_PATH", raising=False)
    return tmp_path


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_missing_token_is_made_and_closed_to_others(home: Path) -> None:
    before = os.umask(0)
    try:
        secure_token()
    finally:
        os.umask(before)
    path = home / ".ray" / "auth_token"
    assert len(bytes.fromhex(path.read_text())) == 32
    assert (mode(path), mode(path.parent)) == (0o600, 0o700)
    assert [p.name for p in path.parent.iterdir()] == ["auth_token"]
    token = path.read_text()
    secure_token()
    assert path.read_text() == token


def test_runs_that_start_at_once_agree_on_one_token(home: Path) -> None:
    def token(_: int) -> str:
        secure_token()
        return default_token_path().read_text()

    with ThreadPoolExecutor(8) as pool:
        tokens = set(pool.map(token, range(64)))
    assert tokens == {default_token_path().read_text()}


def test_a_token_that_others_could_read_is_closed(home: Path) -> None:
    path = default_token_path()
    path.parent.mkdir()
    path.write_text("a" * 64)
    path.chmod(0o644)
    secure_token()
    assert (mode(path), path.read_text()) == (0o600, "a" * 64)


def link(path: Path) -> None:
    other = path.with_name("elsewhere")
    other.write_text("a" * 64)
    path.symlink_to(other)


def folder(path: Path) -> None:
    path.mkdir()


def empty(path: Path) -> None:
    path.touch()


@pytest.mark.parametrize("make", [link, folder, empty])
def test_what_is_no_token_of_ours_is_refused_and_left_alone(make, home: Path) -> None:
    path = default_token_path()
    path.parent.mkdir()
    make(path)
    before = {p.name: p.lstat() for p in path.parent.iterdir()}
    with pytest.raises(ResourceError, match=r"auth_token: the token for Ray cannot be used") as e:
        secure_token()
    assert "\n" not in str(e.value)
    assert before == {p.name: p.lstat() for p in path.parent.iterdir()}


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a file away")
def test_another_users_token_is_refused_where_the_user_did_not_name_it(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = default_token_path()
    path.parent.mkdir()
    path.write_text("a" * 64)
    os.chown(path, 12345, -1)
    with pytest.raises(ResourceError, match="another user's"):
        secure_token()
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(path))
    secure_token()


def test_a_named_file_is_used_and_a_missing_one_is_not_made(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = home / "token"
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(path))
    with pytest.raises(ResourceError, match=r"^RAY_AUTH_TOKEN_PATH: .*/token: .*No such file"):
        secure_token()
    path.write_text("a" * 64)
    path.chmod(0o640)
    secure_token()
    assert mode(path) == 0o600
    assert token_location() == str(path)
    assert not default_token_path().exists()


def test_a_token_in_the_environment_needs_no_file_and_is_never_shown(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "b" * 64)
    secure_token()
    assert not list(home.iterdir())
    assert token_location() == "the environment variable RAY_AUTH_TOKEN"


def test_the_folder_of_sessions_is_closed_to_others(tmp_path: Path) -> None:
    for _ in range(2):
        folder = session_folder(tmp_path)
        assert mode(folder.parent) == 0o700
        folder.parent.chmod(0o777)


@pytest.mark.parametrize("place", [link, empty])
def test_a_folder_of_sessions_that_another_could_have_made_is_refused(
    place, tmp_path: Path
) -> None:
    place(tmp_path / f"ray-{os.getuid()}")
    with pytest.raises(ResourceError, match="cannot be used for Ray's sessions"):
        session_folder(tmp_path)
