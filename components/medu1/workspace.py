"""Where one run happens: what the environment says, read once at a step's door and passed down as a value.

None of it changes a result, so none of it is an input of a cached step.
"""

import os
from pathlib import Path

from medu1.question import Frozen


class Workspace(Frozen):
    """Paths and identities of one pipeline run on this machine or in this pod."""

    home: Path
    run: str  # the value of the tag medu1.run on every MLflow run of this pipeline run
    tracking_uri: str
    experiment: str = "medu1"
    store: str = ""  # s3://bucket/prefix; "": the home folder
    commit: str = ""
    dirty: bool = False
    image: str = ""
    launcher: str = ""  # host, process id and start time of the command whose death orphans the run; "" on a cluster

    @classmethod
    def from_environment(cls) -> "Workspace":
        """The door: MEDU1_HOME, MEDU1_RUN, MEDU1_STORE, MEDU1_COMMIT, MEDU1_IMAGE, MEDU1_LAUNCHER, MLflow's own."""
        home = Path(os.environ.get("MEDU1_HOME", ".medu1")).resolve()
        commit = os.environ.get("MEDU1_COMMIT", "")
        return cls(
            home=home,
            run=os.environ.get("MEDU1_RUN", "manual"),
            tracking_uri=os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{home / 'mlflow.db'}",
            experiment=os.environ.get("MLFLOW_EXPERIMENT_NAME") or "medu1",
            store=os.environ.get("MEDU1_STORE", ""),
            commit=commit.removesuffix("-dirty"),
            dirty=commit.endswith("-dirty"),
            image=os.environ.get("MEDU1_IMAGE", ""),
            launcher=os.environ.get("MEDU1_LAUNCHER", ""),
        )

    def environment(self) -> dict[str, str]:
        """What `from_environment` reads back."""
        return {
            "MEDU1_HOME": str(self.home),
            "MEDU1_RUN": self.run,
            "MEDU1_STORE": self.store,
            "MEDU1_COMMIT": self.commit + ("-dirty" if self.dirty else ""),
            "MEDU1_IMAGE": self.image,
            "MEDU1_LAUNCHER": self.launcher,
            "MLFLOW_TRACKING_URI": self.tracking_uri,
            "MLFLOW_EXPERIMENT_NAME": self.experiment,
        }

    @property
    def journal(self) -> Path:
        """The run's events, one JSON line each, which the command line renders."""
        return self.home / "runs" / self.run / "journal.jsonl"
