"""Runs a TrainJob's pods as processes of this machine, as Kubeflow Trainer and a kubelet would.

Each node has a home of its own, the variables of the projected volume as files, and the PET_ variables that Trainer
injects. A node that fails takes the TrainJob along; a TrainJob that is deleted sends SIGTERM to its nodes.
"""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kubernetes_api import KubernetesApi

ROOT = Path(__file__).parents[1]
MACHINE = ("PATH", "HOME", "TMPDIR", "LANG", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE")


class Kubelet:
    """Nodes of one namespace whose config map and secret hold `config` and `secret`."""

    def __init__(self, api: KubernetesApi, folder: Path, config: Mapping[str, str], secret: Mapping[str, str]) -> None:
        self.api, self.folder, self.config, self.secret = api, folder, config, secret
        self.nodes: dict[int, subprocess.Popen[str]] = {}
        self.runs = 0
        self._ended: dict[int, int] = {}
        self._lock = threading.Lock()
        api.kubelet, api.on_delete = self.run, self.terminate
        api.keeps_pods = True

    def run(self, trainjob: dict[str, Any]) -> None:
        """Start every node."""
        self.runs += 1
        self._ended = {}
        port, nodes = _free_port(), trainjob["spec"]["trainer"]["numNodes"]
        for rank in range(nodes):
            self.nodes[rank] = self._started(trainjob, rank, nodes, port)
            pod = self.api.pod(trainjob["metadata"]["name"], rank)
            follow = (trainjob["metadata"]["name"], rank, pod, self.nodes[rank], nodes)
            threading.Thread(target=self._follow, args=follow, daemon=True).start()

    def terminate(self, name: str) -> None:
        """As a deleted pod is ended."""
        for node in self.nodes.values():
            if node.poll() is None:
                node.terminate()
        with self.api.lock:
            for pod in [pod for pod, held in self.api.pods.items() if held["status"]["phase"] != "Running"]:
                del self.api.pods[pod]

    def stop(self) -> None:
        """Leave no process behind."""
        for node in self.nodes.values():
            if node.poll() is None:
                node.kill()
            node.wait()

    def _started(self, trainjob: dict[str, Any], rank: int, nodes: int, port: int) -> "subprocess.Popen[str]":
        trainer = trainjob["spec"]["trainer"]
        plain = {each["name"]: each["value"] for each in trainer["env"]}
        environment = {
            **{name: os.environ[name] for name in MACHINE if name in os.environ},
            **plain,
            "MEDU1_HOME": str(self.folder / f"run-{self.runs}" / f"home-{rank}"),  # the volume goes with its pod
            "MEDU1_VARIABLES": str(self._variables(trainjob)),
            "PET_NNODES": str(nodes),
            "PET_NPROC_PER_NODE": "auto",
            "PET_NODE_RANK": str(rank),
            "PET_MASTER_ADDR": "127.0.0.1",
            "PET_MASTER_PORT": str(port),
            "OMP_NUM_THREADS": "1",
            "NO_PROXY": "127.0.0.1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "PYTHONPATH": str(ROOT / "components"),
        }
        program, *arguments = trainer["command"]
        assert program == "python3"
        return subprocess.Popen(
            [sys.executable, *arguments],
            env=environment,
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def _variables(self, trainjob: dict[str, Any]) -> Path:
        """The projected volume: one file a key, an optional key that is absent left out."""
        (patch,) = trainjob["spec"]["runtimePatches"]
        (job,) = patch["trainingRuntimeSpec"]["template"]["spec"]["replicatedJobs"]
        (volume,) = [
            each for each in job["template"]["spec"]["template"]["spec"]["volumes"] if each["name"] == "variables"
        ]
        folder = self.folder / f"run-{self.runs}" / "variables"
        folder.mkdir(parents=True, exist_ok=True)
        for source in volume["projected"]["sources"]:
            ((kind, described),) = source.items()
            held = self.config if kind == "configMap" else self.secret
            for item in described["items"]:
                if item["key"] in held or not described.get("optional"):
                    (folder / item["path"]).write_text(held[item["key"]], encoding="utf-8")
        return folder

    def _follow(self, name: str, rank: int, pod: str, node: "subprocess.Popen[str]", nodes: int) -> None:
        assert node.stdout is not None
        for line in node.stdout:
            self.api.say(pod, line.rstrip("\n"))
        node.stdout.close()
        code = node.wait()
        with self._lock:
            self._ended[rank] = code
            if name not in self.api.trainjobs:
                with self.api.lock:
                    self.api.pods.pop(pod, None)
                return
            ended = {"terminated": {"exitCode": code, "reason": "Error" if code else "Completed"}}
            status = {"name": "node", "image": "i", "imageID": "i", "ready": False, "restartCount": 0, "state": ended}
            self.api.pod(name, rank, "Failed" if code else "Succeeded", containerStatuses=[status])
            self._conclude(name, nodes)

    def _conclude(self, name: str, nodes: int) -> None:
        if all(self._ended.get(rank) == 0 for rank in range(nodes)):
            self.api.end(name, "Complete")
        elif len(self._ended) == nodes:
            self.api.end(name, "Failed", "FailedJobs", "jobset failed due to one or more job failures")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
