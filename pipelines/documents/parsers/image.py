"""Images -> the words in them, through tesseract where it is installed; each frame of a TIFF is a page.

Not covered: what a picture shows beside words.
"""

import io
import warnings
from collections.abc import Iterator

from pipelines.documents.parsers.draft import Draft, Parsed, readable_name
from pipelines.documents.parsers.ocr import Ocr, read_image
from pipelines.errors import DocumentError

_MOST_PIXELS = 100_000_000
_MOST_FRAMES = 20


def parse(data: bytes, name: str, ocr: Ocr | None = None) -> Parsed:
    """The words of an image. Raises DocumentError where there are none, or nothing reads them."""
    draft = Draft()
    for page, picture in enumerate(_frames(data), 1):
        for paragraph in read_image(picture, ocr).split("\n\n"):
            draft.add("paragraph", paragraph, page)
    if draft.is_empty:
        raise DocumentError("an image without words")
    return draft.finish(readable_name(name))


def _frames(data: bytes) -> Iterator[bytes]:
    """The frames of an image as PNG. Raises DocumentError for what is damaged or too large."""
    from PIL import Image, ImageSequence

    Image.MAX_IMAGE_PIXELS = _MOST_PIXELS
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data)) as image:
                animated = image.format in ("GIF", "WEBP", "PNG")
                for number, frame in enumerate(ImageSequence.Iterator(image)):
                    if number == (1 if animated else _MOST_FRAMES):
                        return
                    stream = io.BytesIO()
                    frame.convert("L" if frame.mode in ("1", "L", "I;16", "I", "F") else "RGB").save(stream, "PNG")
                    yield stream.getvalue()
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as exc:
        raise DocumentError(f"an image of more than {_MOST_PIXELS} pixels") from exc
    except (OSError, SyntaxError, ValueError, EOFError, TypeError) as exc:
        raise DocumentError("damaged image") from exc
