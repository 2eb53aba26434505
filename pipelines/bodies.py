"""The body of a request, read no further and for no longer than a limit: what each of our small servers does first."""

import asyncio

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

PATIENCE_S = 5.0
"""How long a body may take to come."""


async def body_of(request: Request, *, at_most: int, patience_s: float = PATIENCE_S) -> bytes:
    """The body of `at_most` bytes. Raises HTTPException: 413 longer, 408 slower, 400 cut off."""
    read = bytearray()
    try:
        async with asyncio.timeout(patience_s):
            async for part in request.stream():
                read += part
                if len(read) > at_most:
                    raise HTTPException(413, f"The body is longer than {at_most:,} bytes.")
    except TimeoutError as exc:
        raise HTTPException(408, f"The body did not come within {patience_s:g} seconds.") from exc
    except ClientDisconnect as exc:
        raise HTTPException(400, "The body was not sent to its end.") from exc
    return bytes(read)
