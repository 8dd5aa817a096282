"""The command line: exit codes, and one clear line for every bad input."""

import errno
import io
import json
import os
import re
import shutil
import sys
from pathlib import Path

import pytest

from orchestrator.cli.app import main
from orchestrator.cli.console import one_line
from orchestrator.commands import report
from orchestrator.commands.experiment import Experiment
from orchestrator.planning import encoders
from orchestrator.run_dir.directory import write_metadata
from tests.helpers.command import SMALL, Command, small_grid
from tests.helpers.plans import plan_of
from tests.helpers.records import Trial, record
from tests.helpers.run_folders import finished_grid
from trainables.models import source
from trainables.results.record import write_record
from trainables.storage.run_dir import RunDir

PLAN = ["plan", "demo"]
TRAIN = ["train", "single_task", "task=sentiment", *SMALL]
MINE = ["plan", "mine.yaml"]
CSV = "define.tasks.mine.files.train"

BAD = [
    # presets
    (["plan", "dmo"], "preset dmo: unknown; did you mean demo?"),
    (["plan", ""], "preset : unknown; there are bam, demo, domain-adaptation,"),
    (["plan", "none.yaml"], "none.yaml: no such preset file"),
    (["plan", "folder.yaml"], "folder.yaml: no such preset file"),
    (["plan", "binary.yaml"], "binary.yaml: cannot be read as YAML: 'utf-8' codec"),
    (["plan", "twice.yaml"], "twice.yaml: cannot be read as YAML: while constructing a mapping"),
    # keys
    ([*PLAN, "trainng.epochs=3"], "trainng: unknown key; did you mean training?"),
    ([*PLAN, "training.epoch=3"], "training.epoch: unknown key; did you mean epochs?"),
    ([*PLAN, "epochs=3"], "epochs: unknown key; did you mean training.epochs?"),
    ([*PLAN, "key==value"], "key: unknown key; there are arms, checkpoint, checks, data"),
    ([*PLAN, "selection.fractoin=0.1"], "selection.fractoin: unknown key; did you mean fraction?"),
    ([*PLAN, "limits.max=1"], "limits.max: unknown key; there are max_train_examples"),
    ([*PLAN, "resources.cpus=1"], "resources.cpus: unknown key; did you mean cpu?"),
    ([*PLAN, "ray.adress=auto"], "ray.adress: unknown key; did you mean address?"),
    (
        [*PLAN, "tracking.wandb.projct=a"],
        "tracking.wandb.projct: unknown key; did you mean project?",
    ),
    ([*PLAN, "checkpoint.evry=1"], "checkpoint.evry: unknown key; did you mean every?"),
    ([*PLAN, "data.glue=x"], "data.glue: unknown key; did you mean glue_dir?"),
    ([*PLAN, "schlüssel=1"], "schlüssel: unknown key; there are arms"),
    (
        [*PLAN, "define.arms.unused={strategy: shared_encoder, samplng: {}}"],
        "define.arms.unused.samplng: unknown key; did you mean sampling?",
    ),
    (
        [*PLAN, "define.arms.shared_encoder.exponent=1"],
        "define.arms.shared_encoder.exponent: unknown key; "
        "did you mean define.arms.shared_encoder.sampling.exponent?",
    ),
    ([*TRAIN, "seeds=[1]"], "seeds: unknown key; did you mean seed?"),
    # types
    ([*PLAN, "training=5"], "training: input should be an object, not 5"),
    ([*PLAN, "training="], "training: input should be an object, not None"),
    ([*PLAN, "define="], "define: input should be an object, not None"),
    ([*PLAN, "tasks=null"], "tasks: input should be a valid array, not None"),
    ([*PLAN, "tasks={a: 1}"], "tasks: input should be a valid array, not {'a': 1}"),
    ([*PLAN, "training.epochs=three"], "training.epochs: input should be a valid integer, not"),
    ([*PLAN, "training.epochs==3"], "training.epochs: input should be a valid integer, not '=3'"),
    ([*PLAN, "training.learning_rate=.nan"], "training.learning_rate: input should be a finite"),
    ([*PLAN, "training.epochs=???"], "training.epochs=???: cannot be applied: ??? stands for"),
    ([*PLAN, "name=!!binary aGk="], "b'hi': no setting takes bytes; use text"),
    ([*PLAN, "seeds[0]=1"], "seeds[0]=1: an override is key=value"),
    ([*PLAN, "seeds=*a"], "seeds=*a: cannot be applied: found undefined alias"),
    ([*PLAN, "a\nb"], "a\\nb: an override is key=value"),
    ([*PLAN, "x" * 5000], "x" * 80 + ": an override is key=value"),
    ([*PLAN, "seeds=" + "9" * 5000], "seeds=" + "9" * 74 + ": cannot be applied: Exceeds"),
    # sizes and seeds
    ([*PLAN, "training.epochs=0"], "training.epochs: input should be greater than 0, not 0"),
    ([*PLAN, "training.batch_size=-1"], "training.batch_size: input should be greater than 0"),
    ([*PLAN, "limits.max_train_examples=0"], "limits.max_train_examples: input should be greater"),
    ([*PLAN, "seeds="], "seeds: input should be a valid array, not None"),
    ([*PLAN, "seeds=[]"], "seeds: needs at least 1, has 0"),
    ([*PLAN, "seeds=[1,1]"], "seeds: 1 is there twice; name it once"),
    ([*PLAN, "seeds=[4294967296]"], "seeds.0: input should be less than 4294967296"),
    ([*TRAIN, "seed=-1"], "seed: input should be greater than or equal to 0, not -1"),
    # names
    ([*PLAN, "tasks=[sentimant]"], "tasks: sentimant is unknown; did you mean sentiment?"),
    ([*PLAN, "arms=[single_tsk]"], "arms: single_tsk is unknown; did you mean single_task?"),
    ([*PLAN, "define.arms.x.strategy=y"], "define.arms.x.strategy: y is unknown; there are"),
    ([*PLAN, "models=[nobody/nothing]"], "models: nobody/nothing: not a folder and not in the"),
    ([*PLAN, "models=[./none]"], "models: ./none: there is no such folder; use minilm-l6, a Hub"),
    ([*PLAN, "models=[no_tokenizer]"], "models: no_tokenizer: the folder has no tokenizer"),
    ([*PLAN, "models=[file]"], "models: file: is a file; give the folder"),
    (
        [*PLAN, "define.models.minilm-l6.num_layers=7"],
        "define.models.minilm-l6.num_layers=7: minilm-l6 has 6 layers",
    ),
    (
        [*PLAN, "define.models.minilm-l6.revision=main"],
        "define.models.minilm-l6.revision=main: only a Hub model has revisions",
    ),
    (["train", "nope"], "arms: nope is unknown; there are lora_per_task"),
    (["train", "shared_encoder", "task=sentiment"], "task=sentiment: shared_encoder trains on"),
    ([*TRAIN, "model=none/none"], "model: none/none: not a folder and not in the local cache"),
    # data
    ([*PLAN, "tasks=[cola]", "data.source=hub"], "Hub nyu-mll/glue (cola) cannot be had (define."),
    ([*PLAN, "tasks=[cola]", "data.glue_dir=none"], "{cwd}/none: no such folder (data.glue_dir)"),
    (
        [*PLAN, "tasks=[cola]", "data.glue_dir=glue"],
        "{cwd}/glue/CoLA/dev.tsv: no such file (data.glue_dir)",
    ),
    ([*MINE, f"{CSV}=none.csv"], f"{{cwd}}/none.csv: no such file ({CSV})"),
    ([*MINE, f"{CSV}=short.csv"], "{cwd}/short.csv:3: 1 fields, the header has 2"),
    ([*MINE, f"{CSV}=empty.csv"], "{cwd}/empty.csv: the file has no rows"),
    ([*MINE, f"{CSV}=latin.csv"], "{cwd}/latin.csv:3: byte 0xfc is not UTF-8"),
    ([*MINE, "define.tasks.mine.text=[t]"], "{cwd}/good.csv:1: no column 't'"),
    (
        [*MINE, "define.tasks.mine.files.validation=range.csv"],
        "{cwd}/range.csv:3: label '2' is none of the labels in train; there are '0', '1'",
    ),
    (
        [*MINE, "tasks=[mine,sentiment]", f"{CSV}=range.csv"],
        "define.arms.naive_concat.label_space=shared needs tasks with equal numbers of labels "
        "(mine 3, sentiment 2)",
    ),
    # resources
    ([*PLAN, "resources.gpu=1"], "resources.gpu=1: this machine has no GPU"),
    ([*PLAN, "resources.cpu=9999"], "resources.cpu=9999: this machine has at most"),
    ([*PLAN, "training.precision=fp16"], "training.precision=fp16: needs GPUs"),
    ([*TRAIN, "training.precision=fp16"], "training.precision=fp16 needs a GPU"),
    ([*TRAIN, "device=cuda:1"], "device=cuda:1: this machine lacks that GPU (it has none)"),
    ([*TRAIN, "device=foo"], "device=foo: no such device; use auto, cpu, mps, cuda or cuda:N"),
    # files that a command is to use
    (["report", "none"], "none: no run directory (plan.json is missing)"),
    (["report", "file"], "file: no run directory (plan.json is missing)"),
    (["run", "demo", *SMALL, "--run-dir", "file"], "file: cannot be written (File exists)"),
    (["run", "demo", *SMALL, "--run-dir", "glue"], "glue: not empty and no run directory"),
    (["run", "demo", *SMALL, "data.cache_dir=file"], "file/tokens: the token cache cannot be"),
    ([*TRAIN, "--run-dir", "glue"], "glue: not empty and no run directory"),
    ([*TRAIN, "data.cache_dir=file"], "file/tokens: the token cache cannot be used"),
    ([*TRAIN, "log_file=glue"], "log_file=glue: no CSV file that can be written (it is no file)"),
    ([*TRAIN, "log_file=/dev/null"], "log_file=/dev/null: no CSV file that can be written"),
    ([*TRAIN, "log_file=file/x.csv"], "log_file=file/x.csv: no CSV file that can be written"),
    ([*TRAIN, "log_file=binary.yaml"], "log_file=binary.yaml: no CSV file that can be written"),
    ([*TRAIN, "resume_from=none"], "resume_from=none: no whole checkpoint"),
]


@pytest.fixture
def folder(tmp_path: Path, tiny_bert: Path) -> Path:
    """A working directory with damaged files of every kind."""
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "file").write_text("x")
    (tmp_path / "binary.yaml").write_bytes(b"\x00\xff")
    (tmp_path / "twice.yaml").write_text("name: a\nname: b\n")
    (tmp_path / "mine.yaml").write_text(
        "tasks: [mine]\nmodels: [minilm-l6]\n"
        "define: {tasks: {mine: {text: [s], files: {train: good.csv, validation: dev.csv}}}}\n"
    )
    (tmp_path / "good.csv").write_text("s,label\ngood,1\nbad,0\n")
    (tmp_path / "dev.csv").write_text("s,label\nfine,1\ndull,0\n")
    (tmp_path / "short.csv").write_text("s,label\ngood,1\nbad\n")
    (tmp_path / "empty.csv").write_text("s,label\n")
    (tmp_path / "latin.csv").write_bytes(b"s,label\ngood,1\n\xfc,0\n")
    (tmp_path / "range.csv").write_text("s,label\ngood,1\nworse,2\nbad,0\nfine,1\n")
    (tmp_path / "glue" / "CoLA").mkdir(parents=True)
    (tmp_path / "glue" / "CoLA" / "train.tsv").write_text("a\t1\t\tgood\nb\t0\t*\tbad\n")
    shutil.copytree(tiny_bert, tmp_path / "no_tokenizer")
    for file in (tmp_path / "no_tokenizer").glob("tokenizer*"):
        file.unlink()
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "message"), BAD, ids=[" ".join(a)[:60].replace("\n", " ") for a, _ in BAD]
)
def test_bad_input_is_one_line_and_exit_code_2(
    command: Command, folder: Path, arguments: list[str], message: str
) -> None:
    ended = command(*arguments)
    assert ended.err.startswith("error: " + message.replace("{cwd}", str(folder)))
    assert ended.err.count("\n") == 1
    assert ended.err.endswith("\n")
    assert len(ended.err) < 1010
    assert ended.out == ""
    assert ended.code == 2


def test_weights_with_another_checksum(
    command: Command, tiny_bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (source, encoders):
        monkeypatch.setattr(module, "embedded_folder", lambda alias: tiny_bert)
    ended = command("plan", "demo")
    assert ended.code == 2
    weights = tiny_bert / "model.safetensors"
    assert ended.err.startswith(f"error: define.models.minilm-l6.{weights}: SHA-256 is ")
    assert ended.err.count("\n") == 1


def test_no_run_directory_is_begun_on_bad_input(command: Command, folder: Path) -> None:
    before = {path.name for path in folder.iterdir()}
    assert command("run", "demo", "resources.gpu=1").code == 2
    assert command("run", "demo", "training.precision=fp16").code == 2
    assert command(*TRAIN, "device=cuda").code == 2
    assert {path.name for path in folder.iterdir()} == before


@pytest.mark.parametrize("arguments", [["nope"], ["plan"], ["plan", "demo", "--nope"]])
def test_unknown_commands_and_options(command: Command, arguments: list[str]) -> None:
    assert command(*arguments).code == 2


def test_plan_json_is_json_and_nothing_else(command: Command) -> None:
    ended = command("plan", "demo", "limits.max_train_examples=50", "training.epochs=4", "--json")
    trials = json.loads(ended.out)["trials"]
    assert (ended.code, ended.err) == (0, "")
    assert len(trials) == 20
    assert len({trial["key"] for trial in trials}) == 20
    assert {trial["expected_examples"] for trial in trials} == {200, 600}
    assert all(trial["resources"]["cpu"] >= 1 for trial in trials)
    single = next(trial for trial in trials if trial["strategy"] == "single_task")
    assert set(single) >= {"key", "arm", "model", "tasks", "seed", "resources", "cost"}


def test_plan_prints_every_trial(command: Command) -> None:
    ended = command("plan", "demo")
    trials = json.loads(command("plan", "demo", "--json").out)["trials"]
    assert ended.code == 0
    lines = [line.split() for line in ended.out.splitlines()]
    rows = [line for line in lines if line and line[0] in {trial["key"] for trial in trials}]
    assert [row[0] for row in rows] == [trial["key"] for trial in trials]
    for row, trial in zip(rows, trials, strict=True):
        task = trial["tasks"][0] if len(trial["tasks"]) == 1 else "all"
        assert row[1:5] == [trial["arm"], trial["model"], task, str(trial["seed"])]
        assert row[-1] == f"{trial['expected_examples']:,}"
    assert "20 trials, the longest first" in ended.out


def test_plan_writes_nothing(command: Command, tmp_path: Path) -> None:
    assert command("plan", "demo", *SMALL).code == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("setting", ["ray.dashboard=true", "ray.address=head:6379"])
def test_a_local_run_refuses_settings_of_a_ray_that_it_does_not_start(
    setting: str, command: Command, tiny_bert: Path, tmp_path: Path
) -> None:
    ended = command("run", "--local", *small_grid(tiny_bert, setting))
    key = setting.partition("=")[0]
    assert (ended.code, ended.err) == (
        2,
        f"error: {key}: a local run starts no Ray; leave it out, or leave out --local\n",
    )
    assert not (tmp_path / "runs").exists()


def test_an_interrupted_run_says_how_to_go_on(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Experiment, "run", interrupted)
    ended = command("run", "demo", "seeds=[1, 2]")
    assert ended.code == 130
    assert "finished trials are kept in runs/demo" in ended.err
    assert "continue with: python -m orchestrator run demo 'seeds=[1, 2]'" in ended.err


def test_report_tells_missing_and_failed_trials(
    command: Command, tmp_path: Path, tiny_bert: Path
) -> None:
    preset, *overrides = small_grid(tiny_bert)
    run_dir = RunDir(tmp_path / "run")
    settings, plan, resources = plan_of(preset, overrides)
    write_metadata(run_dir, settings, plan, resources)
    first, *others = plan.trials
    write_record(run_dir, record(Trial(first.key, first.config), status="failed", error="no luck"))
    ended = command("report", "run")
    assert ended.code == 1
    assert ended.err.splitlines() == [
        f"failed: {first.config.title}: no luck",
        *(f"no result: {trial.config.title}: not started" for trial in others),
    ]
    for trial in plan.trials:
        write_record(run_dir, record(Trial(trial.key, trial.config)))
    ended = command("report", "run")
    assert ended.code == 0
    [warning] = ended.err.splitlines()  # These records were written without any predictions.
    assert re.match(r"warning: run/predictions/\w+\.parquet \(and 2 more\): missing", warning)
    assert "run directory: run" in ended.out
    content = command("report", "run", "--json")
    assert (content.code, content.err) == (0, ended.err)
    assert content.out == run_dir.table("json").read_text()


def test_a_terminal_that_knows_few_characters_ends_no_command(
    tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = finished_grid(tmp_path / "run", tiny_bert).root
    screen = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", screen)
    with pytest.raises(SystemExit) as ending:
        main(["report", str(root)])
    screen.flush()
    shown = screen.buffer.getvalue().decode("ascii")
    assert ending.value.code == 0
    assert "single_task" in shown
    assert "?" in shown


def test_a_disk_that_fills_up_later_is_one_line_and_exit_code_1(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "a.tmp", None, "table.md")

    monkeypatch.setattr(report, "report", full)
    ended = command("report", "run")
    assert (ended.code, ended.err) == (1, "error: table.md: No space left on device\n")


def test_control_characters_are_shown_and_words_kept() -> None:
    assert one_line("a\tb\r\nü \x1b[0m") == "a\\tb\\r\\nü \\x1b[0m"
