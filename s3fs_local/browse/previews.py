"""What a content is, by its first bytes, and how much of it a page shows.

A page shows text, and pictures of kinds in which nothing can run. All else is told to be something
else and can be fetched; SVG and HTML, in which scripts could be, are text.
"""

from typing import Final

TEXT_BYTES_MAX: Final = 128 << 10
"""Of one part of a text: as much as a browser shows at once without a pause."""
PICTURE_BYTES_MAX: Final = 64 << 20
HEAD_BYTES: Final = 4096

_PICTURES: Final = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"BM", "image/bmp"),
)


def picture_type(head: bytes) -> str | None:
    """The type of a picture that a browser shows without running anything; None for others."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    if head[4:12] in {b"ftypavif", b"ftypavis"}:
        return "image/avif"
    return next((kind for start, kind in _PICTURES if head.startswith(start)), None)


def is_text(head: bytes) -> bool:
    """Whether the beginning of a content reads as text."""
    if any(byte < 32 and byte not in b"\t\n\v\f\r\x1b" for byte in head):
        return False
    try:
        head.decode()
    except UnicodeDecodeError as error:
        return error.start >= len(head) - 3 and len(head) >= HEAD_BYTES  # cut within a letter
    return True


def shown_text(part: bytes) -> str:
    """The part as text; what is no UTF-8, as at its cut ends, shows as a replacement."""
    return part.decode("utf-8", "replace").replace("\r\n", "\n")
