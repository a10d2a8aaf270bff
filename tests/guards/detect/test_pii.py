import random
from pathlib import Path
from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatewright.guards.detect.pii import compiled
from gatewright.guards.detect.pii_rows import ROWS
from tests.guards.detect.pieces import holds

FIND = compiled({}).detector
HERE = Path(__file__).parents[3]

WRITTEN = [
    ("card", "4111 1111 1111 1111"),
    ("card", "4111-1111-1111-1111"),
    ("card", "5555555555554444"),
    ("card", "3782 822463 10005"),
    ("iban", "DE89 3704 0044 0532 0130 00"),
    ("iban", "GB29NWBK60161331926819"),
    ("email", "jane.doe+news@mail.example.co.uk"),
    ("email", "o_brien@example.com"),
    ("phone", "+44 20 7946 0958"),
    ("phone", "+1 (415) 555-2671"),
    ("phone", "+4915123456789"),
    ("phone", "(415) 555-2671"),
    ("phone", "415-555-2671"),
    ("phone", "01 42 68 53 00"),
    ("phone", "07700 900123"),
    ("ip_address", "8.8.8.8"),
    ("ip_address", "2001:4860:4860::8888"),
    ("us_ssn", "536-90-4399"),
    ("us_itin", "912-90-3456"),
    ("uk_nhs", "943 476 5919"),
    ("uk_nino", "AB 12 34 56 C"),
    ("de_steuer_id", "47 036 892 816"),
    ("fr_nir", "2 95 10 99 126 111 93"),
    ("es_dni", "12345678Z"),
    ("es_nie", "X1234567L"),
    ("it_codice_fiscale", "RCCMNL83S18D969H"),
    ("be_national_number", "85.07.30-033.28"),
    ("pl_pesel", "44051401359"),
    ("se_personnummer", "880320-0016"),
    ("fi_hetu", "131052-308T"),
    ("no_fodselsnummer", "151086 95088"),
    ("ch_ahv", "756.9217.0769.85"),
    ("br_cpf", "390.533.447-05"),
    ("br_cnpj", "16.727.230/0001-97"),
    ("mx_curp", "BOXW310820HNERXN09"),
    ("in_aadhaar", "2341 2341 2346"),
    ("in_pan", "ACUPA7085R"),
    ("cn_id", "11010519491231002X"),
    ("tr_kimlik", "17291716060"),
    ("kr_rrn", "900101-1234567"),
    ("sg_nric", "S1234567D"),
    ("za_id", "750330 5044 089"),
]
CALLED = [
    ("us_ssn", "SSN: 536904399", "536904399"),
    ("ca_sin", "social insurance number 193 456 787", "193 456 787"),
    ("uk_nhs", "NHS number 9434765919", "9434765919"),
    ("de_steuer_id", "Steuer-ID 47036892816", "47036892816"),
    ("nl_bsn", "BSN 111222333", "111222333"),
    ("pt_nif", "NIF 501964843", "501964843"),
    ("dk_cpr", "CPR 211062-5629", "211062-5629"),
    ("br_cpf", "CPF 39053344705", "39053344705"),
    ("in_aadhaar", "Aadhaar 234123412346", "234123412346"),
    ("au_tfn", "TFN 123 456 782", "123 456 782"),
    ("jp_my_number", "マイナンバー 123456789018", "123456789018"),
    ("phone", "Tel. 040 123 4567", "040 123 4567"),
]


def found(text: str) -> list[tuple[str, str]]:
    return [(span.kind, text[span.start : span.end]) for span in FIND.find(text)]


def test_every_kind_has_an_example():
    assert {kind for kind, _ in WRITTEN} | {kind for kind, _, _ in CALLED} == {row.kind for row in ROWS}


@pytest.mark.parametrize(("kind", "number"), WRITTEN)
def test_it_is_found_as_it_is_written(kind, number):
    """Alone, in a sentence, in JSON, after letters of another script."""
    for before, after in (
        ("", ""),
        ("My number is ", ", call me."),
        ('{"x":"', '"}'),
        ("é☃: ", "\n"),
        ("(", ")"),
        ("it was ", "."),
    ):
        assert (kind, number) in found(before + number + after), before + number + after


@pytest.mark.parametrize(("kind", "text", "number"), CALLED)
def test_a_number_that_any_could_be_is_one_where_it_is_called_so(kind, text, number):
    """And is left alone elsewhere."""
    assert (kind, number) in found(f"his {text}.")
    assert kind not in [each for each, _ in found(f"order {number}.")] or kind == "phone"


@pytest.mark.parametrize(("kind", "number"), WRITTEN + [(kind, text) for kind, text, _ in CALLED])
def test_nothing_of_it_goes_out_before_it_is_known(kind, number):
    """One character at a time, and in larger pieces."""
    text = f"so it is {number} or 12 {number}, 4 and so on"
    holds(FIND, text, range(len(text)))
    holds(FIND, text, range(0, len(text), 7))


@pytest.mark.parametrize(
    "text",
    [
        "550e8400-e29b-41d4-a716-446655440000",
        "the vector is [0.4111111111111111, -0.5555555555554444]",
        "1732219999 and 1732219999123 are times, 20261121194500 too",
        "4111111111111112",
        "DE89370400440532013001",
        "logo@2x.png and git@github.com:org/repo.git",
        "import pkg@1.2.3",
        "127.0.0.1, 10.0.0.8, 192.168.1.1, 0.0.0.0, 999.1.1.1, 255.255.255.0",
        "version 1.2.3-4.5.6.7",
        "std::vector<int> 12:30:45 fe80::1 ::1",
        "2026-11-21 19:45:00",
        "pages 100-200-3000",
        "9fceb02d0ae598e95dc970b74767f19372d61af8",
        "call 555-1234",
        "chatcmpl-123456789012345678",
        "3.14159265358979323846",
        "000-12-3456",
        "id 1234567890",
        "x = 12345678901234567890",
        "ISBN 978-3-16-148410-0",
    ],
)
def test_what_is_none_is_left_alone(text):
    """Times, hashes, versions, vectors, identifiers."""
    assert found(text) == []


def test_a_card_among_other_numbers_is_found():
    """Digits before and after it, as forms print them, hide it not."""
    assert found("2024 4111 1111 1111 1111 123") == [("card", "4111 1111 1111 1111")]
    assert found("12/26 378282246310005 4-digit 1234") == [("card", "378282246310005")]


def test_random_numbers_are_seldom_taken_for_one():
    """Of 2,000 texts of random numbers in common forms, at most a few in a hundred."""
    rng = random.Random(3)
    forms = [
        "#########",
        "##########",
        "###########",
        "############",
        "#############",
        "################",
        "##################",
        "###-####",
        "####-##-##",
    ]
    texts = ["".join(rng.choice("0123456789") if c == "#" else c for c in rng.choice(forms)) for _ in range(2000)]
    assert sum(bool(found(text)) for text in texts) < 60


def test_our_own_documents_tell_of_nobody():
    """But for addresses that are examples."""
    for path in [*HERE.glob("docs/*.md"), *HERE.glob("src/**/*.py")]:
        text = path.read_text()
        seen = [(kind, words) for kind, words in found(text) if kind not in ("email", "ip_address")]
        assert seen == [], path


def test_kinds_are_chosen_by_name_or_glob():
    text = "4111 1111 1111 1111, 536-90-4399, a@example.com"

    def kinds(settings: dict) -> list[str]:
        return [span.kind for span in compiled(settings).detector.find(text)]

    assert kinds({}) == ["card", "us_ssn", "email"]
    assert kinds({"only": ["us_*"]}) == ["us_ssn"]
    assert kinds({"without": ["card"]}) == ["us_ssn", "email"]
    with pytest.raises(ValueError, match="did you mean 'email'"):
        compiled({"only": ["emial"]})
    with pytest.raises(ValueError, match="nothing is left"):
        compiled({"without": ["*"]})


def test_how_long_it_may_be_is_known():
    """It fits the default window."""
    assert compiled({}).longest < 512


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet="0123456789 .-+@abXYZé()/:,", max_size=60), st.lists(st.integers(0, 80), max_size=6))
def test_no_text_makes_it_fail(text, cuts):
    holds(FIND, text, cuts)


@pytest.mark.parametrize("unit", ["1", "4 ", "4-", "a@", "a.", "1.", "+1 ", "DE89 ", "ssn ", "::", "12:", "(415) "])
def test_a_megabyte_of_beginnings_is_read_once(unit):
    def cost(size: int) -> float:
        text = unit * (size // len(unit))
        began = process_time()
        FIND.find(text)
        FIND.open_from(text)
        return process_time() - began

    small = max(min(cost(30_000) for _ in range(2)), 0.002)
    assert cost(300_000) < small * 40
