"""E-mail: headers, bodies, what is attached."""

import struct
from email.message import EmailMessage

import pytest

from pipelines.documents.parsers import parse
from pipelines.errors import DocumentError
from tests.documents.reading import kinds, ole_file, parsed


def mail(*, html_only: bool = False) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"] = "Zoë <z@a.example>", "b@b.example"
    message["Subject"] = "Re: Fwd: Größe"
    if not html_only:
        message.set_content("Hello\n\nWorld\n")
    message.add_alternative("<p>Hello <b>HTML</b></p>", subtype="html")
    return message


def test_eml_headers_body_and_attachments_are_text() -> None:
    message = mail()
    message.add_attachment(b"a,b\n1,2\n", maintype="text", subtype="csv", filename="bill.csv")
    message.add_attachment(b"%PDF", maintype="application", subtype="pdf", filename="bill.pdf")
    found = parsed(message.as_bytes(), "a.eml")
    assert found.title == "Größe"
    assert kinds(found) == [
        ("paragraph", "From: Zoë <z@a.example>\nTo: b@b.example\nSubject: Re: Fwd: Größe"),
        ("paragraph", "Hello"),
        ("paragraph", "World"),
        ("heading", "Attachment: bill.csv"),
        ("table", "| a | b |\n|---|---|\n| 1 | 2 |"),
        ("paragraph", "Attachment: bill.pdf (not read: named .pdf but does not begin like a file of that format)"),
    ]
    assert found.blocks[4].heading_path == ("Attachment: bill.csv",)


def test_eml_with_an_html_body_alone_gives_its_text() -> None:
    assert kinds(parsed(mail(html_only=True).as_bytes(), "a.eml"))[1] == ("paragraph", "Hello HTML")


def inside(levels: int) -> EmailMessage:
    """A message attached to a message, and so on."""
    message = mail()
    for _ in range(levels):
        outer = EmailMessage()
        outer["From"], outer["Subject"] = "x@x.example", "Fwd"
        outer.set_content("See below")
        outer.add_attachment(message.as_bytes(), maintype="application", subtype="octet-stream", filename="mail.eml")
        message = outer
    return message


def test_a_message_attached_as_a_file_is_read_a_few_levels_deep() -> None:
    assert "Hello" in parsed(inside(2).as_bytes(), "a.eml").text
    deep = parsed(inside(8).as_bytes(), "a.eml").text
    assert "Hello" not in deep and "more than 4 messages lie inside each other" in deep


def test_a_message_inside_a_message_follows_under_its_own_headers() -> None:
    outer = EmailMessage()
    outer["From"], outer["Subject"] = "o@o.example", "Fwd: Größe"
    outer.set_content("see below")
    outer.add_attachment(mail())
    assert [t for _, t in kinds(parsed(outer.as_bytes(), "a.eml"))][1:] == [
        "see below",
        "From: Zoë <z@a.example>\nTo: b@b.example\nSubject: Re: Fwd: Größe",
        "Hello",
        "World",
    ]


def test_attachments_are_bounded_in_number() -> None:
    message = mail()
    for number in range(202):
        message.add_attachment(f"text {number}.".encode(), maintype="text", subtype="plain", filename=f"{number}.txt")
    text = parsed(message.as_bytes(), "a.eml").text
    assert "text 199." in text and "text 200." not in text and "200.txt (not read: more than 200 attachments" in text


def test_pictures_that_the_body_shows_and_signatures_are_not_read() -> None:
    message = mail()
    message.add_attachment(b"\x89PNG\r\n", maintype="image", subtype="png", filename="logo.png", cid="<l@x>")
    message.add_attachment(b"0\x80", maintype="application", subtype="pkcs7-signature", filename="smime.p7s")
    assert kinds(parsed(message.as_bytes(), "a.eml"))[3:] == [
        ("paragraph", "Attachment: logo.png (not read: a picture that the message shows)")
    ]


def raw(headers: str, body: bytes) -> bytes:
    return b"From: a@a.example\r\nSubject: s\r\n" + headers.encode() + b"\r\n" + body


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (raw("Content-Type: text/plain; charset=utf-8\r\n", "Größe der Säule".encode("cp1252")), "Größe der Säule"),
        (raw("Content-Type: text/plain; charset=no-such\r\n", "Größe".encode()), "Größe"),
        (raw("Content-Type: text/plain; format=flowed; delsp=yes\r\n", b"one \r\ntwo\r\n\r\nthree"), "onetwo\n\nthree"),
        (raw("Content-Type: text/plain; format=flowed\r\n", b"one \r\ntwo"), "one two"),
        (raw("", b""), ""),  # headers alone
        (
            raw("Content-Type: multipart/encrypted; boundary=b\r\n", b"--b\r\n\r\nx\r\n--b--"),
            "[The body is encrypted.]",
        ),
        (
            raw("", b"Read:\n-----BEGIN PGP MESSAGE-----\nabc\n-----END PGP MESSAGE-----\n"),
            "Read:\n[encrypted with PGP]",
        ),
    ],
    ids=["wrong charset", "unknown charset", "flowed, delsp", "flowed", "headers alone", "encrypted", "pgp in text"],
)
def test_bodies_are_read_as_they_are_meant(message: bytes, text: str) -> None:
    found = parsed(message, "a.eml").text.split("Subject: s", 1)[1].strip()
    assert found == text


def test_a_long_html_body_goes_before_a_plain_one_that_says_little() -> None:
    message = EmailMessage()
    message["Subject"], message["From"] = "x", "a@a.example"
    message.set_content("Your program shows no HTML.")
    message.add_alternative("<p>" + "The real text of it. " * 20 + "</p>", subtype="html")
    assert "The real text" in parsed(message.as_bytes(), "a.eml").text


def test_a_page_saved_as_mhtml_is_read_as_the_page() -> None:
    page = "From: <Saved by Blink>\r\nSnapshot-Content-Location: https://x.example\r\nSubject: Rates\r\n"
    body = (
        "MIME-Version: 1.0\r\nContent-Type: multipart/related; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n"
    )
    saved = (page + body + "<h1>Rates</h1><p>Two.</p>\r\n--b--").encode()
    for name in ("rates.mhtml", "rates.htm"):
        assert kinds(parsed(saved, name)) == [("heading", "Rates"), ("paragraph", "Two.")]


# --- Outlook -----------------------------------------------------------------------------------


def outlook(**streams: bytes) -> bytes:
    """An MSG of streams by property; times and code pages lie in the list of fixed properties."""
    sent = struct.pack("<HHIQ", 0x0040, 0x0039, 0, 133_485_408_000_000_000)  # 1 January 2024, as 100 ns since 1601
    fixed = {"__properties_version1.0": b"\x00" * 32 + sent}
    return ole_file({**fixed, **{f"__substg1.0_{name}": content for name, content in streams.items()}})


def test_an_outlook_message_gives_headers_body_and_attachments() -> None:
    attached = "__attach_version1.0_#00000000/__substg1.0_"
    data = ole_file(
        {
            "__properties_version1.0": b"\x00" * 32 + struct.pack("<HHIQ", 0x0040, 0x0039, 0, 133_485_408_000_000_000),
            "__substg1.0_0037001F": "RE: Größe".encode("utf-16-le"),
            "__substg1.0_1000001F": "Hello\r\n\r\nWorld".encode("utf-16-le"),
            "__substg1.0_0C1A001F": "Zoë".encode("utf-16-le"),
            "__substg1.0_0E04001E": b"b@b.example",
            f"{attached}3707001F": "notes.txt".encode("utf-16-le"),
            f"{attached}37010102": b"attached words\n" * 300,
        }
    )
    found = parsed(data, "a.msg")
    assert found.title == "Größe"
    # 133,485,408,000,000,000 units of 100 ns after 1 January 1601 is 1 January 2024
    assert kinds(found) == [
        ("paragraph", "From: Zoë\nTo: b@b.example\nDate: Mon, 01 Jan 2024 00:00:00 +0000\nSubject: RE: Größe"),
        ("paragraph", "Hello"),
        ("paragraph", "World"),
        ("heading", "Attachment: notes.txt"),
        ("paragraph", "\n".join(["attached words"] * 300)),
    ]


def test_an_outlook_message_inside_another_is_read_too() -> None:
    inner = "__attach_version1.0_#00000000/__substg1.0_3701000D/"
    data = outlook(**{"0037001F": "Outer".encode("utf-16-le")})
    assert "Outer" in parsed(data, "a.msg").text
    both = ole_file(
        {
            "__properties_version1.0": b"",
            "__substg1.0_0037001F": "Outer".encode("utf-16-le"),
            f"{inner}__substg1.0_0037001F": "Inner".encode("utf-16-le"),
            f"{inner}__substg1.0_1000001F": "deep words".encode("utf-16-le"),
        }
    )
    assert parsed(both, "a.msg").text == "Subject: Outer\n\nSubject: Inner\n\ndeep words"


def test_a_damaged_outlook_message_says_so() -> None:
    with pytest.raises(DocumentError):
        parse(outlook()[:700], "a.msg")
