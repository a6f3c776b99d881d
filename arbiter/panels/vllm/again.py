"""An exchange as it was recorded, and a member that is asked with its very bytes again."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any, TypeAlias

from arbiter.documents.canonical import decode
from arbiter.errors import VerificationError
from arbiter.model import MemberIdentity
from arbiter.panels.member import Answer, Asked, NoAnswerError
from arbiter.panels.vllm.exchange import FORMAT, Ending
from arbiter.panels.vllm.member import ModelMember
from arbiter.panels.vllm.request import request_id

Words: TypeAlias = tuple[tuple[int, str | None, str | None], ...]
"""What each choice of a reply said: its index, its text, and how it ended; sorted by index."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a document `exchange` holds of the request, and of the reply its words: None where it has no whole one to read."""

    server: str
    request: bytes
    words: Words | None


def read_exchange(content: bytes) -> Recorded:
    """Return what a document `exchange` holds.

    Raises:
        VerificationError: when it is none that was ever written.
    """
    document = decode(content)
    try:
        if document["format"] != FORMAT:
            raise VerificationError(f"expected a document {FORMAT}, another format came")
        whole = document["ending"] == Ending.COMPLETE and document.get("status") == 200
        return Recorded(
            server=document["server"],
            request=base64.b64decode(document["request"], validate=True),
            words=_words(base64.b64decode(document["reply"], validate=True)) if whole else None,
        )
    except (KeyError, TypeError, binascii.Error) as error:
        raise VerificationError(f"expected a whole document {FORMAT}") from error


@dataclass(frozen=True, slots=True)
class AskedAgain:
    """A model in its seat that is asked with recorded bytes, whatever a request would look like today."""

    member: ModelMember
    request: bytes

    @property
    def identity(self) -> MemberIdentity:
        """What answers."""
        return self.member.identity

    async def answer(self, asked: Asked) -> Answer:
        """Return the model's samples to the recorded bytes; raises as the member's own `answer`.

        Raises:
            NoAnswerError: also for bytes from before requests had names: their reply could be another request's.
        """
        if _name_of(self.request) != request_id(asked):
            raise NoAnswerError("it was asked in a form whose reply nobody could tell from another's")
        return await self.member.answer_to(asked, self.request)


def _name_of(request: bytes) -> object:
    try:
        document: Any = json.loads(request)
        return document.get("request_id")
    except (ValueError, RecursionError, AttributeError):
        return None


def _words(reply: bytes) -> Words | None:
    """Return the words of a reply, or None where it cannot be told what they are."""
    try:
        document: Any = json.loads(reply)
        said = [
            (choice["index"], choice["message"].get("content"), choice.get("finish_reason"))
            for choice in document["choices"]
        ]
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        return None
    if any(type(index) is not int for index, _, _ in said):
        return None
    return tuple(sorted(said, key=lambda choice: choice[0]))
