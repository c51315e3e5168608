"""A panel: a general practitioner names specialists, they give opinions and discuss them, a director decides.

After MedAgents (Tang et al. 2024, arXiv:2311.10537: experts are gathered for the question, and consult until they
agree) and MDAgents (Kim et al. 2024, arXiv:2404.15155: a general practitioner's triage, a moderated discussion, a final
decision). Their summarised report is left out: each specialist reads the others' opinions, in bounded excerpts.

Calls a question, at most: 2 + specialists x (1 + rounds). The discussion ends as soon as all who have an answer agree.
"""

from collections.abc import Sequence
from typing import Final

from medu1.evaluate.strategies.dialogue import FORM, Dialogue, as_written, conversation, reply_to, stem, turns
from medu1.evaluate.strategies.specialities import specialities
from medu1.evaluate.strategies.vote import Vote, told, vote
from medu1.generation.backend import Conversation
from medu1.question import Question
from medu1.suite import Reasoning

_PRACTITIONER: Final = "You are a general practitioner who refers questions to the right specialists."
_DIRECTOR: Final = f"You are the medical director: you weigh the opinions of your specialists and decide. {FORM}"


def role_panel(question: Question, reasoning: Reasoning) -> Dialogue:
    """The director's reply, whatever the specialists say."""
    named = yield from reply_to(_referral(question, reasoning.specialists))
    seats = specialities(named, reasoning.specialists)
    replies = yield [conversation(question, _specialist(seat)) for seat in seats]
    opinions = [vote(question, reply) for reply in replies]
    for _ in range(reasoning.rounds):
        if _agree(opinions):
            break
        replies = yield [_discussion(question, seats, opinions, place) for place in range(len(seats))]
        opinions = [vote(question, reply) or held for reply, held in zip(replies, opinions, strict=True)]
    return as_written((yield from reply_to(conversation(question, _DIRECTOR, *_told(seats, opinions)))))


def _agree(opinions: Sequence[Vote | None]) -> bool:
    """Also where nobody has an answer: there is nothing to discuss."""
    return len({each.meaning for each in opinions if each}) <= 1


def _referral(question: Question, most: int) -> Conversation:
    wanted = f"Do not answer it. Name up to {most} medical specialities whose view it needs most"
    return turns(_PRACTITIONER, "A question to refer:", stem(question), f"{wanted}, one a line, nothing else.")


def _specialist(seat: str) -> str:
    return f"You are a specialist in {seat} on a panel of doctors. {FORM}"


def _discussion(question: Question, seats: Sequence[str], opinions: Sequence[Vote | None], place: int) -> Conversation:
    """What one specialist is shown: the own opinion, if there is one, and the others'."""
    own = opinions[place]
    others = [each if index != place else None for index, each in enumerate(opinions)]
    mine = [told("Your own opinion so far:", own)] if own else []
    weigh = "Weigh the reasons, not the numbers of voices: keep your answer, or change it."
    return conversation(question, _specialist(seats[place]), *_told(seats, others), *mine, weigh)


def _told(seats: Sequence[str], opinions: Sequence[Vote | None]) -> list[str]:
    return [
        told(f"Opinion of the specialist in {seat}:", each) for seat, each in zip(seats, opinions, strict=True) if each
    ]
