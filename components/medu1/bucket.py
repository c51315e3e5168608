"""Objects in S3, moved in parts by a few threads: the floor below `storage`, and the one place that knows boto3.

Outputs and checkpoints are folders with a marker that is written last, each in an order of its own; a bucket knows
neither. What boto3 raises becomes a Stop that says what a person can do.
"""

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from errno import EDQUOT, ENOSPC
from pathlib import Path
from threading import Lock, Thread
from typing import Any, BinaryIO, Final

from medu1.errors import Stop

PART: Final = 8 * 2**20  # bytes: a larger object moves in parts of this size, each retried on its own
UPLOADS: Final = 3  # parts sent at a time; they and two more lie in memory
DOWNLOADS: Final = 8  # parts fetched at a time
BLOCK: Final = 2**20  # bytes read from a connection at a time
BLOCKS: Final = 16  # read and not yet written
ATTEMPTS: Final = 3  # of one request, before its error counts
CONNECT_SECONDS: Final = 10
SILENCE_SECONDS: Final = 30  # without a byte, then the attempt counts as failed


class Absent(Stop):
    """The store answers, and has no such object."""


class Torn(Stop):
    """The store gives other bytes than those that were put there, or began to be read."""


class Bucket:
    """Objects by name below an S3 prefix, moved in parts by a few threads. Safe to use from several threads.

    A request is tried ATTEMPTS times and gives up on a silent connection, so each method ends. All raise Stop where a
    person can mend the cause: keys, rights, the bucket's name, its region, a store that is down. S3 checks each upload
    against the CRC-32 that boto3 sends with it (AWS_REQUEST_CHECKSUM_CALCULATION=when_required turns that off for a
    store that cannot); what is fetched is for the caller to check, by the SHA-256 that only the caller knows.
    """

    def __init__(self, url: str) -> None:
        """`url` is s3://bucket or s3://bucket/prefix; keys, region and endpoint come from the environment."""
        self.url = url.rstrip("/")
        self.name, _, self.prefix = self.url.removeprefix("s3://").partition("/")
        if not self.url.startswith("s3://") or not self.name:
            raise Stop(f"{url!r} is no object store.", "Only s3:// is known.", "Write s3://bucket/prefix.")
        self._moving: set[Any] = set()
        with _telling(self.url):
            self._client = _client()
            self._up, self._down = _transfers(self._client, UPLOADS), _transfers(self._client, DOWNLOADS)

    def at(self, name: str) -> str:
        """The address of an object."""
        return f"{self.url}/{name}"

    def upload(self, file: BinaryIO, name: str) -> None:
        """Send an open file, whose content outlives its name on the disk; at most UPLOADS + 2 parts lie in memory.

        An object is there whole or not at all. `file` is closed or not afterwards: its owner closes it.
        """
        with _telling(self.at(name)):
            self._wait(self._begin(self._up.upload(file, self.name, self._key(name))))

    def download(self, wanted: Mapping[str, Path]) -> Iterator[str]:
        """Fetch objects at once, to paths whose folders exist; yields each name, in the order asked, when it is whole.

        Raises Absent or Torn at the first one that is not there or not whole. Whoever stops asking ends the transfers
        that are left.
        """
        going = {}
        try:
            for name, path in wanted.items():
                going[name] = self._begin(self._down.download(self.name, self._key(name), str(path)))
            for name, transfer in going.items():
                with _telling(self.at(name)):
                    self._wait(transfer)
                yield name
        finally:
            for transfer in going.values():
                transfer.cancel()
                self._moving.discard(transfer)

    def read(self, name: str) -> bytes:
        """A small object. Raises Absent where there is none."""
        with _telling(self.at(name)):
            content: bytes = self._client.get_object(Bucket=self.name, Key=self._key(name))["Body"].read()
        return content

    def version(self, name: str) -> str:
        """What an object's content is told from another one by, its ETag. Raises Absent where there is none."""
        with _telling(self.at(name)):
            return str(self._client.head_object(Bucket=self.name, Key=self._key(name))["ETag"])

    def sizes(self, below: str) -> dict[str, int]:
        """The bytes of every object below a name, by the rest of its name."""
        start = self._key(below) + "/"
        with _telling(self.at(below)):
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=start)
            found = [each for page in pages for each in page.get("Contents", ())]
        return {each["Key"].removeprefix(start): each["Size"] for each in found}

    def delete(self, names: Iterable[str]) -> None:
        """Remove objects one by one in the order given; one that is not there is fine."""
        for name in names:
            with _telling(self.at(name)):
                self._client.delete_object(Bucket=self.name, Key=self._key(name))

    def cancel(self) -> None:
        """End the transfers in flight, which raise CancelledError where they are waited for."""
        for transfer in tuple(self._moving):
            transfer.cancel()

    def _begin(self, transfer: Any) -> Any:
        self._moving.add(transfer)
        return transfer

    def _wait(self, transfer: Any) -> None:
        try:
            transfer.result()
        finally:
            self._moving.discard(transfer)

    def _key(self, name: str) -> str:
        return f"{self.prefix}/{name}" if self.prefix else name


class _Threads:
    """An executor of daemon threads that live while there is work.

    Those of concurrent.futures are joined at exit, so an upload that hangs would keep a finished process alive.
    """

    def __init__(self, max_workers: int) -> None:
        self._most, self._alive = max_workers, 0
        self._tasks: deque[tuple[Future[Any], Callable[..., Any], tuple[Any, ...]]] = deque()
        self._lock = Lock()

    def submit(self, task: Callable[..., Any], *args: Any) -> Future[Any]:
        """Run a task in a thread, when one is free."""
        future: Future[Any] = Future()
        with self._lock:
            self._tasks.append((future, task, args))
            if self._alive < self._most:
                Thread(target=self._labour, name="transfer", daemon=True).start()
                self._alive += 1
        return future

    def _labour(self) -> None:
        while taken := self._take():
            future, task, args = taken
            try:
                future.set_result(task(*args))
            except BaseException as error:
                future.set_exception(error)
            del taken, future, task, args  # a part of a file among them

    def _take(self) -> tuple[Future[Any], Callable[..., Any], tuple[Any, ...]] | None:
        with self._lock:
            if self._tasks:
                return self._tasks.popleft()
            self._alive -= 1
            return None


def _client() -> Any:
    """An S3 client that gives up on a silent store; of a session of its own, as the default one is not thread-safe."""
    from boto3.session import Session
    from botocore.config import Config

    config = Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=SILENCE_SECONDS,
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        max_pool_connections=UPLOADS + DOWNLOADS + 1,
        # Asking for no checksums makes s3transfer 0.19 schedule parts from its request threads, bounded by those very
        # threads: eight files of a thousand parts in all wait for each other for ever.
        response_checksum_validation="when_supported",
        tcp_keepalive=True,
    )
    try:
        return Session().client("s3", config=config)
    except ValueError as error:
        raise Stop(f"The object store has no such address: {error}.", "", "Write AWS_ENDPOINT_URL as a URL.") from None


def _transfers(client: Any, threads: int) -> Any:
    """boto3's transfer manager, bounded in threads and memory."""
    from boto3.s3.transfer import TransferConfig, TransferManager

    config = TransferConfig(
        multipart_threshold=PART,
        multipart_chunksize=PART,
        max_concurrency=threads,
        max_io_queue=BLOCKS,
        io_chunksize=BLOCK,
        num_download_attempts=ATTEMPTS,
    )
    config.max_in_memory_upload_chunks = threads
    return TransferManager(client, config, executor_cls=_Threads)


@contextmanager
def _telling(url: str) -> Iterator[None]:
    """Turns what boto3 raises about an address into a Stop: Absent, Torn, or what a person can mend."""
    from botocore.exceptions import BotoCoreError, ClientError, FlexibleChecksumError
    from s3transfer.exceptions import RetriesExceededError, S3DownloadFailedError  # type: ignore[import-untyped]

    try:
        yield
    except ClientError as error:
        raise _answered(url, error) from None
    except S3DownloadFailedError:
        raise Torn(f"{url} is replaced while it is read.", "Another process writes there.", "Read again.") from None
    except FlexibleChecksumError as error:
        raise Torn(f"{url} is damaged: {error}.", "The store lost bits of it.", "Remove it and make it anew.") from None
    except RetriesExceededError as error:
        if getattr(error.last_exception, "errno", None) in DISK_FULL:  # s3transfer takes it for a socket's error
            raise error.last_exception from None
        raise _unreached(url, error.last_exception) from None
    except BotoCoreError as error:
        raise _unreached(url, error) from None


PASSWORD = re.compile(r"://[^/@\s]{1,500}@")  # in an endpoint's address
DISK_FULL = {ENOSPC, EDQUOT}
RIGHTS = "s3:GetObject, s3:PutObject, s3:DeleteObject, s3:AbortMultipartUpload on its objects and s3:ListBucket on it"
STALE = {"InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "RequestTimeTooSkewed"}
ELSEWHERE = {"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "301"}


def _answered(url: str, error: Any) -> Stop:
    """The error of a store that answers and does not do what it is asked."""
    code, message = error.response["Error"].get("Code", ""), error.response["Error"].get("Message", "")
    fact = f"The object store refuses {url} ({code}{message and ': '}{message.rstrip('.')})."
    if code in ("404", "NoSuchKey"):
        return Absent(f"There is no object {url}.", "It is not stored, or it is removed.", "Correct the address.")
    if code == "NoSuchBucket":
        fact = f"There is no bucket for {url}."
        return Stop(fact, "Its name is another, or it is not made.", "Correct MEDU1_STORE, or make the bucket.")
    if code in STALE:
        return Stop(fact, "The keys are not valid, or this machine's clock is wrong.", "Set keys that are valid.")
    if code in ELSEWHERE:
        return Stop(fact, "The bucket lies in another region.", "Set AWS_DEFAULT_REGION to the bucket's.")
    if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) in (401, 403):
        return Stop(fact, "The keys in the environment may not do this.", f"Allow them {RIGHTS}.")
    return Stop(fact, "It is overloaded, down, or unlike Amazon's.", "Try again later, or look into the store's log.")


def _unreached(url: str, error: Exception) -> Stop:
    """The error of a store that gives no answer, or is not asked at all."""
    from botocore.exceptions import ConnectionError as NoConnection
    from botocore.exceptions import HTTPClientError, IncompleteReadError, ParamValidationError

    said = PASSWORD.sub("://", str(error)).rstrip(".")
    fact = f"{url} cannot be reached: {said}."
    if isinstance(error, ParamValidationError):
        return Stop(fact, "No bucket or object has such a name.", "Correct the address.")
    if isinstance(error, OSError | NoConnection | HTTPClientError | IncompleteReadError):
        return Stop(fact, "The store is down, or the address is another.", "Check AWS_ENDPOINT_URL and the network.")
    return Stop(
        fact,
        "Access to an object store comes from the environment.",
        "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and AWS_ENDPOINT_URL where the store is not Amazon's.",
    )
