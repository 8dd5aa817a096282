"""The command ``tune``: what is refused, in one line and before anything is trained."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from orchestrator.config.search import TuneConfig, load_tuned_experiment
from orchestrator.run_dir.lock import hold_lock
from tests.helpers.command import Command
from tests.helpers.local_search import overrides, space_file, trained
from tests.orchestrator.config.test_experiment import another, at, leaves
from trainables.errors import ConfigError

FEW = ("tasks=[sentiment]", "arms=[single_task]", "tune.trials=2")

Refused = Callable[..., str]


@pytest.fixture
def refused(command: Command, tmp_path: Path) -> Refused:
    """Calls ``tune``, which refuses what it is given; gives the one line that it says."""

    def call(space: str, *overrides: str) -> str:
        ended = command("tune", "--local", "demo", space, *overrides)
        assert ended.code == 2
        assert ended.err.count("\n") == 1
        assert not (tmp_path / "runs").exists()
        return ended.err

    return call


VALUES = {
    "tune.trials": "7",
    "tune.grace": "0.3",
    "tune.reduction": "3",
    "tune.warm_start": "runs/before",
    "tune.max_hours": "1.5",
    "tune.rerank": "{top: 4, seeds: 3}",
}
"""Values for keys whose type alone does not tell a good one."""


@pytest.mark.parametrize(("key", "kind"), leaves(TuneConfig, "tune."))
def test_every_key_of_a_search_can_be_overridden(key: str, kind: Any) -> None:
    _, schedulers = TuneConfig.only_with.get(key.removeprefix("tune."), ("", ("asha",)))
    scheduler = f"tune.scheduler={schedulers[0]}"
    before = at(load_tuned_experiment("demo", "quick", [scheduler]).model_dump(mode="json"), key)
    value = VALUES.get(key) or another(key, kind, before)
    changed = load_tuned_experiment("demo", "quick", [scheduler, f"{key}={value}"])
    assert at(changed.model_dump(mode="json"), key) != before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["quik"], "space quik: unknown; did you mean quick?"),
        (["none.yaml"], "none.yaml: no such space file"),
        (["quick", "tune.trial=3"], "tune.trial: unknown key; did you mean trials?"),
        (["quick", "tune.trials=0"], "tune.trials: input should be greater than 0, not 0"),
        (["quick", "tune.scheduler=ahsa"], "tune.scheduler: input should be 'asha', 'hyperband'"),
        (["quick", "tune.search=tpe"], "tune.search: input should be 'random', 'sobol'"),
        (["quick", "tune.reduction=1.01"], "tune.reduction: input should be greater than or equal"),
        (["quick", "tune.grace=1"], "tune.grace: input should be less than 1, not 1"),
        (["quick", "tune.grace=nan"], "tune.grace: input should be "),
        (["quick", "tune.seed=-1"], "tune.seed: input should be greater than or equal to 0"),
        (["quick", "tune=3"], "tune: input should be an object, not 3"),
        (["quick", "--max-trials", "0"], "tune.max_trials: input should be greater than 0, not 0"),
        (["quick", "--max-hours", "0"], "tune.max_hours: input should be greater than 0, not 0"),
        (["quick", "--max-hours", "nan"], "tune.max_hours: input should be "),
        (["quick", "--max-hours", "inf"], "tune.max_hours: input should be "),
        (["quick", "--max-trials", "1", "tasks=[sentiment,paraphrase]"], "tune.max_trials=1: "),
        (["quick", "selection.enabled=never"], "selection.enabled=never: a search chooses on"),
        (["quick", "space={name: x}"], "space: unknown key; a space is the second argument"),
        (["quick", "--warm-start", "nowhere"], "tune.warm_start=nowhere: nowhere/search/search."),
        (["quick", "--plan", "--warm-start", "nowhere"], "tune.warm_start=nowhere: "),
        (["quick", "training.epoch=3"], "training.epoch: unknown key"),
    ],
)
def test_bad_input_is_one_line_before_anything_is_trained(
    arguments: list[str],
    message: str,
    command: Command,
    tiny_bert: Path,
    tmp_path: Path,
) -> None:
    space, *more = arguments
    ended = command("tune", "--local", "demo", space, *overrides(tiny_bert, *FEW), *more)
    assert ended.code == 2, ended
    assert ended.err.startswith(f"error: {message}"), ended.err
    assert ended.err.count("\n") == 1
    assert not (tmp_path / "runs").exists()


def test_a_space_that_fits_no_arm_is_one_line(
    command: Command, tiny_bert: Path, tmp_path: Path
) -> None:
    space = space_file(tmp_path, arm__sampling__exponent="{uniform: [0.0, 1.0]}")
    ended = command("tune", "--local", "demo", space, *overrides(tiny_bert, *FEW))
    assert ended.code == 2
    assert ended.err == (
        "error: space s: nothing of it is a setting of single_task tiny sentiment; give its arm a "
        "parameter, or leave the arm out\n"
    )


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"arm__weighting__name": "{choice: [equal, gradnorm]}"}, "gradnorm"),
        (
            {
                "arm__sampling__batch": "{choice: [joint]}",
                "training__batch_size": "{choice: [2, 8]}",
            },
            "define.arms.shared_encoder.sampling.batch=joint: 2 tasks share a batch, so "
            "training.batch_size must be at least 4, not 2",
        ),
        (
            {
                "arm__weighting__name": "{choice: [fixed]}",
                "arm__weighting__weights__sentimnt": "{choice: [0.5, 2.0]}",
            },
            "define.arms.shared_encoder.weighting.weights: sentimnt is not among the arm's tasks; "
            "did you mean sentiment?",
        ),
    ],
)
def test_settings_that_cannot_be_used_are_told_before_anything_is_trained(
    parameters: dict[str, str], told: str, refused: Refused, tiny_bert: Path, tmp_path: Path
) -> None:
    rate = "{log_uniform: [1.0e-4, 1.0e-3]}"
    space = space_file(tmp_path, training__learning_rate=rate, **parameters)
    arms = ("tasks=[sentiment,paraphrase]", "arms=[shared_encoder]", "tune.trials=8")
    settings = overrides(tiny_bert, *arms)
    for more in ((), ("--plan",)):
        line = refused(space, *settings, *more)
        assert line.startswith("error: space s: for shared_encoder tiny it proposes settings that")
        assert told in line


@pytest.mark.parametrize(
    ("condition", "told"),
    [
        ("arm: single_tsk", "when arm: single_tsk is unknown; did you mean single_task?"),
        ("arm: [single_task, 5]", "when arm: 5 is unknown; there are "),
        ("model: tny", "when model: tny is unknown; did you mean tiny?"),
        ("task: sentimant", "when task: sentimant is unknown; did you mean sentiment?"),
    ],
)
def test_a_condition_on_a_name_that_is_nowhere_is_one_line(
    condition: str, told: str, refused: Refused, tiny_bert: Path, tmp_path: Path
) -> None:
    space = space_file(
        tmp_path,
        training__learning_rate="{choice: [1.0e-4, 1.0e-3]}",
        training__warmup=f"{{uniform: [0.0, 0.1], when: {{{condition}}}}}",
    )
    line = refused(space, *overrides(tiny_bert, *FEW))
    assert line.startswith(f"error: space s: training.warmup: {told}")


def test_a_condition_may_name_an_arm_model_or_task_that_is_not_of_this_experiment(
    tiny_bert: Path, tmp_path: Path
) -> None:
    rate = "{choice: [1.0e-4], when: {arm: [shared_encoder, single_task], task: [cola, sentiment]}}"
    space = space_file(tmp_path, training__learning_rate=rate)
    assert load_tuned_experiment("demo", space, overrides(tiny_bert, *FEW))


def test_a_run_directory_is_of_one_command(
    command: Command, tiny_bert: Path, tmp_path: Path
) -> None:
    settings = overrides(tiny_bert, *FEW)
    assert command("tune", "--local", "demo", "quick", *settings, "--run-dir", "run").code == 0
    before = trained(tmp_path / "run")
    untuned = [text for text in settings if not text.startswith("tune.")]
    ended = command("run", "demo", *untuned, "--run-dir", "run")
    assert ended.code == 2
    assert "config.yaml: damaged, or of another command (tune: unknown key" in ended.err
    again = command(
        "tune", "--local", "demo", "quick", *settings, "tune.reduction=3", "--run-dir", "run"
    )
    assert again.code == 2
    assert "was made with tune.reduction=4.0, this is tune.reduction=3.0" in again.err
    other = command("tune", "--local", "demo", "bert", *settings, "--run-dir", "run")
    assert other.code == 2
    assert "was made with space." in other.err
    for refused in (ended, again, other):
        assert refused.err.count("\n") == 1
    with hold_lock(tmp_path / "run"):
        busy = command("tune", "--local", "demo", "quick", *settings, "--run-dir", "run")
    assert busy.code == 2
    assert "another command" in busy.err or "in use" in busy.err, busy.err
    assert trained(tmp_path / "run") == before
    # Nothing of that has harmed it, and it is reported as a search.
    told = command("report", "run")
    assert told.code == 0
    assert "Chosen settings" in told.out
    assert "single_task" in told.out

    plain = tmp_path / "plain"
    plain.mkdir()
    values = OmegaConf.to_container(OmegaConf.load(tmp_path / "run" / "config.yaml"))
    assert isinstance(values, dict)
    OmegaConf.save(
        {k: v for k, v in values.items() if k not in ("space", "tune")}, plain / "config.yaml"
    )
    ended = command("tune", "--local", "demo", "quick", *settings, "--run-dir", "plain")
    assert ended.code == 2
    assert "config.yaml: damaged, or of another command (space" in ended.err


def test_a_preset_may_say_how_it_is_tuned_but_not_in_which_space(tmp_path: Path) -> None:
    preset = tmp_path / "mine.yaml"
    preset.write_text("name: mine\ntune: {trials: 3}\n")
    assert load_tuned_experiment(str(preset), "quick", []).tune.trials == 3
    assert load_tuned_experiment(str(preset), "quick", ["tune.trials=5"]).tune.trials == 5
    preset.write_text("name: mine\nspace: quick\n")
    with pytest.raises(ConfigError, match=r"^space: unknown key; a space is the second argument"):
        load_tuned_experiment(str(preset), "quick", [])


def test_a_plan_shows_groups_and_runs_nothing(
    command: Command, tiny_bert: Path, tmp_path: Path
) -> None:
    ended = command("tune", "--local", "demo", "quick", *overrides(tiny_bert), "--plan")
    assert ended.code == 0
    for word in ("single_task tiny sentiment", "shared_encoder tiny", "macro", "learning_rate"):
        assert word in ended.out
    assert not (tmp_path / "runs").exists()


def test_a_plan_shows_the_comparison_and_its_looks(command: Command, tiny_bert: Path) -> None:
    def shown(*more: str) -> str:
        words = overrides(tiny_bert, "arms=[single_task,shared_encoder]", *more)
        return " ".join(command("tune", "--local", "demo", "quick", *words, "--plan").out.split())

    # Of each seed: a trial for each of two tasks, one for both, each at two settings.
    rounds = shown("seeds={until: decided, looks: [2, 5]}")
    assert "compared, at the preset's settings and tuned: 30 trials" in rounds
    assert "look 1 of 2: 2 seeds, 12 trials" in rounds
    assert "look 2 of 2: 5 seeds, 30 trials" in rounds
    assert "compared, tuned: 6 trials" in shown("seeds=[1, 2]", "tune.defaults=false")
    assert "look" not in shown("seeds=[1, 2]")
    assert "compared" not in shown("tune.refit=false")


def test_a_damaged_description_is_one_line_that_helps(
    command: Command, tiny_bert: Path, tmp_path: Path
) -> None:
    line = ("tune", "--local", "demo", "quick", *overrides(tiny_bert, *FEW), "--run-dir", "run")
    assert command(*line).code == 0
    before = trained(tmp_path / "run")
    search = tmp_path / "run" / "search" / "search.json"
    search.write_bytes(search.read_bytes()[:-40])
    for arguments in (line, ("report", "run")):
        ended = command(*arguments)
        assert ended.code == 2
        assert "search.json: missing or damaged; delete it and run the same command" in ended.err
    search.unlink()
    assert command(*line).code == 0
    assert command("report", "run").code == 0
    assert trained(tmp_path / "run") == before


def test_data_that_have_changed_since_are_one_line(
    command: Command, tiny_bert: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data.csv"
    rows = [
        f"the {word} film {number},{number % 2}" for word in ("good", "bad") for number in range(20)
    ]
    data.write_text("\n".join(["text,label", *rows]) + "\n")
    (tmp_path / "dev.csv").write_text("text,label\nthe fine film,0\nthe dull film,1\n")
    files = f"define.tasks.mine={{text: [text], files: {{train: {data}, validation: dev.csv}}}}"
    settings = overrides(tiny_bert, files, *FEW, "tasks=[mine]", "tune.refit=false")
    line = ("tune", "--local", "demo", "quick", *settings, "--run-dir", "run")
    assert command(*line).code == 0
    data.write_text(data.read_text().replace("film 3,1", "film 3,0"))
    ended = command(*line, "tune.trials=3")
    assert ended.code == 2
    assert "the data, an encoder's folder or the code has changed since" in ended.err
    assert ended.err.count("\n") == 1
