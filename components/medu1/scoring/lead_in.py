"""The words a model puts before an answer ("The correct answer is: ..."), which are no part of it."""

import re

_LEAD_IN = re.compile(
    r"(?:(?:so|thus|therefore|hence),? )?(?:the |my )?(?:(?:final|correct|best|right|most (?:likely|appropriate)) )*"
    r"(?:answer|option|choice)\b(?: (?:is|was|would be|should be))?\s?[:=]?\s*",
    re.IGNORECASE,
)
_SUBJECT = re.compile(
    r"(?:it|this|that) (?:(?:most |very )?(?:likely|probably) )?(?:looks like|seems to be|appears to be|sounds like) "
    r"|(?:your|the|this|my|her|his) (?:child|baby|infant|toddler|son|daughter|boy|girl|man|woman|person|patient) "
    r"(?:(?:most |very )?(?:likely|probably) )?has ",
    re.IGNORECASE,
)


def without_lead_in(answer: str) -> str:
    """The answer after its lead-in; the answer itself where nothing follows or there is none."""
    found = _LEAD_IN.match(answer)
    return answer[found.end() :] or answer if found else answer


def without_subject(answer: str) -> str:
    """The answer after "it looks like" or "your child has"; the answer itself where it starts otherwise."""
    found = _SUBJECT.match(answer)
    return answer[found.end() :] if found else answer
