"""What a file of a video begins with. No decoder here, so that a server can refuse what is none."""

from __future__ import annotations

SUFFIX_OF = {"mp4": ".mp4", "matroska": ".mkv", "webm": ".webm", "avi": ".avi", "ogg": ".ogv"}
"""The suffix by which each form is found to be a video."""


def video_form(prefix: bytes) -> str | None:
    """The form of a video from its first 64 bytes: a key of :data:`SUFFIX_OF`, or None.

    Args:
        prefix: the beginning of the file.

    Example:
        >>> video_form(b"\\x00\\x00\\x00\\x20ftypisom"), video_form(b"\\x1aE\\xdf\\xa3....webm"), video_form(b"\\x89PNG")
        ('mp4', 'webm', None)
    """
    if prefix[4:8] == b"ftyp" and prefix[8:12] not in (b"avif", b"avis", b"heic", b"heix", b"mif1", b"crx "):
        return "mp4"
    if prefix.startswith(b"\x1aE\xdf\xa3"):
        return "webm" if b"webm" in prefix[:64] else "matroska"
    if prefix.startswith(b"RIFF") and prefix[8:12] == b"AVI ":
        return "avi"
    if prefix.startswith(b"OggS"):
        return "ogg"
    return None
