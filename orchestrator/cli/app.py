"""The command line: ``python -m orchestrator COMMAND``."""

import io
import json
import sys
import warnings
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.console import (
    echo,
    finish,
    finish_comparison,
    finish_tuning,
    hint_on_interrupt,
    make_console,
    one_line,
    print_export,
    print_measured_cost,
    print_submission,
    show_warning,
)
from orchestrator.cli.predict import predict
from orchestrator.cli.serve import serve
from orchestrator.cli.submit import submit
from trainables.atomic import write_text
from trainables.errors import InputError, OneOrManyError

app = typer.Typer(
    help="Can one multi-task model replace many single-task ones? "
    "Exit codes: 0 all done, 1 a trial failed, 2 bad input, 130 interrupted.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Preset = Annotated[str, typer.Argument(help="demo, quick, full ... or a .yaml file")]
Overrides = Annotated[
    list[str] | None, typer.Argument(help="key=value, for example training.epochs=4 seeds=[1,2]")
]
Dashboard = Annotated[
    bool, typer.Option("--dashboard", help="start Ray's dashboard (ray.dashboard=true)")
]
Local = Annotated[
    bool,
    typer.Option(
        "--local",
        help="run the trials in this process, without Ray: one at a time (or "
        "resources.max_concurrent that take turns), no cluster, no dashboard, and no restart of "
        "a trial whose process is killed: the same command resumes",
    ),
]
RunDir = Annotated[
    str | None, typer.Option(help="run directory, or its URL (default: runs/PRESET)")
]

Cost = Annotated[
    bool, typer.Option("--cost", help="then measure what the models cost to deploy (see cost)")
]
AsJson = Annotated[bool, typer.Option("--json", help="for machines")]


@app.command()
def plan(
    preset: Preset,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Print the trials that a preset expands to; nothing runs."""
    from orchestrator.config.experiment import load_experiment

    config = load_experiment(preset, overrides or [])
    from orchestrator.commands.plan import plan_json, print_plan

    if as_json:
        print(plan_json(config))
    else:
        print_plan(config, make_console())


@app.command()
def run(
    preset: Preset,
    overrides: Overrides = None,
    run_dir: RunDir = None,
    dashboard: Dashboard = False,
    local: Local = False,
    cost: Cost = False,
) -> None:
    """Run a preset's trials with Ray Tune, then print the comparison table."""
    from orchestrator.config.experiment import load_experiment

    overrides = [*(overrides or []), *(["ray.dashboard=true"] if dashboard else [])]
    config = load_experiment(preset, overrides)
    from orchestrator.commands.experiment import Experiment

    experiment, console = Experiment(config), make_console()
    where = run_dir or experiment.default_run_dir
    with hint_on_interrupt(where):
        outcome = experiment.run(where, local=local, console=console, cost=cost)
    finish(console, where, outcome)


@app.command()
def tune(
    preset: Preset,
    space: Annotated[str, typer.Argument(help="small, bert, methods ... or a .yaml file")],
    overrides: Overrides = None,
    run_dir: Annotated[
        str | None, typer.Option(help="run directory, or its URL (default: runs/PRESET-SPACE)")
    ] = None,
    max_hours: Annotated[
        float | None, typer.Option(help="end the search then, with the best so far")
    ] = None,
    max_trials: Annotated[
        int | None, typer.Option(help="of all groups together (tune.max_trials)")
    ] = None,
    warm_start: Annotated[
        str | None,
        typer.Option(help="run directory of an earlier search that counts, or its URL"),
    ] = None,
    dashboard: Dashboard = False,
    local: Local = False,
    cost: Cost = False,
    show: Annotated[
        bool, typer.Option("--plan", help="print what would be searched; nothing runs")
    ] = False,
) -> None:
    """Search good settings for every arm in equally many trials, and compare the arms with them."""
    from orchestrator.config.search import load_tuned_experiment

    overrides = [*(overrides or []), *(["ray.dashboard=true"] if dashboard else [])]
    options = {"max_hours": max_hours, "max_trials": max_trials, "warm_start": warm_start}
    for name, value in options.items():
        if value is not None:
            overrides.append(f"tune.{name}={json.dumps(str(value)) if name[0] == 'w' else value}")
    config = load_tuned_experiment(preset, space, overrides)
    from orchestrator.commands.tune import TunedExperiment

    experiment, console = TunedExperiment(config), make_console()
    if show:
        from orchestrator.commands.tune_preview import print_preview

        print_preview(console, experiment.plan())
        return
    where = run_dir or experiment.default_run_dir
    with hint_on_interrupt(where):
        outcome = experiment.run(where, local=local, console=console, cost=cost)
    finish_tuning(console, where, outcome)


@app.command()
def report(
    run_dir: Annotated[str, typer.Argument(help="a run directory, or its URL")],
    no_texts: Annotated[
        bool,
        typer.Option("--no-texts", help="report.html shows row numbers, and no text of the data"),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make the table and report of a run directory again from its records and print the table."""
    from orchestrator.run_dir.remote import has_search, run_dir_at

    console = make_console()
    opened = run_dir_at(run_dir)
    if has_search(opened):
        # Imports torch, which takes seconds that the report of a grid saves.
        from orchestrator.commands.tune_report import report_tuning

        finish_tuning(console, run_dir, report_tuning(opened, texts=not no_texts), as_json=as_json)
    else:
        from orchestrator.commands.report import report as make_report

        finish(console, run_dir, make_report(opened, texts=not no_texts), as_json=as_json)


@app.command()
def cost(
    run_dir: Annotated[str, typer.Argument(help="a run directory, or its URL")],
    device: Annotated[
        str, typer.Option(help="auto (a GPU where there is one), cpu, cuda or cuda:N")
    ] = "auto",
    threads: Annotated[int | None, typer.Option(help="CPU threads (default: all CPUs)")] = None,
    seconds: Annotated[
        float, typer.Option(help="about how long requests are made; loading comes on top")
    ] = 60.0,
    as_json: Annotated[bool, typer.Option("--json", help="print cost.json")] = False,
) -> None:
    """Measure what each arm's models cost to deploy: size, memory, latency, texts a second."""
    from orchestrator.commands.cost import measure_cost

    # Progress would come between the lines of the JSON.
    console = make_console()
    shown = None if as_json else console
    made = measure_cost(run_dir, device=device, threads=threads, seconds=seconds, console=shown)
    if as_json:
        print(made.cost.model_dump_json(indent=1))
    else:
        print_measured_cost(console, run_dir, made)


@app.command()
def compare(
    run_dirs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN_DIR RUN_DIR ...",
            help="two or more run directories, or their URLs; margins.macro=1 among them replaces "
            "a stored margin",
        ),
    ],
    out: Annotated[
        str | None, typer.Option(help="folder for results.csv and table.*; without it none")
    ] = None,
) -> None:
    """Compare several run directories whose data and protocol agree, in one table."""
    from orchestrator.commands.compare import compare as compare_all
    from orchestrator.commands.compare import margins_and_places

    margins, places = margins_and_places(run_dirs)
    outcome = compare_all(places, out, margins)
    finish_comparison(make_console(), out, outcome)


@app.command()
def checklist(
    run_dir: Annotated[str, typer.Argument(help="a run directory, or its URL")],
    as_json: Annotated[bool, typer.Option("--json", help="for machines")] = False,
    out: Annotated[Path | None, typer.Option(help="file to write; without it, print")] = None,
) -> None:
    """Fill in reproducibility checklists (ACL, NeurIPS, Pineau) from the records."""
    from orchestrator.commands.checklist import checklist as fill_in

    text = fill_in(run_dir, as_json=as_json)
    if out is None:
        print(text, end="")
    else:
        write_text(out, text)
        print(f"wrote {out}")


@app.command()
def submission(
    run_dir: Annotated[str, typer.Argument(help="a run directory, or its URL")],
    arm: Annotated[str, typer.Option(help="the arm")],
    out: Annotated[str, typer.Option(help="the folder to write; empty or not there yet")],
    model: Annotated[str | None, typer.Option(help="the model, where there are several")] = None,
    seed: Annotated[int | None, typer.Option(help="the seed (default: the first)")] = None,
    tuned: Annotated[
        bool, typer.Option("--tuned", help="with the settings that a search found")
    ] = False,
    zipped: Annotated[bool, typer.Option("--zip", help="write submission.zip too")] = False,
) -> None:
    """Write GLUE's submission files (needs training.predict_test=true or save_models=true)."""
    from orchestrator.commands.submission import submission as submit_to_glue

    made = submit_to_glue(run_dir, arm, out, model=model, seed=seed, tuned=tuned, zipped=zipped)
    print_submission(made)


@app.command()
def export(
    run_dir: Annotated[str, typer.Argument(help="a run directory, or its URL")],
    arm: Annotated[str, typer.Option(help="the arm")],
    out: Annotated[str, typer.Option(help="the folder to write; empty or not there yet")],
    format: Annotated[
        str,
        typer.Option(help="bundle, transformers (a checkpoint for each task), onnx or onnx-int8"),
    ] = "bundle",
    model: Annotated[str | None, typer.Option(help="the model, where there are several")] = None,
    seed: Annotated[int | None, typer.Option(help="the seed (default: the first)")] = None,
    tuned: Annotated[
        bool, typer.Option("--tuned", help="with the settings that a search found")
    ] = False,
    task: Annotated[str | None, typer.Option(help="one task alone (default: all)")] = None,
    push_to_hub: Annotated[
        str | None, typer.Option(help="upload it to this repository of the Hugging Face Hub")
    ] = None,
    private: Annotated[
        bool, typer.Option("--private", help="a repository that is new is private")
    ] = False,
) -> None:
    """Write trained models as folders to deploy, checked answer by answer (save_models=true)."""
    from orchestrator.commands.export import export as export_arm

    console = make_console()
    made = export_arm(
        run_dir,
        arm,
        out,
        format=format,
        model=model,
        seed=seed,
        tuned=tuned,
        task=task,
        push_to_hub=push_to_hub,
        private=private,
        console=console,
    )
    print_export(console, made)


@app.command()
def watch(
    run_dir: Annotated[str, typer.Argument(help="a run directory, here or mounted, or its URL")],
    once: Annotated[bool, typer.Option("--once", help="show how it stands now, and end")] = False,
) -> None:
    """Follow an experiment from another terminal or machine; writes nothing."""
    from orchestrator.commands.watch import follow
    from orchestrator.run_dir.remote import followed

    folder, fetch = followed(run_dir)
    raise typer.Exit(follow(folder, make_console(), once=once, fetch=fetch, where=run_dir))


@app.command()
def train(
    arm: Annotated[str, typer.Argument(help="single_task, naive_concat, shared_encoder ...")],
    overrides: Overrides = None,
    run_dir: Annotated[
        str | None, typer.Option(help="folder or URL to leave it in (default: runs/train/KEY)")
    ] = None,
) -> None:
    """Train ONE trial in this process, without Ray."""
    from orchestrator.config.experiment import load_single_trial

    single = load_single_trial(arm, overrides or [])
    from orchestrator.commands.train import train as train_one

    console = make_console()
    try:
        record, opened = train_one(arm, single, run_dir, console)
    except KeyboardInterrupt:
        echo("interrupted")
        raise typer.Exit(130) from None
    console.print(
        f"record {opened.display_path(opened.record(record.key))}", markup=False, soft_wrap=True
    )
    if single.save_model:
        model = opened.display_path(opened.model(record.key))
        console.print(f"model  {model}", markup=False, soft_wrap=True)


app.command()(submit)
app.command()(predict)
app.command()(serve)


@app.command()
def convert(
    encoder: Annotated[str, typer.Argument(help="a folder, or a model on the Hub")],
    folder: Annotated[Path, typer.Argument(help="the folder to write; must not exist")],
    revision: Annotated[str | None, typer.Option(help="branch, tag or commit on the Hub")] = None,
) -> None:
    """Write an encoder that has only pytorch_model.bin anew, with safetensors."""
    from orchestrator.commands.convert import convert_encoder

    info = convert_encoder(encoder, folder, revision)
    print(f"wrote {folder}: {info.num_layers} layers, {info.parameters:,} parameters")


def main(arguments: list[str] | None = None) -> None:
    """Run the command line (``sys.argv`` where none is given); every expected error is one line."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that does not know a character shows another one; no work ends for that.
            stream.reconfigure(errors="replace")
    warnings.showwarning = show_warning
    try:
        app(arguments)
    except InputError as error:
        echo(f"error: {one_line(error)}")
        sys.exit(2)
    except OneOrManyError as error:
        echo(f"error: {one_line(error)}")
        sys.exit(1)
    except OSError as error:
        # A renamed temporary file comes first, the file that was meant second.
        name = error.filename2 or error.filename
        name = f"{name}: " if name else ""
        echo(f"error: {one_line(f'{name}{error.strerror or error}')}")
        sys.exit(1)
    except KeyboardInterrupt:
        echo("interrupted")
        sys.exit(130)
