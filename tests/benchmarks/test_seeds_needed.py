"""What so many seeds can show, on a few grids."""

import pytest

from benchmarks.seeds_needed import main


def test_more_and_quieter_seeds_show_more(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--grids", "6"])
    lines = [line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines()[2:]]
    widths = {(int(seeds), noise): float(width) for seeds, noise, width, *_ in lines}
    finds = {(int(seeds), noise): float(found) for seeds, noise, _, found, _ in lines}
    assert widths[3, "quiet"] > widths[5, "quiet"] > widths[10, "quiet"]
    assert all(widths[seeds, "noisy"] > widths[seeds, "quiet"] for seeds in (3, 5, 10))
    assert all(finds[case] > width for case, width in widths.items())
