"""OpenDocument, EPUB and RTF."""

import pytest

from pipelines.documents.parsers import parse
from pipelines.errors import DocumentError
from tests.documents.reading import kinds, parsed, paths, zipped

# --- OpenDocument --------------------------------------------------------------------------------

NS = "urn:oasis:names:tc:opendocument:xmlns:"
NAMESPACES = " ".join(
    f'xmlns:{prefix}="{address}"'
    for prefix, address in {
        "office": f"{NS}office:1.0",
        "text": f"{NS}text:1.0",
        "table": f"{NS}table:1.0",
        "style": f"{NS}style:1.0",
        "draw": f"{NS}drawing:1.0",
        "svg": f"{NS}svg-compatible:1.0",
        "presentation": f"{NS}presentation:1.0",
        "xlink": "http://www.w3.org/1999/xlink",
        "dc": "http://purl.org/dc/elements/1.1/",
    }.items()
)
STYLES = """<style:style style:name="P1" style:parent-style-name="Title"/>
<style:style style:name="T1"><style:text-properties style:text-position="super 58%"/></style:style>
<style:style style:name="ta2"><style:table-properties table:display="false"/></style:style>
<text:list-style style:name="L1">
<text:list-level-style-number text:level="1" style:num-format="1" style:num-suffix="."/>
<text:list-level-style-number text:level="2" style:num-format="a" style:num-suffix=")"/></text:list-style>"""


def opened(kind: str, body: str, other: dict[str, str] | None = None) -> bytes:
    """An OpenDocument file whose content is this body."""
    content = (
        f"<office:document-content {NAMESPACES}><office:automatic-styles>{STYLES}</office:automatic-styles>"
        f"<office:body><office:{kind}>{body}</office:{kind}></office:body></office:document-content>"
    )
    return zipped({"mimetype": f"application/vnd.oasis.opendocument.{kind}", "content.xml": content, **(other or {})})


def test_odt_headings_lists_and_footnotes_are_read() -> None:
    item = "<text:list-item><text:p>{}</text:p>{}</text:list-item>"
    inner = f"<text:list>{item.format('in', '')}</text:list>"
    note = "<text:note-citation>1</text:note-citation><text:note-body><text:p>Why.</text:p></text:note-body>"
    footnote = f"<text:note>{note}</text:note>"
    body = (
        '<text:p text:style-name="P1">Policy</text:p><text:h text:outline-level="1">Scope</text:h>'
        f'<text:p>10<text:span text:style-name="T1">3</text:span> <text:s text:c="3"/>ponds{footnote}</text:p>'
        f'<text:list text:style-name="L1">{item.format("one", inner)}{item.format("two", "")}</text:list>'
    )
    found = parsed(opened("text", body), "a.odt")
    assert kinds(found) == [
        ("heading", "Policy"),
        ("heading", "Scope"),
        ("paragraph", "10^3 ponds[1]"),
        ("list", "1. one\n  a) in\n2. two"),
        ("paragraph", "[1] Why."),
    ]
    assert paths(found)[1] == ("Policy", "Scope")


def test_odt_comments_deletions_links_and_frames_are_told_apart() -> None:
    body = (
        "<text:tracked-changes><text:changed-region><text:deletion><text:p>gone</text:p></text:deletion></text:changed-region>"
        "</text:tracked-changes><text:p>See <text:a xlink:href='https://x.example/t'>terms</text:a>"
        "<office:annotation><dc:creator>Zoë</dc:creator><text:p>Check</text:p></office:annotation>.</text:p>"
        "<text:p><draw:frame><svg:desc>A tarn</svg:desc><draw:text-box><text:p>boxed</text:p></draw:text-box>"
        "</draw:frame></text:p>"
    )
    assert kinds(parsed(opened("text", body), "a.odt")) == [
        ("paragraph", "See terms."),
        ("paragraph", "boxed"),
        ("paragraph", "[Image: A tarn]"),
        ("note", "[Comment by Zoë] Check"),
        ("note", "[Links]\n- terms: https://x.example/t"),
    ]


def test_ods_shows_what_the_sheet_shows_however_often_it_is_repeated() -> None:
    def cell(words: str) -> str:
        return f'<table:table-cell office:value="0.125"><text:p>{words}</text:p></table:table-cell>'

    cells = '<table:table-cell table:number-columns-repeated="16384"/>'
    blank = f'<table:table-row table:number-rows-repeated="1048000">{cells}</table:table-row>'
    body = (
        '<table:table table:name="Rates">'
        f"<table:table-row>{cell('Site')}{cell('Share')}</table:table-row>"
        f"<table:table-row table:number-rows-repeated='2'>{cell('Porto')}{cell('12.5%')}</table:table-row>"
        f"{blank}</table:table><table:table table:name='Secret' table:style-name='ta2'/>"
    )
    assert kinds(parsed(opened("spreadsheet", body), "a.ods")) == [
        ("heading", "Rates"),
        ("table", "| Site | Share |\n|---|---|\n| Porto | 12.5% |\n| Porto | 12.5% |"),
        ("note", "[Hidden sheet left out: Secret]"),
    ]


def test_an_ods_of_empty_sheets_holds_no_text_and_one_is_called_by_its_file() -> None:
    with pytest.raises(DocumentError, match="no text"):
        parse(opened("spreadsheet", '<table:table table:name="Sheet1"/>'), "a.ods")
    row = "<table:table-row><table:table-cell><text:p>x</text:p></table:table-cell></table:table-row>"
    found = parsed(opened("spreadsheet", f'<table:table table:name="Sheet1">{row}</table:table>'), "rates-2026.ods")
    assert found.title == "Rates 2026"


def test_odp_slides_are_pages_read_from_top_to_bottom() -> None:
    def frame(words: str, top: int, kind: str = "") -> str:
        box = f"<draw:text-box><text:p>{words}</text:p></draw:text-box>"
        return f'<draw:frame svg:y="{top}cm" svg:x="1cm" {kind}>{box}</draw:frame>'

    title = 'presentation:class="title"'
    body = (
        f"<draw:page>{frame('low', 9)}{frame('high', 3)}{frame('Plan', 1, title)}"
        f"<presentation:notes>{frame('Say hello', 1)}</presentation:notes></draw:page>"
        f"<draw:page>{frame('next', 1)}</draw:page>"
    )
    found = parsed(opened("presentation", body), "a.odp")
    assert [(b.page, found.text[b.start : b.end]) for b in found.blocks] == [
        (1, "Plan"),
        (1, "high"),
        (1, "low"),
        (1, "Speaker notes: Say hello"),
        (2, "next"),
    ]


def test_flat_and_locked_opendocument_files_are_told_apart() -> None:
    body = "<office:body><office:text><text:p>flat</text:p></office:text></office:body>"
    flat = f"<office:document {NAMESPACES}>{body}</office:document>"
    assert parsed(flat.encode(), "a.fodt").text == "flat"
    locked = opened("text", "<text:p/>", {"META-INF/manifest.xml": "<m><encryption-data/></m>"})
    with pytest.raises(DocumentError, match="password"):
        parse(locked, "a.odt")


# --- EPUB --------------------------------------------------------------------------------------


def book(chapters: dict[str, str], toc: str = "", other: dict[str, str] | None = None) -> bytes:
    """An EPUB whose spine is these chapters, with a table of contents."""
    address = "urn:oasis:names:tc:opendocument:xmlns:container"
    container = f'<container xmlns="{address}"><rootfile full-path="OEBPS/b.opf"/></container>'
    items = "".join(f'<item id="{n}" href="{n}.xhtml" media-type="application/xhtml+xml"/>' for n in chapters)
    spine = "".join(f'<itemref idref="{n}"/>' for n in chapters)
    opf = (
        '<package xmlns="http://www.idpf.org/2007/opf"><metadata xmlns:dc="http://purl.org/dc/elements/1.1/">'
        '<dc:title>The Tarn</dc:title></metadata><manifest><item id="nav" href="nav.xhtml" properties="nav"/>'
        f'{items}</manifest><spine><itemref idref="nav"/>{spine}</spine></package>'
    )
    pages = {
        f"OEBPS/{n}.xhtml": f"<html><head><title>t</title></head><body>{body}</body></html>"
        for n, body in chapters.items()
    }
    nav = f"<html><body><nav>{toc}</nav></body></html>"
    fixed = {"mimetype": "application/epub+zip", "META-INF/container.xml": container, "OEBPS/b.opf": opf}
    return zipped({**fixed, "OEBPS/nav.xhtml": nav, **pages, **(other or {})})


def test_epub_chapters_come_in_the_order_of_the_spine_without_navigation() -> None:
    chapters = {
        "two": '<section epub:type="toc"><ol><li>One</li></ol></section><h1>Two</h1>'
        '<p>First here. <a href="one.xhtml#x">back</a></p>',
        "one": "<p>Without a heading.</p>",
    }
    found = parsed(book(chapters, toc='<a href="one.xhtml">Chapter One</a>'), "b.epub")
    assert found.title == "The Tarn"
    assert kinds(found) == [
        ("heading", "Two"),
        ("paragraph", "First here. back"),
        ("heading", "Chapter One"),
        ("paragraph", "Without a heading."),
    ]


def test_epub_locks_on_chapters_are_told_from_those_on_fonts() -> None:
    def lock(part: str) -> dict[str, str]:
        return {"META-INF/encryption.xml": f'<e><CipherReference URI="{part}"/></e>'}

    assert "x" in parsed(book({"a": "<p>x</p>"}, other=lock("OEBPS/f.otf")), "b.epub").text
    with pytest.raises(DocumentError, match="DRM"):
        parse(book({"a": "<p>x</p>"}, other=lock("OEBPS/a.xhtml")), "b.epub")


def test_a_damaged_chapter_costs_itself_alone_and_a_book_of_none_says_so() -> None:
    data = book({"a": "<p>kept</p>", "b": "<p>gone</p>"}, other={"OEBPS/b.xhtml": ""})
    assert parsed(data, "b.epub").text == "kept"
    with pytest.raises(DocumentError, match="no text"):
        parse(book({}), "b.epub")


# --- RTF ---------------------------------------------------------------------------------------


def rtf(body: str) -> bytes:
    fonts = r"{\fonttbl{\f0\fcharset0 Arial;}{\f1\fcharset204 Arial Cyr;}}"
    styles = r"{\stylesheet{\s0 Normal;}{\s1 heading 1;}{\s2 heading 2;}}"
    return (r"{\rtf1\ansi\ansicpg1252\deff0" + fonts + styles + body + "}").encode("latin-1")


def test_rtf_headings_lists_tables_and_notes_are_read() -> None:
    body = (
        r"\pard\s1 Leave\par \pard\s0 You have 25 days{\super 2}.{\footnote {\super 1} Since 2019.}\par "
        r"\pard\ls1\ilvl0{\listtext 1.\tab}Ask early\par {\listtext 2.\tab}Wait\par "
        r"\pard\intbl Site\cell Days\cell\row \pard\intbl Porto\cell 25\cell\row \pard Done.\par"
    )
    found = parsed(rtf(body), "a.rtf")
    assert kinds(found) == [
        ("heading", "Leave"),
        ("paragraph", "You have 25 days^2.[1]"),
        ("list", "1. Ask early\n2. Wait"),
        ("table", "| Site | Days |\n|---|---|\n| Porto | 25 |"),
        ("paragraph", "Done."),
        ("paragraph", "[1] 1 Since 2019."),
    ]


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (r"Gr\'f6\'dfe", "Größe"),  # the document's code page
        (r"{\f1 \'cf\'f0\'e8\'e2\'e5\'f2} x", "Привет x"),  # the font's
        (r"\u1055?\u8364\'80 5", "П€ 5"),  # Unicode, a fallback after each
        (r"{\uc0\u128\u55357\u56832}", "\x80😀".strip()),  # no fallback; two halves of one character
        (r"a{\v secret}b{\deleted gone}c", "abc"),
        (r"x\~y\_z\-w", "x y-zw"),
        (r"{\*\unknown hidden}seen{\pict 0102}", "seen"),
        (r"a\bin3 }}}b", "ab"),  # bytes that are no text, however they look
        ("Größe", "Größe"),  # bytes above 127 as they are
    ],
)
def test_rtf_characters_are_what_they_stand_for(body: str, text: str) -> None:
    assert parsed(rtf(body + r"\par"), "a.rtf").text == text


def test_rtf_that_never_ends_or_closes_too_often_is_read_as_far_as_it_goes() -> None:
    assert parsed(rtf(r"one\par }}} two\par {{{ three"), "a.rtf").text == "one\n\ntwo\n\nthree"
