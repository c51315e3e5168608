"""What containers cost: the same chain as subprocesses and as containers, in turn, each in a fresh home.

    .venv/bin/python -m benchmarks.containers --images docker/images.json --rounds 3

`--set` changes parameters for both, such as `--set train.steps=4`; without one the chain is that of `make run`. The
order is turned every round. The images are pulled before, so that no pull is counted. Seconds are those the run prints,
from the command's start to its table; the overhead is the difference of the medians. Steps are timed apart, by what
they say in their journals: what is not in a step is the engine's and kfp's. Both sides are to have made the same model,
or the comparison says nothing.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.machine import machine
from medu1 import journal, record
from pipelines import engine
from pipelines.images import Images

RUNNERS = ("subprocess", "docker")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=Path, default=Path("docker/images.json"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="SECTION.KEY=VALUE")
    parser.add_argument("--allow-skew", action="store_true")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/containers.json"))
    options = parser.parse_args()
    images = Images.read(options.images)
    with engine.connected() as client:
        for image in (images.cpu, images.gpu):
            engine.had(client, image, print)
    rounds: list[dict[str, Any]] = []
    for number in range(options.rounds):
        order = RUNNERS if number % 2 == 0 else RUNNERS[::-1]
        rounds.append({runner: once(options, runner) for runner in order})
        told = ", ".join(f"{runner} {rounds[-1][runner]['seconds']:.1f} s" for runner in RUNNERS)
        print(f"round {number + 1}: {told}", flush=True)
    found = {"machine": machine("torch", "transformers", "trl", "mlflow", "kfp", "docker"), **summed(options, rounds)}
    record.write_text(options.out, json.dumps(found, indent=1) + "\n")
    print(json.dumps({key: value for key, value in found.items() if key != "rounds"}, indent=1))
    sys.exit(int(not found["same_model"]))


def summed(options: argparse.Namespace, rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """Medians, their difference, and whether every run made the same model."""
    median = {runner: statistics.median(each[runner]["seconds"] for each in rounds) for runner in RUNNERS}
    differences = [each["docker"]["seconds"] - each["subprocess"]["seconds"] for each in rounds]
    return {
        "settings": options.settings,
        "median_seconds": median,
        "overhead_seconds": round(median["docker"] - median["subprocess"], 1),
        "overhead_by_round": [round(difference, 1) for difference in differences],
        "same_model": len({each[runner]["weights"] for each in rounds for runner in RUNNERS}) == 1,
        "rounds": rounds,
    }


def once(options: argparse.Namespace, runner: str) -> dict[str, Any]:
    """One whole run in a home of its own. Raises SystemExit with its words where it fails."""
    with tempfile.TemporaryDirectory(prefix="medu1-containers-") as home:
        settings = [word for setting in options.settings for word in ("--set", setting)]
        command = [
            sys.executable,
            "-m",
            "pipelines.cli",
            "run",
            "--home",
            home,
            "--json",
            "--runner",
            runner,
            *settings,
        ]
        command += ["--images", str(options.images), *(["--allow-skew"] if options.allow_skew else [])]
        ended = subprocess.run(command, capture_output=True, text=True)
        if ended.returncode:
            raise SystemExit(ended.stderr)
        return {
            "seconds": json.loads(ended.stdout)["seconds"],
            "steps": steps(Path(home)),
            "weights": weights(Path(home)),
        }


def steps(home: Path) -> dict[str, float]:
    """Seconds by step, by its own words."""
    (path,) = home.glob("runs/*/journal.jsonl")
    events = [event for event, _ in journal.read(path)]
    began = {event.step: event.seconds for event in events if event.kind == "started"}
    return {event.step: round(event.seconds - began[event.step], 2) for event in events if event.kind == "finished"}


def weights(home: Path) -> str:
    """The digest of the candidate."""
    (path,) = home.glob("store/train/*/record.json")
    return str(json.loads(path.read_bytes())["facts"]["digest"])


if __name__ == "__main__":
    main()
