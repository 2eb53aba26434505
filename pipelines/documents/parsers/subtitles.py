"""WebVTT and SRT subtitles -> what is said, as paragraphs, each behind the time at which it begins.

A new paragraph begins with a new speaker, after a pause, or when one is long and a sentence ends.
"""

import re
from html import unescape

from pipelines.documents.parsers.decoding import decode
from pipelines.documents.parsers.draft import Draft, Parsed, one_line, readable_name
from pipelines.errors import DocumentError

_TIME = re.compile(r"(?:(\d{1,3}):)?(\d\d):(\d\d)[.,](\d{3})\s*-->\s*(?:(\d{1,3}):)?(\d\d):(\d\d)[.,](\d{3})")
_VOICE = re.compile(r"<v(?:\.[^\s>]*)?\s+([^>]+)>")
_TAG = re.compile(r"<[^>\n]{0,100}>|\{\\[^}]*\}")
_PAUSE_S = 4
_LONG = 500


def parse(data: bytes, name: str) -> Parsed:
    """The words; the title is the file's name."""
    text = decode(data)
    draft = Draft()
    words, began, last_end, speaker = "", 0, 0, ""
    for start, end, said in _cues(text):
        voice = _VOICE.search(said)
        spoken = one_line(unescape(_TAG.sub("", said)))
        who = one_line(voice.group(1)) if voice else ""
        full = len(words) > _LONG and words.endswith((".", "?", "!", "…", "。"))
        if words and (who != speaker or start - last_end > _PAUSE_S or full):
            draft.add("paragraph", _stamped(began, speaker, words))
            words = ""
        if not words:
            began, speaker = start, who
        if spoken and not words.endswith(spoken):  # rolling captions repeat the line above
            words = f"{words} {spoken}".strip()
        last_end = end
    draft.add("paragraph", _stamped(began, speaker, words) if words else "")
    if draft.is_empty:
        raise DocumentError("no subtitles in it")
    return draft.finish(readable_name(name))


def _cues(text: str) -> list[tuple[int, int, str]]:
    """(first second, last second, words) of each cue."""
    found: list[tuple[int, int, list[str]]] = []
    open_cue = False
    for line in text.splitlines():
        if (time := _TIME.search(line)) is not None:
            parts = [int(part or 0) for part in time.groups()]
            found.append((_seconds(parts[:3]), _seconds(parts[4:7]), []))
            open_cue = True
        elif not line.strip():
            open_cue = False
        elif open_cue:
            found[-1][2].append(line)
    return [(start, end, "\n".join(lines)) for start, end, lines in found]


def _seconds(parts: list[int]) -> int:
    return 3600 * parts[0] + 60 * parts[1] + parts[2]


def _stamped(second: int, speaker: str, words: str) -> str:
    time = f"[{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}]"
    return f"{time} {speaker}: {words}" if speaker else f"{time} {words}"
