import pytest

from pipelines.documents.languages import language_of
from pipelines.documents.parsers import parse


def language(text: str, name: str = "a.md") -> str | None:
    parsed = parse(text.encode(), name)[1]
    return language_of(parsed.text, [block.model_dump() for block in parsed.blocks])


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("The pump must be switched off before the lid is opened.", "en"),
        ("Die Pumpe muss ausgeschaltet werden, bevor der Deckel geöffnet wird.", "de"),
        ("La pompe doit être arrêtée avant l'ouverture du couvercle.", "fr"),
        ("La bomba debe estar apagada antes de abrir la tapa.", "es"),
        ("De pomp moet worden uitgeschakeld voordat het deksel wordt geopend.", "nl"),
        ("Pompa musi być wyłączona przed otwarciem pokrywy.", "pl"),
        ("Насос необходимо выключить перед открытием крышки.", "ru"),
        ("ポンプの蓋を開ける前に、必ず電源を切ってください。", "ja"),
        ("打开盖子之前，必须先关闭水泵的电源，并等待一分钟。", "zh"),
    ],
)
def test_a_sentence_is_enough(text: str, found: str) -> None:
    assert language(text) == found


def test_what_is_too_short_or_no_language_has_none() -> None:
    for text in ("OK", "4711 / 0815", "Ref. 2026-03", "https://example.org/a/very/long/address/of/a/page", "x" * 200):
        assert language(text) is None, text


def test_a_german_text_under_english_headings_is_german() -> None:
    assert (
        language("# Operating instructions\n\n## Safety\n\nVor dem Öffnen muss das Gerät vom Netz getrennt werden.")
        == "de"
    )


def test_a_quotation_at_the_beginning_does_not_decide() -> None:
    german = "Vor dem Öffnen muss das Gerät vom Netz getrennt und eine Minute gewartet werden. " * 12
    assert language(f"To be, or not to be, that is the question.\n\n{german}") == "de"


def test_a_table_tells_where_there_is_no_prose() -> None:
    assert (
        language("Gerät,Anwendung\nPumpe,fördert das Wasser aus dem Brunnen\nVentil,schließt den Zulauf", "a.csv")
        == "de"
    )
