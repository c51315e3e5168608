"""Sign up, at MLflow's own endpoint, the account that pipelines track with. One that is there gets this password.

It is no administrator: it manages what it made and reads the rest.
"""

import base64
import json
import os
from urllib.error import HTTPError
from urllib.request import Request, urlopen

SECONDS = 30


def sign_up(uri: str, admin: tuple[str, str], name: str, password: str) -> None:
    """Raises HTTPError where the administrator is refused, URLError where nobody answers."""
    try:
        _ask(f"{uri}/api/2.0/mlflow/users/create", "POST", admin, username=name, password=password)
        print(f"{name}: made", flush=True)
    except HTTPError as error:
        if json.loads(error.read() or b"{}").get("error_code") != "RESOURCE_ALREADY_EXISTS":
            raise
        _ask(f"{uri}/api/2.0/mlflow/users/update-password", "PATCH", admin, username=name, password=password)
        print(f"{name}: there already, its password set", flush=True)


def _ask(url: str, method: str, admin: tuple[str, str], **said: str) -> None:
    word = base64.b64encode(":".join(admin).encode()).decode()
    headers = {"Authorization": f"Basic {word}", "Content-Type": "application/json"}
    with urlopen(Request(url, json.dumps(said).encode(), headers, method=method), timeout=SECONDS):
        pass


if __name__ == "__main__":
    sign_up(
        os.environ["MLFLOW_URI"],
        (os.environ["MLFLOW_AUTH_ADMIN_USERNAME"], os.environ["MLFLOW_AUTH_ADMIN_PASSWORD"]),
        os.environ["ACCOUNT_NAME"],
        os.environ["ACCOUNT_PASSWORD"],
    )
