"""A form that may carry a file: read whole up to a limit, urlencoded or multipart, and given as text fields like any other.

A file is a field of its own name with its content as text; nothing is written to a disk of ours.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator

from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from arbiter.errors import RefusedError
from clinician_ui.fields import Fields, read_body, read_fields

LARGEST_UPLOAD_BYTES = 1024 * 1024
"""Of the whole form: a receipt opens a certificate of some ten kilobytes, in base64."""

_MOST_FILES = 2
_MOST_FIELDS = 10


async def read_upload(request: Request) -> Fields:
    """Return the fields of a form, each file's content among them as text.

    Raises:
        RefusedError: for another content type, more than 1 MiB, or anything that is not UTF-8.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "multipart/form-data":
        return await read_fields(request, LARGEST_UPLOAD_BYTES)
    body = await read_body(request, LARGEST_UPLOAD_BYTES)
    # No part can be larger than the form, which is in memory: none is spooled.
    parser = MultiPartParser(
        request.headers,
        _once(body),
        max_files=_MOST_FILES,
        max_fields=_MOST_FIELDS,
        max_part_size=LARGEST_UPLOAD_BYTES,
    )
    parser.spool_max_size = LARGEST_UPLOAD_BYTES
    try:
        form = await parser.parse()
    except (MultiPartException, KeyError) as error:
        raise RefusedError("expected a well-formed form with at most two files") from error
    try:
        return await _texts(form)
    except UnicodeDecodeError as error:
        raise RefusedError("expected files of UTF-8 text") from error
    finally:
        await form.close()


async def _texts(form: FormData) -> Fields:
    fields: dict[str, tuple[str, ...]] = {}
    for name, value in form.multi_items():
        text = (await value.read()).decode() if isinstance(value, UploadFile) else value
        fields[name] = (*fields.get(name, ()), text)
    return fields


async def _once(body: bytes) -> AsyncGenerator[bytes, None]:
    yield body
