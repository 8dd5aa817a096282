"""Environment variables of any content: the plan, or one line about what is wrong."""

from pathlib import Path
from random import Random

import pytest
import wandb

from tests.helpers.command import SMALL, Command, tiny
from tests.helpers.fuzz_campaign import Campaign

NONSENSE = (
    "", " ", "0", "-1", "1", "x", "true", "99999999999999999999", "1e9", "none", "²", "٣",
    "/dev/null",
    "/dev/zero", "/proc/self/mem", "~nobody/x", "../../..", "a\nb", "\udcff", "x" * 5000,
    "local",
    "http://[", "ray://x:1", ":0", "offline", "online", "dryrun",
)  # fmt: skip
NAMES = (
    "GLUE_DIR", "ONE_OR_MANY_CACHE", "XDG_CACHE_HOME", "WANDB_MODE", "COLUMNS", "LINES", "TERM",
    "HF_HUB_OFFLINE", "OMP_NUM_THREADS", "RAY_ADDRESS", "NO_COLOR", "FORCE_COLOR",
    "TOKENIZERS_PARALLELISM", "CUDA_VISIBLE_DEVICES", "TZ", "LANG", "WANDB_API_KEY",
)  # fmt: skip


def test_any_environment_is_a_plan_or_a_clear_error(
    campaign: Campaign, command: Command, monkeypatch: pytest.MonkeyPatch, tiny_bert: Path
) -> None:
    def body(random: Random) -> bool:
        arguments = ["plan", "demo", tiny(tiny_bert), "models=tiny", *SMALL]
        if random.random() < 0.3:
            arguments[1:2] = ["quick", "tasks=cola"]
        if random.random() < 0.3:
            arguments.append("tracking.trackers=wandb")
        if random.random() < 0.3:
            arguments[0] = "run"
            arguments += ["resources.cpu=99999"]
        with monkeypatch.context() as patch:
            for name in random.sample(NAMES, 4):
                patch.setenv(name, random.choice(NONSENSE))
            # W&B keeps what it took from the environment for as long as the process lives.
            wandb.teardown()
            ended = command(*arguments)
        assert ended.code in (0, 2), ended
        assert "Traceback" not in ended.err
        assert ended.err.count("\n") == (ended.code == 2), ended.err
        return ended.code == 0

    campaign.draw("environment variables", 40, body)
