"""What MedCalc-Bench's bedside scores take from a row's entities, by calculator id."""

from collections.abc import Mapping
from typing import Final

from medu1.prepare.labels.readers import (
    ALBUMIN,
    BILIRUBIN,
    HEART_RATE,
    HEMOGLOBIN,
    INR,
    SEX,
    SYSTOLIC,
    UREA,
    Arguments,
    any_of,
    arguments,
    word,
)

BEDSIDE: Final[Mapping[int, Arguments]] = {
    15: arguments(
        bilirubin=BILIRUBIN,
        albumin=ALBUMIN,
        inr=INR,
        ascites=word("Ascites", {"absent": "absent", "slight": "slight", "moderate": "moderate"}, absent="absent"),
        encephalopathy=word(
            "Encephalopathy",
            {
                "no encephalopathy": "none",
                "grade 0": "none",
                "grade 1-2": "grade 1-2",
                "grade 3-4": "grade 3-4",
            },
            absent="none",
        ),
    ),
    21: arguments(  # a response that is "not testable" has no points
        eye=word(
            "Best eye response",
            {
                "eyes open spontaneously": 4,
                "eye opening to verbal command": 3,
                "eye opening to pain": 2,
                "no eye opening": 1,
            },
        ),
        verbal=word(
            "Best verbal response",
            {
                "oriented": 5,
                "confused": 4,
                "inappropriate words": 3,
                "incomprehensible sounds": 2,
                "no verbal response": 1,
            },
        ),
        motor=word(
            "Best motor response",
            {
                "obeys commands": 6,
                "localizes pain": 5,
                "withdrawal from pain": 4,
                "flexion to pain": 3,
                "extension to pain": 2,
                "no motor response": 1,
            },
        ),
    ),
    27: arguments(
        sex=SEX,
        urea=UREA,
        hemoglobin=HEMOGLOBIN,
        systolic=SYSTOLIC,
        heart_rate=HEART_RATE,
        melena=any_of("Melena present"),
        syncope=any_of("Recent syncope"),
        liver_disease=any_of("Hepatic disease history"),
        heart_failure=any_of("Cardiac failure present"),
    ),
}
