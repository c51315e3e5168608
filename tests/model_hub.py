"""A Hugging Face hub on loopback for models: what it lists, and whether it gives a file to who asks."""

import json
from collections.abc import Iterator, Mapping

import pytest

from answering import Answer, Answering, Request, answering

COMMIT = "0123456789abcdef0123456789abcdef01234567"
WHOLE: Mapping[str, int] = {"config.json": 600, "tokenizer.json": 9000, "model.safetensors": 3 * 2**30}


class ModelHub:
    """Models by id, each at one commit; `token` opens the gated and the private ones."""

    token = "hf_token_of_this_test"

    def __init__(self, files: Mapping[str, Mapping[str, int]], gated: str = "", private: str = "") -> None:
        self.files, self.gated, self.private = files, gated, private
        self.status = 0  # of every answer, where it is not 0
        self.server: Answering

    def says(self, request: Request) -> Answer:
        """HEAD of a file, or the list of a model's files, as the hub's client asks for them."""
        words = request.path.partition("?")[0].strip("/").removeprefix("api/models/").split("/")
        name, revision = "/".join(words[:2]), words[3]
        known = request.headers.get("authorization") == f"Bearer {self.token}"
        if self.status:
            return Answer(self.status)
        if name not in self.files or (name == self.private and not known):
            return Answer(401, headers={"X-Error-Code": "RepoNotFound"})
        if revision not in ("main", COMMIT):
            return Answer(404, headers={"X-Error-Code": "RevisionNotFound"})
        if request.path.startswith("/api/"):
            return Answer(200, json.dumps(self._listed(name)).encode(), {"Content-Type": "application/json"})
        if name == self.gated and not known:
            return Answer(403, headers={"X-Error-Code": "GatedRepo"})
        if words[4] not in self.files[name]:
            return Answer(404, headers={"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT})
        return Answer(200, headers={"X-Repo-Commit": COMMIT, "ETag": '"1"'})

    def _listed(self, name: str) -> object:
        return {
            "id": name,
            "sha": COMMIT,
            "siblings": [{"rfilename": f, "size": n} for f, n in self.files[name].items()],
        }


@pytest.fixture
def model_hub(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelHub]:
    """The server, and the hub's client pointed at it, with an empty cache and no token."""
    from huggingface_hub import constants

    pickled = {"config.json": 600, "pytorch_model.bin": 2**30}
    files = {"own/whole": WHOLE, "own/gated": WHOLE, "own/private": WHOLE, "own/pickled": pickled, "own/empty": {}}
    hub = ModelHub(files, gated="own/gated", private="own/private")
    with answering(hub.says) as server:
        hub.server, endpoint = server, f"http://{server.host}"
        monkeypatch.setattr(constants, "ENDPOINT", endpoint)
        template = f"{endpoint}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path_factory.mktemp("hub")))
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path_factory.mktemp("token") / "none"))
        for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield hub
