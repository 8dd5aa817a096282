"""A small folder in the layout of GLUE's download, with test files without labels."""

from pathlib import Path

TESTS = {"CoLA": 5, "RTE": 4, "STS-B": 3, "MNLI-m": 3, "MNLI-mm": 2, "AX": 2}
"""File of a submission -> test examples."""

MNLI_LABELS = ("entailment", "neutral", "contradiction")


def write_glue(root: Path, train: int = 12) -> Path:
    """CoLA, RTE, STS-B and MNLI; ``train`` examples of each, half as many of validation."""
    for split, size in (("train", train), ("dev", train // 2)):
        lines = [f"x\t{i % 2}\t\t{split} {'left ' * (i % 2)}the room {i}." for i in range(size)]
        _write(root / "CoLA" / f"{split}.tsv", lines)
        lines = [
            f"{i}\t{split} one {i}.\t{'No ' * (i % 2)}two.\t{'not_' * (i % 2)}entailment"
            for i in range(size)
        ]
        _write(root / "RTE" / f"{split}.tsv", ["index\tsentence1\tsentence2\tlabel", *lines])
        lines = [f"{i}\t{split} a {i}.\t{'b ' * (i % 6)}.\t{i % 6}.0" for i in range(size)]
        _write(root / "STS-B" / f"{split}.tsv", ["index\tsentence1\tsentence2\tscore", *lines])
    for file, size in (("train", train), ("dev_matched", 6), ("dev_mismatched", 6)):
        lines = [f"{i}\t{file} a {i}.\tb {i % 3}.\t{MNLI_LABELS[i % 3]}" for i in range(size)]
        _write(root / "MNLI" / f"{file}.tsv", ["index\tsentence1\tsentence2\tgold_label", *lines])
    lines = [f'{i}\tShe "left {i}.' for i in range(TESTS["CoLA"])]
    _write(root / "CoLA" / "test.tsv", ["index\tsentence", *lines])
    for name, file in (
        ("RTE", "RTE/test.tsv"),
        ("STS-B", "STS-B/test.tsv"),
        ("MNLI-m", "MNLI/test_matched.tsv"),
        ("MNLI-mm", "MNLI/test_mismatched.tsv"),
        ("AX", "diagnostic/diagnostic.tsv"),
    ):
        lines = [f"{i}\tfirst {i}\tsecond {name}" for i in range(TESTS[name])]
        _write(root / file, ["index\tsentence1\tsentence2", *lines])
    return root


def _write(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
