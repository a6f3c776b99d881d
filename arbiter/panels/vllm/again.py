"""An exchange as it was recorded, and a member that is asked with its very bytes again."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from arbiter.documents.canonical import decode
from arbiter.errors import VerificationError
from arbiter.model import MemberIdentity
from arbiter.panels.member import Answer, Asked, NoAnswerError, Sample
from arbiter.panels.vllm.exchange import FORMAT, Ending
from arbiter.panels.vllm.member import ModelMember
from arbiter.panels.vllm.reading import Reply, choices_of, read_choices
from arbiter.panels.vllm.request import request_id
from arbiter.panels.vllm.strict import UnreadableError

Words: TypeAlias = tuple[tuple[int, str | None, str | None], ...]
"""What each choice of a reply said: its index, its text, and how it ended; sorted by index."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a document `exchange` holds of the request, and of the reply its words.

    They are None where no whole reply came, or none of the model that was asked and to this request.
    """

    server: str
    request: bytes
    words: Words | None


def read_exchange(content: bytes) -> Recorded:
    """Return what a document `exchange` holds.

    Raises:
        VerificationError: when it is none that was ever written.
    """
    server, request, reply, whole = _opened(content)
    return Recorded(server, request, _words(request, reply) if whole else None)


def _opened(content: bytes) -> tuple[str, bytes, bytes, bool]:
    """Return the server, what was sent, what came back, and whether that is a whole reply."""
    document = decode(content)
    try:
        if document["format"] != FORMAT:
            raise VerificationError(f"expected a document {FORMAT}, another format came")
        whole = document["ending"] == Ending.COMPLETE and document.get("status") == 200
        request = base64.b64decode(document["request"], validate=True)
        reply = base64.b64decode(document["reply"], validate=True)
        return document["server"], request, reply, whole
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


def answer_recorded(content: bytes, asked: Asked, read: Callable[[str, Asked], Sample]) -> Answer | None:
    """Return the samples that a document `exchange` came to, grounded in nothing yet.

    None where no whole reply came, or none of the model that was asked and to this request. `asked` is what the member was
    asked then, `read` how its prompt's answers are read.

    Raises:
        VerificationError: when the document is none that was ever written.
    """
    _, request, reply, whole = _opened(content)
    found = _reply(request, reply) if whole else None
    return None if found is None else read_choices(found[0], asked, found[1], read)


def _name_of(request: bytes) -> object:
    try:
        document: Any = json.loads(request)
        return document.get("request_id")
    except (ValueError, RecursionError, AttributeError):
        return None


def _words(request: bytes, reply: bytes) -> Words | None:
    """Return the words of a reply, or None where it is not one of the model that was asked, to this request."""
    found = _reply(request, reply)
    try:
        return (
            None
            if found is None
            else tuple(
                (choice["index"], choice["message"].get("content"), choice.get("finish_reason"))
                for choice in found[0].choices
            )
        )
    except (KeyError, TypeError, AttributeError):
        return None


def _reply(request: bytes, reply: bytes) -> tuple[Reply, int] | None:
    """Return a reply with how many answers were asked for, or None where it is not one to this request."""
    try:
        asked: Any = json.loads(request)
        name = asked.get("request_id")
        if not isinstance(name, str):
            return None
        return choices_of(reply, asked["model"], asked["n"], name), asked["n"]
    except (UnreadableError, ValueError, RecursionError, KeyError, TypeError, AttributeError):
        return None
