"""A DVC remote: where raw bytes are pushed to and pulled from.

Settings name places, never keys: credentials come from the environment alone, so what a checkout's DVC configuration
says of keys is left behind.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from medu1.errors import Stop
from medu1.prepare.versions.refusal import without_secrets
from medu1.question import Frozen

PLACE = ("url", "endpointurl", "region", "profile", "ssl_verify", "user", "port")  # what is kept of a remote
PASSWORD = re.compile(r"://[^/@\s]*:[^/@\s]*@")
UNFIT = re.compile(r"[\"'\n\r]")  # would end a value of the configuration


class Remote(Frozen):
    """Where raw bytes are pushed to and pulled from."""

    settings: dict[str, str]  # as DVC's configuration names them, `url` always

    def __str__(self) -> str:
        return without_secrets(self.settings["url"])

    @classmethod
    def at(cls, url: str) -> Self:
        """A URL or a local folder. Raises Stop where it holds a password or is no place."""
        if PASSWORD.search(url):
            raise Stop(
                f"The DVC remote {without_secrets(url)} is given with a password.",
                "Files and process lists would show it.",
                "Leave it out and put the credentials into the environment.",
            )
        if UNFIT.search(url):
            raise Stop(f"{url!r} is no URL or folder.", next_step="Name one without quotes and line breaks.")
        return cls(settings={"url": url if "://" in url else str(Path(url).expanduser().resolve())})

    @classmethod
    def named(cls, root: Path, name: str) -> Self:
        """The remote of a checkout's DVC configuration by name, else the URL or folder that `name` is."""
        remotes = configuration(root)["remote"]
        if name in remotes:
            return cls._of(remotes[name])
        if "/" in name or Path(name).is_dir():
            return cls.at(name)
        raise Stop(
            f"There is no DVC remote {name!r}.",
            f"{'Known are ' + ', '.join(sorted(remotes)) if remotes else 'None is configured'}, and it is no folder.",
            "Name a URL such as s3://bucket/prefix, or add it: dvc remote add.",
        )

    @classmethod
    def default(cls, root: Path) -> Self | None:
        """The default remote of a checkout's DVC configuration; None where there is none."""
        held = configuration(root)
        name = held["core"].get("remote")
        return cls._of(held["remote"][name]) if name in held["remote"] else None

    @classmethod
    def _of(cls, settings: Mapping[str, object]) -> Self:
        place = {key: str(settings[key]) for key in PLACE if key in settings}
        return cls(settings=place | cls.at(place["url"]).settings)


def configuration(root: Path) -> Mapping[str, Any]:
    """What DVC's configuration files say, from the machine's to the checkout's own."""
    from dvc.config import Config, ConfigError

    folder = str(root / ".dvc")
    try:
        held: Mapping[str, Any] = Config(folder, local_dvc_dir=folder)
    except ConfigError as error:
        raise Stop(
            f"The DVC configuration of {root} cannot be read: {error}.", next_step="Correct .dvc/config."
        ) from None
    return held
