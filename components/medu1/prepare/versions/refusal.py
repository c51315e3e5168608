"""What a remote's refusal means: DVC's words beside a reason and a next step, without a password in any of them."""

import re
from typing import NamedTuple

from medu1.errors import Stop

USERINFO = re.compile(r"://[^/@\s]+@")  # user, or user:password, in a URL


class Reason(NamedTuple):
    """One way a remote refuses."""

    sign: str  # a pattern of DVC's words, or of the libraries below it
    reason: str
    next_step: str


REASONS = (
    Reason(
        "Unable to locate credentials|Partial credentials|NoCredentials",
        "No credentials are in the environment.",
        "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE; keys in a DVC configuration are not read.",
    ),
    Reason(
        "HTTPUnauthorized|AuthError|asyncssh|PermissionDenied: ",
        "The git host asks who is there.",
        "Give git's credentials where the data is read: a credential helper or GIT_ASKPASS for https, a key for ssh.",
    ),
    Reason(
        "InvalidAccessKeyId|SignatureDoesNotMatch|ExpiredToken|Access ?Denied|Forbidden|Unauthorized|PermissionError",
        "The credentials in the environment do not allow it.",
        "Correct them, or ask for access.",
    ),
    Reason(
        "NoSuchBucket|bucket does not exist|InvalidBucketName|Invalid bucket name",
        "There is no such bucket.",
        "Correct the URL, or create the bucket.",
    ),
    Reason(
        "Could not connect|Connect timeout|Connection refused|Cannot connect|Connect call failed|Connection reset"
        "|Name or service not known|name resolution|getaddrinfo",
        "Nobody answers there.",
        "Correct the URL (an object store also has AWS_ENDPOINT_URL), or run again when it is up.",
    ),
    Reason(
        "No space left on device|Disk quota exceeded",
        "The disk is full.",
        "Free space and run again: what is already fetched is kept.",
    ),
    Reason(
        "cannot be cloned|Failed to clone|NotGitRepository",
        "The git repository cannot be read.",
        "Correct its URL, or the access to it.",
    ),
    Reason(
        "unknown Git revision|RevError", "There is no such revision.", "Name a commit, tag or branch that is there."
    ),
    Reason(
        r"KeyError: \(?'data\.dvc'|FileNotFoundError: data\.dvc",
        "There is no data.dvc at that revision.",
        "Name a revision that has one.",
    ),
    Reason(
        "do not exist|does not exist|missing-files|No such file|failed to download|failed to transfer|FileNotFound",
        "Not all of the bytes are there.",
        "Run medu1 data push where data/ is whole, or name the remote that holds them (--remote, prepare.dvc_remote).",
    ),
)
OTHERWISE = Reason("", "", "Mend what DVC names and run again.")


def refusal(fact: str, said: str) -> Stop:
    """A fact, why it is so by what DVC says, and what to do about it."""
    told = without_secrets("; ".join(kept(said)))
    known = next((reason for reason in REASONS if re.search(reason.sign, said)), OTHERWISE)
    return Stop(fact, f"{known.reason} DVC says: {told}.".strip(), known.next_step)


def kept(said: str) -> list[str]:
    """The lines of DVC's words that carry the error; the last line where none is marked."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    marked = [line for line in lines if line.startswith(("ERROR", "md5"))]
    return [line.removeprefix("ERROR: ").rstrip(".") for line in marked or lines[-1:]]


def without_secrets(text: str) -> str:
    """The text with what stands before @ in a URL left out."""
    return USERINFO.sub("://", text)
