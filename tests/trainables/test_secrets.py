"""Secrets of the environment are left out of what is written and shown."""

import pytest

from tests.helpers.records import record, trial
from trainables.secrets import has_credentials, redacted

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


CREDENTIALS = (
    "s3://KEY:SECRET@bucket/x",
    "s3://KEY:SEC/RET@bucket/x",
    "s3://KEY@bucket/x",
    "https://user@host:8265",
    "sftp://me:SECRET@host/x",
    "abfs://:SECRET@account.dfs.core.windows.net/container/x",
    "abfs://container@account.dfs.core.windows.net/x?client_secret=SECRET",
    "abfs://container@account.dfs.core.windows.net/x?sv=2025&sig=SECRET",
    "abfss://container@account.dfs.core.windows.net/x?Account_Key=SECRET",
    "s3://bucket/x?region=eu-west-1&secret_key=SECRET",
    "s3://bucket/x?access%5Fkey=SECRET",
    "postgresql://me:SECRET@[::1]:5432/runs",
    "http://host/x?PWD=SECRET",
)
PLAIN = (
    "/shared/runs/me@home",
    "runs/x",
    "s3://bucket/runs/me@home?region=eu-west-1&endpoint_override=host:9000&scheme=http",
    "gs://bucket/x?retry_limit_seconds=5",
    "abfs://container@account.dfs.core.windows.net/x?tenant_id=1",
    "sftp://me@host:22/x",
    "http://127.0.0.1:8265",
    "http://[::1]:8265/me@home",
    "sqlite:////shared/mlflow.db",
)


@pytest.mark.parametrize("address", CREDENTIALS)
def test_an_address_with_credentials_is_known_and_shown_without(address: str) -> None:
    assert has_credentials(address)
    assert "SEC" not in redacted(f"{address}: no answer")


@pytest.mark.parametrize("address", PLAIN)
def test_an_address_without_credentials_is_none_that_has(address: str) -> None:
    assert not has_credentials(address)


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
