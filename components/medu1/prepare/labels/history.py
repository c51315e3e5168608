"""Entities of a patient's history that several groups of scores read."""

from typing import Final

DIABETES: Final = "Diabetes mellitus criteria for CCI rule"
SURGERY: Final = "Surgery Type"
