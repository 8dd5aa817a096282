"""Secrets of the environment are left out of what is written and shown."""

import pytest

from tests.records import record, trial
from trainables.secrets import redacted

SECRETS = {
    "WANDB_API_KEY": "0123456789abcdef" * 2,
    "HF_TOKEN": "hf_PlantedToken",
    "HUGGING_FACE_HUB_TOKEN": "hf_PlantedTokenAndMore",
    "RAY_AUTH_TOKEN": "c0ffee" * 10,
    "AWS_SECRET_ACCESS_KEY": "/wJalr+XUtnFEMI/K7MDENG",
    "my_db_password": "correct horse",
}


@pytest.fixture(autouse=True)
def planted(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("name", SECRETS)
def test_the_value_of_a_secret_is_left_out(name: str) -> None:
    assert redacted(f"401: {SECRETS[name]}, log in again") == "401: ***, log in again"


def test_a_record_keeps_no_secret() -> None:
    text = f"no access with {SECRETS['HF_TOKEN']}"
    assert record(trial(), status="failed", error=text).error == "no access with ***"


def test_user_and_password_in_an_address_are_left_out() -> None:
    assert redacted("at https://me:pass@host/x and http://h/a@b") == (
        "at https://***@host/x and http://h/a@b"
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RAY_AUTH_TOKEN_PATH", "/run/secrets/ray"),
        ("TOKENIZERS_PARALLELISM", "false-ish"),
        ("WANDB_API_KEY", "key"),
        ("HOME", "/home/somebody"),
    ],
)
def test_what_is_no_secret_stays(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    assert redacted(f"about {value} and more") == f"about {value} and more"
