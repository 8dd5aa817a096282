"""A server on this machine that speaks S3's protocol, and what lies in it."""

import logging
import os
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest
from pyarrow import fs

from trainables.storage.object_store import Store

NewBucket = Callable[[], str]
"""Makes an empty bucket and gives its URL."""

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_DEFAULT_REGION": "us-east-1",
}


@pytest.fixture(scope="session")
def s3() -> Iterator[NewBucket]:
    """An S3 server (moto's), as long as the tests run; other processes reach it too."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in CREDENTIALS.items():
            patch.setenv(name, value)
        server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        server.start()
        host, port = server.get_host_and_port()
        number = count()

        def new_bucket() -> str:
            name = f"bucket-{next(number)}-{os.getpid()}"
            maker = fs.S3FileSystem(
                endpoint_override=f"{host}:{port}", scheme="http", allow_bucket_creation=True
            )
            maker.create_dir(name)
            return f"s3://{name}/runs/one?endpoint_override={host}:{port}&scheme=http"

        yield new_bucket
        server.stop()


def fetch_all(url: str, folder: Path) -> Path:
    """A copy of all that lies in an object store's folder, as a run directory on the disk."""
    store = Store(url)
    for name, seen in store.files().items():
        store.download(name, folder / name, seen)
    return folder
