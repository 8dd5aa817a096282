"""Tables through a log: whole or not at all."""

import base64
import gzip
import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.submit.results import (
    BEGIN,
    END,
    MANIFEST,
    NAMES,
    check_folder,
    packed,
    read_results,
    save,
    unpacked,
)
from trainables.errors import RunDirectoryError

FILES = {"table.md": "| ä |\n", "results.csv": "a,b\n" * 500, "report.html": "<p>\u2028</p>"}
BLOCK = packed(FILES)


@given(st.dictionaries(st.sampled_from(NAMES), st.text()), st.text(), st.text())
def test_what_is_packed_is_unpacked(files: dict[str, str], before: str, after: str) -> None:
    files = {name: text.encode("utf-8", "replace").decode() for name, text in files.items()}
    assert unpacked(f"{before}\n{packed(files)}{after}") == files


@given(st.integers(0, len(BLOCK) - 1), st.characters(min_codepoint=33, max_codepoint=126))
def test_a_changed_character_gives_the_same_files_or_none(at: int, character: str) -> None:
    assert unpacked(BLOCK[:at] + character + BLOCK[at + 1 :]) in (FILES, None)


@given(st.integers(0, len(BLOCK) - 2))
def test_a_log_that_ends_too_early_has_no_files(size: int) -> None:
    assert unpacked(BLOCK[:size]) is None


def test_of_several_blocks_the_last_counts() -> None:
    assert unpacked(packed({"table.md": "old"}) + "more\n" + BLOCK) == FILES
    # Also where it is damaged: an older table is not taken for the newest.
    assert unpacked(BLOCK + f"{BEGIN}{'0' * 64}-----\nAAAA\n{END}\n") is None


@pytest.mark.parametrize("name", ["../../escape", "/etc/passwd", "plan.json", "table.md/x"])
def test_no_log_says_where_something_is_written(name: str) -> None:
    assert unpacked(packed({name: "x", "table.md": "y"})) == {"table.md": "y"}


@pytest.mark.parametrize("value", [[1], "text", {"table.md": 5}, None])
def test_what_is_no_table_of_texts_gives_nothing(value: object) -> None:
    data = gzip.compress(json.dumps(value).encode())
    text = base64.b64encode(data).decode()
    block = f"{BEGIN}{hashlib.sha256(data).hexdigest()}-----\n{text}\n{END}\n"
    assert not unpacked(block)


def test_a_block_that_unpacks_to_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.submit.results.LARGEST", 1000)
    assert unpacked(packed({"table.md": "a" * 2000})) is None


def test_a_folder_holds_one_fetch_whole(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "cluster" / "demo"
    save(folder, FILES, {"job": "demo-1"})
    (folder / "mine.txt").write_text("mine")
    save(folder, {"table.md": "new"}, {"job": "demo-2"})
    assert {path.name for path in folder.iterdir()} == {"table.md", MANIFEST, "mine.txt"}
    manifest = json.loads((folder / MANIFEST).read_text())
    digest = hashlib.sha256((folder / "table.md").read_bytes()).hexdigest()
    assert manifest == {"job": "demo-2", "sha256": {"table.md": digest}}


def test_a_fetch_that_breaks_off_leaves_no_manifest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path, FILES, {})

    def full(path: Path, text: str) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("orchestrator.submit.results.write_text", full)
    with pytest.raises(OSError, match="No space"):
        save(tmp_path, {"table.md": "new"}, {})
    assert not (tmp_path / MANIFEST).exists()


def test_fetched_files_stand_beside_no_records(tmp_path: Path) -> None:
    check_folder(tmp_path / "new")
    check_folder(tmp_path)
    (tmp_path / "plan.json").touch()
    with pytest.raises(RunDirectoryError, match=r"is a run directory .*--to"):
        check_folder(tmp_path)
    with pytest.raises(RunDirectoryError, match="is no folder"):
        check_folder(tmp_path / "plan.json")


def test_only_tables_are_sent(tmp_path: Path) -> None:
    for name in ("table.md", "config.yaml", "plan.json", "lock.json", "records.json"):
        (tmp_path / name).write_text(name)
    assert read_results(tmp_path) == {"table.md": "table.md", "config.yaml": "config.yaml"}
