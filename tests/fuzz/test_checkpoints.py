"""Checkpoints of any content: the state that was kept, an older one, or none; never another."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
import torch

from tests.helpers.fuzz_campaign import Campaign
from tests.helpers.fuzz_damage import REPLACED, damaged, damaged_json, remove, replace
from tests.helpers.trials import runtime, trial_config
from trainables.config.trial import TrialConfig
from trainables.training.checkpoint import save_checkpoint
from trainables.training.loop import TrainingLoop
from trainables.training.restore import load_newest
from trainables.trial.trial import Trial


class Kept:
    """A trial with two checkpoints, and loops into which they can be loaded."""

    def __init__(self, folder: Path, encoder: Path) -> None:
        self.config: TrialConfig = trial_config("single_task", encoder, keep="best")
        self.folder = folder / "checkpoints"
        self.trial = Trial(self.config, runtime(folder))
        loop = self.loop = self.trial._prepare()
        self.states: dict[str, list[str]] = {}
        for step, _ in enumerate(loop.run(), 1):
            if step in (2, 7):
                path = save_checkpoint(self.folder, self.config.key, loop)
                self.states[path.name] = fingerprint(loop)
            if step == 7:
                break


def fingerprint(loop: TrainingLoop) -> list[str]:
    """All of a loop's state: weights, optimiser, best weights and the rest, each as a checksum."""
    weights = [value.numpy().tobytes() for value in loop.model.state_dict().values()]
    moments = [
        value.numpy().tobytes() if isinstance(value, torch.Tensor) else value
        for part in loop.stateful["optimizer"].state_dict()["state"].values()
        for value in part.values()
    ]
    best = loop.best_weights and {k: v.numpy().tobytes() for k, v in loop.best_weights.items()}
    parts = (weights, moments, best and sorted(best.items()), loop.state)
    return [hashlib.sha256(repr(part).encode()).hexdigest() for part in parts]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory, tiny_bert: Path) -> Kept:
    return Kept(tmp_path_factory.mktemp("kept"), tiny_bert)


def fuzz(campaign: Campaign, kept: Kept, folder: Path, cases: int, damage: Callable) -> None:
    start = kept.trial._prepare()

    def body(random: Random) -> bool:
        remove(folder)
        shutil.copytree(kept.folder, folder)
        paths = sorted(path for path in folder.glob("*/*"))
        for path in random.sample(paths, random.choice((1, 1, 2, 4))):
            damage(random, path)
        loaded = load_newest(folder, kept.config.key, start)
        if loaded is not None:
            assert fingerprint(start) == kept.states[loaded.name]
        return loaded is not None

    campaign.draw("checkpoints", cases, body)


def test_any_damage_costs_at_most_the_work_since_the_checkpoint_before(
    campaign: Campaign, kept: Kept, tmp_path: Path
) -> None:
    def damage(random: Random, path: Path) -> None:
        if random.random() < 0.2:
            replace(path, random.choice(list(REPLACED)))
        elif path.suffix == ".json" and random.random() < 0.5:
            path.write_bytes(damaged_json(random, path.read_bytes()))
        else:
            path.write_bytes(damaged(random, path.read_bytes()))

    fuzz(campaign, kept, tmp_path / "copy", 200, damage)


def test_a_manifest_that_was_made_to_fit_the_damage_is_no_way_in(
    campaign: Campaign, kept: Kept, tmp_path: Path
) -> None:
    """Whoever makes the checksums right can put any state in; but the trial does not crash."""
    from trainables.training import checkpoint

    start = kept.trial._prepare()
    folder = tmp_path / "copy"

    def body(random: Random) -> bool:
        remove(folder)
        shutil.copytree(kept.folder, folder)
        newest = max(folder.iterdir())
        path = random.choice([p for p in sorted(newest.iterdir()) if p.name != "manifest.json"])
        change = damaged_json if path.suffix == ".json" and random.random() < 0.7 else damaged
        path.write_bytes(change(random, path.read_bytes()))
        manifest = json.loads((newest / "manifest.json").read_text())
        manifest["sha256"][path.name] = checkpoint._sha256(path)
        (newest / "manifest.json").write_text(json.dumps(manifest))
        return load_newest(folder, kept.config.key, start) == newest

    campaign.draw("checkpoints: checksums made to fit", 150, body)
