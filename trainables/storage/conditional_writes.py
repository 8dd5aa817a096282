"""Conditional writes in S3, Google Cloud Storage and Azure: if-match and if-none-match.

obstore sends them; pyarrow, by which all else is read and written, has none. S3's credentials are
found by boto3, which looks where pyarrow's own library does (environment, profiles, roles); those
of Google and Azure by obstore (environment, the command line tools' login, a machine's identity).
"""

import errno
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from obstore.auth.boto3 import Boto3CredentialProvider
from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError
from obstore.store import AzureStore, GCSStore, S3Store
from pyarrow import fs

from trainables.storage.object_store import ANSWER_SECONDS, ATTEMPTS, CONNECT_SECONDS, Store
from trainables.storage.run_dir import PROBE
from trainables.storage.versioned_object import ObjectChangedError, StoredObject, Version

if TYPE_CHECKING:
    from obstore import ObjectMeta, PutResult
    from obstore.store import AzureConfig, S3Config

RETRY_SECONDS = 10.0
"""How long obstore tries again by itself."""

Bucket = S3Store | GCSStore | AzureStore


def conditional_object(store: Store, name: str) -> "ConditionalObject | None":
    """The object ``name``; None if the store has no conditional writes, or not for this machine.

    A server that speaks S3's protocol may take the conditions and not heed them, so that is tried
    with another object first.
    """
    try:
        bucket = open_bucket(store)
        conditional = ConditionalObject(bucket, store, name)
        conditional.read()
        if isinstance(bucket, S3Store) and not heeds_conditions(bucket, store):
            return None
    # pyarrow has reached the store, so what fails here is obstore's way to it, most often for want
    # of credentials that it can read. KeyError: pyarrow has another description of a file system.
    except (BaseError, OSError, ValueError, KeyError):
        return None
    return conditional


class ConditionalObject:
    """An object of a store that checks the condition of a write; see ``VersionedObject``.

    Args:
        bucket: the folder that it lies in, for reading and writing.
        store: the same, for removing.
        name: its name.
    """

    def __init__(self, bucket: Bucket, store: Store, name: str) -> None:
        self._bucket, self._store, self._name = bucket, store, name

    def read(self) -> StoredObject | None:
        """See ``VersionedObject.read``."""
        try:
            with self._errors():
                answer = self._bucket.get(self._name)
                content = bytes(answer.bytes())
        except FileNotFoundError:
            return None
        meta = answer.meta
        return StoredObject(content, version_of(meta), meta["last_modified"].timestamp())

    def write(self, content: bytes, expected: Version | None) -> Version:
        """See ``VersionedObject.write``."""
        mode: Any = "create" if expected is None else dict(expected)
        try:
            with self._errors():
                return version_of(self._bucket.put(self._name, content, mode=mode))
        except FileNotFoundError:
            # S3's answer to if-match where there is nothing to match.
            if expected is None:
                raise
            raise ObjectChangedError from None

    def remove(self, expected: StoredObject) -> None:
        """See ``VersionedObject.remove``.

        There is no conditional removal in obstore. So it is written once more before, which whoever
        looks at its age will see.
        """
        self.write(expected.content, expected.version)
        self._store.remove(self._name)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Raise this project's errors for those of obstore.

        Raises:
            ObjectChangedError: the condition does not hold, or another write is under way (409).
            FileNotFoundError: there is no such object.
            OSError: no usable answer.
        """
        try:
            yield
        except (AlreadyExistsError, PreconditionError) as error:
            raise ObjectChangedError from error
        except BaseError as error:
            # The first line says what is wrong; pages of detail follow.
            reason = str(error).partition("\n")[0][:300]
            raise OSError(errno.EHOSTDOWN, f"{self._name}: {reason}") from error


def version_of(meta: "PutResult | ObjectMeta") -> tuple[tuple[str, str], ...]:
    """What names an object's version in an answer: its ETag, and in Google's its generation.

    obstore takes no None among them.
    """
    parts = {"e_tag": meta["e_tag"], "version": meta["version"]}
    return tuple((key, value) for key, value in parts.items() if value is not None)


def heeds_conditions(bucket: Bucket, store: Store) -> bool:
    """Whether a store takes a write whose condition holds and refuses any other."""
    name = f"{PROBE}{uuid.uuid4().hex}"
    probe = ConditionalObject(bucket, store, name)
    try:
        first = probe.write(b"1", None)
        second = probe.write(b"2", first)
        return not any(_takes(probe, version) for version in (None, first)) and first != second
    except ObjectChangedError:
        return False
    finally:
        store.remove(name)


def _takes(probe: ConditionalObject, outdated: Version | None) -> bool:
    try:
        probe.write(b"3", outdated)
    except ObjectChangedError:
        return False
    return True


def open_bucket(store: Store) -> Bucket:
    """The folder of ``store`` as obstore sees it.

    Raises:
        ValueError: no credentials.
        obstore.exceptions.BaseError: obstore cannot use it.
        KeyError: pyarrow describes a file system of Azure in another way than expected.
    """
    name, _, prefix = store.base.partition("/")
    endpoint = _endpoint(store)
    settings = {
        "prefix": prefix,
        "client_options": {
            "connect_timeout": timedelta(seconds=CONNECT_SECONDS),
            "timeout": timedelta(seconds=ANSWER_SECONDS),
            "allow_http": (endpoint or "").startswith("http://"),
        },
        "retry_config": {
            "max_retries": ATTEMPTS - 1,
            "retry_timeout": timedelta(seconds=RETRY_SECONDS),
        },
    }
    filesystem = store.filesystem
    if isinstance(filesystem, fs.S3FileSystem):
        s3: S3Config = {"region": filesystem.region}
        if endpoint:
            s3["endpoint"] = endpoint
        credentials = Boto3CredentialProvider()
        return S3Store(name, config=s3, credential_provider=credentials, **settings)
    if isinstance(filesystem, fs.GcsFileSystem):
        return GCSStore(name, config={"base_url": endpoint} if endpoint else None, **settings)
    _, (description,) = filesystem.__reduce__()[:2]
    azure: AzureConfig = {
        "account_name": description["account_name"],
        "use_azure_cli": shutil.which("az") is not None,
    }
    return AzureStore(name, config=azure, **settings)


def _endpoint(store: Store) -> str | None:
    """The server's URL; None if it is the provider's own."""
    options = dict(parse_qsl(urlsplit(store.url).query))
    given = options.get("endpoint_override")
    if given is not None and "://" not in given:
        return f"{options.get('scheme', 'https')}://{given}"
    if given is None and store.scheme == "s3":
        return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    return given
