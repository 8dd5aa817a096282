"""What Prometheus sees of a run, and what of it a query takes."""

import json
import re
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from tests.helpers.ray_grid import session_processes


def scraped(session: int) -> list[Sample]:
    """All samples of all targets that the Ray of a session names for Prometheus."""
    names = " ".join(session_processes(session).values())
    [folder] = set(re.findall(r"/[^ :=]*/ray/session_[\d_-]+", names))
    file = Path(folder) / "prom_metrics_service_discovery.json"
    samples = []
    for group in json.loads(file.read_text(encoding="utf-8")):
        for target in group["targets"]:
            # A server that is not up, as the autoscaler's here, is one without samples.
            with suppress(URLError), urlopen(f"http://{target}/metrics", timeout=20) as answer:
                families = text_string_to_metric_families(answer.read().decode())
                samples += [sample for family in families for sample in family.samples]
    return samples


def trials(samples: list[Sample]) -> set[str]:
    """Keys of the trials that have an epoch."""
    return {s.labels["trial"] for s in samples if s.name == "ray_one_or_many_epoch"}


def matching(selector: Any, samples: list[Sample]) -> list[Sample]:
    """The samples that a selector of ``promql_parser`` takes."""

    def fits(sample: Sample, matcher: Any) -> bool:
        value = sample.labels.get(matcher.name, "")
        operator = str(matcher.op).rpartition(".")[2]
        equal = value == matcher.value
        found = re.fullmatch(matcher.value, value) is not None
        return {"Equal": equal, "NotEqual": not equal, "Re": found, "NotRe": not found}[operator]

    return [
        sample
        for sample in samples
        if sample.name == selector.name
        and all(fits(sample, matcher) for matcher in selector.matchers.matchers)
    ]
