"""The golden trajectory: rewards and losses of 20 steps are those on record, whatever the processor."""

import json
from pathlib import Path

import pytest
import torch

from training import THIRD_PARTY
from trajectory import GOLDEN, LOGGED, STEPS, trajectory

pytestmark = [pytest.mark.filterwarnings(line) for line in THIRD_PARTY]


def test_twenty_steps_are_the_recorded_ones(tmp_path: Path) -> None:
    golden = json.loads(GOLDEN.read_text())
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        found = trajectory(tmp_path)
    finally:
        torch.set_num_threads(threads)
    assert len(found) == len(golden["steps"]) == STEPS
    for number, (step, recorded) in enumerate(zip(found, golden["steps"], strict=True), 1):
        for name in LOGGED:
            said = f"{name} of step {number}; tests/trajectory.py records it anew"
            assert step[name] == pytest.approx(recorded[name], rel=1e-5, abs=1e-6), said


def test_the_recorded_trajectory_learns() -> None:
    rewards = [step["reward"] for step in json.loads(GOLDEN.read_text())["steps"]]
    assert sum(rewards[-5:]) > sum(rewards[:5])
