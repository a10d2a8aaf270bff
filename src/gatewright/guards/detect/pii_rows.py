"""What tells of a person: how it is written, and what proves it.

One rule: a number that any other number could be (nine digits, one of eleven of which passes its check) is one only where it is
called so; what its form or two checks prove is one wherever it stands.
"""

import re
from collections.abc import Callable
from ipaddress import IPv6Network, ip_address, ip_network
from typing import Final, cast

from gatewright.guards.detect import check_digits as check
from gatewright.guards.detect.scan import Row

_FILE: Final = re.compile(
    r"(?i)png|jpe?g|gif|svg|webp|ico|bmp|m?js|tsx?|jsx|s?css|html?|json|ya?ml|xml|md|py|rb|go|rs|java|php|sh|txt|csv|pdf|zip|gz|lock|map"
    r"|log|toml"
)
_GLOBAL_V6: Final = cast("IPv6Network", ip_network("2000::/3"))
_CALLING: Final = re.compile(
    r"1[2-9][0-9]{2}[2-9]|7|2(?:[07]|1[1-368]|[2-689][0-9])|3(?:[0-469]|[578][0-9])|4(?:[013-9]|2[013])|5(?:[1-8]|[09][0-9])"
    r"|6(?:[0-6]|[789][0-9])|8(?:[1246]|[0578][0-9])|9(?:[0-58]|[679][0-9])"
)
"""Countries' codes; of North America with what must follow. ITU-T E.164."""
_SEPARATORS: Final = re.compile(r"[^0-9A-Za-z]+")


def _compact(words: str) -> str:
    return _SEPARATORS.sub("", words)


def _proved(proof: Callable[[str], bool]) -> Callable[[str], int]:
    def measured(words: str) -> int:
        return len(words) if proof(_compact(words)) else 0

    return measured


def _card(words: str) -> int:
    """As many of its groups, from the first, as make a card's number."""
    for end in range(len(words), 12, -1):
        if (end == len(words) or not words[end].isdigit()) and words[end - 1].isdigit() and check.card(_compact(words[:end])):
            return end
    return 0


def _iban(words: str) -> int:
    size, count = int(check.IBAN.get(words[:2], "0")), 0
    for index, letter in enumerate(words):
        count += letter != " "
        if count == size:
            whole = index + 1 == len(words) or words[index + 1] == " "
            return index + 1 if whole and check.iban(words[: index + 1].replace(" ", "")) else 0
    return 0


def _email(words: str) -> int:
    local, _, domain = words.rpartition("@")
    last = domain.rpartition(".")[2].lower()
    return 0 if _FILE.fullmatch(last) or local == "git" or ".." in words or local.endswith(".") else len(words)


def _phone(words: str) -> int:
    digits = _compact(words)
    sizes = range(11, 12) if digits[0] == "1" else range(8, 16)
    return len(words) if len(digits) in sizes and _CALLING.match(digits) and len(set(digits)) > 3 else 0


def _us_phone(words: str) -> int:
    digits = _compact(words)
    return (
        len(words) if digits[0] in "23456789" and digits[3] in "23456789" and digits[1:3] != "11" and len(set(digits)) > 2 else 0
    )


def _address(words: str) -> int:
    try:
        address = ip_address(words)
    except ValueError:
        return 0
    real = address in _GLOBAL_V6 if address.version == 6 else not address.is_multicast
    return len(words) if real and address.is_global else 0


def _named(kind: str, names: str, number: str, proof: Callable[[str], bool]) -> Row:
    """A number that is one where a word before says so."""
    return Row(kind, rf"(?i:\b(?:{names}))\b[^0-9\n]{{0,24}}\b({number})\b", _proved(proof), led=True)


ROWS: Final[tuple[Row, ...]] = (
    Row("card", r"\b[2-6][0-9]{3}(?:[ -]?[0-9]){9,15}\b", _card, again=True, not_after=b".,"),
    Row("iban", r"\b[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]){11,30}\b", _iban, again=True),
    Row("email", r"\b[A-Za-z0-9][\w.%+-]{0,63}@(?:[A-Za-z0-9][A-Za-z0-9-]{0,40}\.){1,4}[A-Za-z]{2,24}\b", _email, not_after=b"/"),
    Row("phone", r"\+[1-9](?:[ .()/-]{0,2}[0-9]){7,14}\b", _phone),
    Row("phone", r"\([2-9][0-9]{2}\) ?[0-9]{3}[-. ][0-9]{4}\b", _us_phone),
    Row(
        "phone",
        r"\b(?:1[-. ])?[2-9][0-9]{2}[-.][0-9]{3}[-.][0-9]{4}\b",
        lambda words: _us_phone(words[-12:]) and len(words),
        not_after=b".-/",
    ),
    Row("phone", r"\b0[1-9](?:[ .][0-9]{2}){4}\b", not_after=b".-/", not_before=b"-/"),  # France
    Row("phone", r"\b0(?:7[0-9]{3} ?[0-9]{6}|20 [0-9]{4} [0-9]{4}|1[0-9]{3} [0-9]{6})\b", not_after=b".-/"),  # United Kingdom
    Row(
        "phone",
        r"(?i:\b(?:phone|tel|telephone|mobile|cell|fax|telefon|handy|téléphone|móvil|teléfono))\b[^0-9\n+]{0,16}"
        r"(\+?[0-9(][0-9 ().-]{6,18}[0-9])\b",
        lambda words: len(words) if 7 <= len(_compact(words)) <= 15 else 0,
        led=True,
    ),
    Row("ip_address", r"\b(?:[0-9]{1,3}\.){3}[0-9]{1,3}\b", _address, not_after=b".-/", not_before=b"-"),
    Row("ip_address", r"\b[23][0-9A-Fa-f]{3}:(?:[0-9A-Fa-f]{0,4}:){1,7}[0-9A-Fa-f]{0,4}", _address, not_after=b":."),
    Row("us_ssn", r"\b[0-8][0-9]{2}-[0-9]{2}-[0-9]{4}\b", _proved(check.us_ssn), not_after=b"-./", not_before=b"-"),
    _named("us_ssn", "ssn|social security(?: number| no)?", "[0-9]{3}[- ]?[0-9]{2}[- ]?[0-9]{4}", check.us_ssn),
    Row("us_itin", r"\b9[0-9]{2}-[5-9][0-9]-[0-9]{4}\b", _proved(check.us_itin), not_after=b"-./", not_before=b"-"),
    _named("ca_sin", "sin|nas|social insurance(?: number)?", "[0-9]{3}[- ]?[0-9]{3}[- ]?[0-9]{3}", check.ca_sin),
    Row("uk_nhs", r"\b[0-9]{3} [0-9]{3} [0-9]{4}\b", _proved(check.uk_nhs)),
    _named("uk_nhs", "nhs(?: number| no)?", "[0-9]{10}", check.uk_nhs),
    Row(
        "uk_nino",
        r"\b[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[A-D]\b",
        _proved(check.uk_nino),
        not_after=b"-",
        not_before=b"-",
    ),
    Row("de_steuer_id", r"\b[1-9][0-9] [0-9]{3} [0-9]{3} [0-9]{3}\b", _proved(check.de_steuer_id)),
    _named("de_steuer_id", "steuer-?id(?:nr|entifikationsnummer)?|idnr|tin", "[1-9][0-9]{10}", check.de_steuer_id),
    Row(
        "fr_nir",
        r"\b[12378] ?[0-9]{2} ?(?:0[1-9]|1[0-2]|[2-9][0-9]) ?(?:[0-9]{2}|2[AB]) ?[0-9]{3} ?[0-9]{3} ?[0-9]{2}\b",
        _proved(check.fr_nir),
        not_after=b".,",
    ),
    Row("es_dni", r"\b[0-9]{8}-?[A-HJ-NP-TV-Z]\b", _proved(check.es_dni), not_after=b"-.", not_before=b"-"),
    Row("es_nie", r"\b[XYZ]-?[0-9]{7}-?[A-HJ-NP-TV-Z]\b", _proved(check.es_dni)),
    Row(
        "it_codice_fiscale",
        r"\b[A-Z]{6}[0-9LMNPQRSTUV]{2}[ABCDEHLMPRST][0-9LMNPQRSTUV]{2}[A-Z][0-9LMNPQRSTUV]{3}[A-Z]\b",
        _proved(check.it_codice_fiscale),
    ),
    _named("nl_bsn", "bsn|burgerservicenummer|sofi-?nummer", r"[0-9]{4}\.?[0-9]{2}\.?[0-9]{3}", check.nl_bsn),
    Row("be_national_number", r"\b[0-9]{2}\.[0-9]{2}\.[0-9]{2}-[0-9]{3}\.[0-9]{2}\b", _proved(check.be_number)),
    Row("pl_pesel", r"\b[0-9]{4}[0-3][0-9]{6}\b", _proved(check.pl_pesel), not_after=b".,-/", not_before=b"-/"),
    _named("pt_nif", "nif|contribuinte", r"[1-9][0-9]{2} ?[0-9]{3} ?[0-9]{3}", check.pt_nif),
    Row(
        "se_personnummer",
        r"\b(?:19|20)?[0-9]{6}[-+][0-9]{4}\b",
        _proved(check.se_personnummer),
        not_after=b"-./",
        not_before=b"-",
    ),
    Row(
        "fi_hetu",
        r"\b[0-3][0-9][01][0-9]{3}[-+A-FU-Y][0-9]{3}[0-9A-FHJ-NPR-Y]\b",
        lambda words: len(words) * check.fi_hetu(words),
    ),
    Row("no_fodselsnummer", r"\b[0-7][0-9][01][0-9]{3} ?[0-9]{5}\b", _proved(check.no_fnr), not_after=b".,-/", not_before=b"-/"),
    _named("dk_cpr", "cpr|personnummer", "[0-3][0-9][01][0-9]{3}-?[0-9]{4}", check.dk_cpr),
    Row("ch_ahv", r"\b756[. ]?[0-9]{4}[. ]?[0-9]{4}[. ]?[0-9]{2}\b", _proved(check.ch_ahv)),
    Row("br_cpf", r"\b[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}\b", _proved(check.br_cpf)),
    _named("br_cpf", "cpf", "[0-9]{11}", check.br_cpf),
    Row("br_cnpj", r"\b[0-9]{2}\.[0-9]{3}\.[0-9]{3}/[0-9]{4}-[0-9]{2}\b", _proved(check.br_cnpj)),
    Row("mx_curp", r"\b[A-Z][AEIOUX][A-Z]{2}[0-9]{6}[HMX][A-Z]{5}[0-9A-Z][0-9]\b", _proved(check.mx_curp)),
    Row("in_aadhaar", r"\b[2-9][0-9]{3} [0-9]{4} [0-9]{4}\b", _proved(check.in_aadhaar)),
    _named("in_aadhaar", "aadhaar|aadhar|uid", "[2-9][0-9]{3}-?[0-9]{4}-?[0-9]{4}", check.in_aadhaar),
    Row("in_pan", r"\b[A-Z]{3}[ABCFGHJLPT][A-Z][0-9]{4}[A-Z]\b", not_after=b"-", not_before=b"-"),
    Row("cn_id", r"\b[1-9][0-9]{5}(?:19|20)[0-9]{2}[01][0-9][0-3][0-9]{4}[0-9Xx]\b", _proved(check.cn_id), not_after=b".,"),
    Row("tr_kimlik", r"\b[1-9][0-9]{10}\b", _proved(check.tr_kimlik), not_after=b".,-/+", not_before=b"-/"),
    Row("kr_rrn", r"\b[0-9]{2}[01][0-9][0-3][0-9]-[1-8][0-9]{6}\b", _proved(check.kr_rrn), not_after=b"-", not_before=b"-"),
    Row("sg_nric", r"\b[STFG][0-9]{7}[A-Z]\b", _proved(check.sg_nric), not_after=b"-", not_before=b"-"),
    Row("za_id", r"\b[0-9]{2}[01][0-9][0-3][0-9] ?[0-9]{4} ?[01][89][0-9]\b", _proved(check.za_id), not_after=b".,"),
    _named("au_tfn", "tfn|tax file(?: number)?", "[0-9]{3} ?[0-9]{3} ?[0-9]{3}", check.au_tfn),
    Row(
        "jp_my_number",
        r"(?:\b(?i:my ?number)|マイナンバー|個人番号)[^0-9\n]{0,24}([0-9]{4}[- ]?[0-9]{4}[- ]?[0-9]{4})\b",
        _proved(check.jp_my_number),
        led=True,
    ),
)
