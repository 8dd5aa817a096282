"""Write the picture of a report: ``python -m tools.report_image RUN_DIR [FILE]``.

It shows the page from the answer to the forest plot. The page is made anew, without any text of the
data. The README's was made of a run of ``quick`` on GLUE; needs Chromium.
"""

import argparse
import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from orchestrator.commands.report import report
from tools.browser import chromium
from trainables.storage.run_dir import RunDir

PROJECT = Path(__file__).resolve().parents[1]
IMAGE = PROJECT / "docs" / "images" / "report.png"
WIDTH = 1200
SCALE = 1.25
"""Pixels of the picture for one of the page."""


def write_image(page: Path, image: Path) -> None:
    """Write a picture of a report's page.

    Args:
        page: ``report.html``.
        image: the PNG file.

    Raises:
        MissingBrowserError: there is no browser.
    """
    with chromium() as browser:
        opened = browser.new_page(
            viewport={"width": WIDTH, "height": 800},
            device_scale_factor=SCALE,
            color_scheme="light",
        )
        opened.goto(page.resolve().as_uri())
        box = opened.locator("#differences .charts").bounding_box()
        assert box is not None, "the page has a forest plot"
        clip = {"x": 0, "y": 0, "width": WIDTH, "height": box["y"] + box["height"]}
        shot = opened.screenshot(clip=clip, full_page=True)  # type: ignore[arg-type]
    # A page has few colours: a third of the bytes show the same.
    with Image.open(io.BytesIO(shot)) as colours:
        colours.convert("RGB").quantize(256).save(image, optimize=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the report anew and its picture."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run_dir", type=Path)
    parser.add_argument("file", type=Path, nargs="?", default=IMAGE)
    options = parser.parse_args(arguments)
    report(options.run_dir, texts=False)
    write_image(RunDir(options.run_dir).report, options.file)
    print(f"wrote {options.file}")


if __name__ == "__main__":
    main()
