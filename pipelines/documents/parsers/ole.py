"""Streams of old Office files, which are small file systems of their own (OLE)."""

from typing import Any

from pipelines.errors import DocumentError

_LARGEST_STREAM = 256 * 1024 * 1024


class Streams:
    """The streams of a file by path. Raises DocumentError for a damaged file."""

    def __init__(self, data: bytes) -> None:
        import olefile

        try:
            self._file: Any = olefile.OleFileIO(data)
            self.paths = ["/".join(path) for path in self._file.listdir()]
        except (OSError, ValueError, IndexError, TypeError, AttributeError, OverflowError) as exc:
            raise DocumentError(f"damaged file: {exc}") from exc

    def read(self, path: str) -> bytes:
        """A stream's bytes; b"" where it is missing. Raises DocumentError when it is damaged."""
        if path not in self.paths:
            return b""
        try:
            with self._file.openstream(path) as stream:
                return bytes(stream.read(_LARGEST_STREAM))
        except (OSError, ValueError, IndexError, TypeError, AttributeError, OverflowError) as exc:
            raise DocumentError(f"damaged: its part {path} cannot be read ({exc})") from exc
