"""Numbers that prove themselves: check digits and the dates and codes within.

One rule: each function takes digits and letters alone, without the blanks and points they are written with, and says whether they
can be such a number. https://en.wikipedia.org/wiki/National_identification_number, and the issuers' own pages beside each.
"""

import re
from datetime import date
from itertools import cycle
from typing import Final


def luhn(digits: str) -> bool:
    """https://www.iso.org/standard/70484.html (ISO/IEC 7812-1, annex B)"""
    total = 0
    for index, digit in enumerate(reversed(digits)):
        value = int(digit) * (index % 2 + 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


_VERHOEFF_D: Final = (
    "0123456789", "1234067895", "2340178956", "3401289567", "4012395678",
    "5987604321", "6598710432", "7659821043", "8765932104", "9876543210",
)  # fmt: skip
_VERHOEFF_P: Final = (
    "0123456789", "1576283094", "5803796142", "8916043527", "9453126870", "4286573901", "2793806415", "7046913258",
)  # fmt: skip


def verhoeff(digits: str) -> bool:
    check = 0
    for index, digit in enumerate(reversed(digits)):
        check = int(_VERHOEFF_D[check][int(_VERHOEFF_P[index % 8][int(digit)])])
    return check == 0


def weighed(digits: str, weights: tuple[int, ...]) -> int:
    return sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=True))


def dated(year: int, month: int, day: int) -> bool:
    try:
        date(year, month, day)
    except ValueError:
        return False
    return True


def card(digits: str) -> bool:
    """A bank card's: the issuer's range, its length, Luhn. https://www.iso.org/standard/70484.html"""
    return len(digits) in _lengths(digits) and luhn(digits)


def _lengths(digits: str) -> tuple[int, ...]:
    """How long numbers are that begin so. Longer ones that some issuers may give are left out: they are rare, ids are not."""
    two, three, four = int(digits[:2]), int(digits[:3]), int(digits[:4])
    if digits[0] == "4":
        return (16,)  # Visa
    if 51 <= two <= 55 or 2221 <= four <= 2720:
        return (16,)  # Mastercard
    if two in (34, 37):
        return (15,)  # American Express
    if four == 6011 or two == 65 or 644 <= three <= 649:
        return (16,)  # Discover
    if 300 <= three <= 305 or two in (36, 38, 39):
        return (14, 16)  # Diners Club
    if 3528 <= four <= 3589:
        return (16,)  # JCB
    if two == 62:
        return (16, 17, 18, 19)  # UnionPay
    if four in (5018, 5020, 5038, 5893, 6304, 6759, 6761, 6762, 6763):
        return (13, 14, 15, 16, 17, 18, 19)  # Maestro
    return ()


IBAN: Final[dict[str, str]] = dict(
    re.findall(
        r"(..):(\d+)",
        "AD:24 AE:23 AL:28 AT:20 AZ:28 BA:20 BE:16 BG:22 BH:22 BI:27 BR:29 BY:28 CH:21 CR:22 CY:28 CZ:24 DE:22 DJ:27 DK:18 DO:28 "
        "EE:20 EG:29 ES:24 FI:18 FK:18 FO:18 FR:27 GB:22 GE:22 GI:23 GL:18 GR:27 GT:28 HN:28 HR:21 HU:28 IE:22 IL:23 IQ:23 IS:26 "
        "IT:27 JO:30 KW:30 KZ:20 LB:28 LC:32 LI:21 LT:20 LU:20 LV:21 LY:25 MC:27 MD:24 ME:22 MK:19 MN:20 MR:27 MT:31 MU:30 NI:28 "
        "NL:18 NO:15 OM:23 PK:24 PL:28 PS:29 PT:25 QA:29 RO:24 RS:22 RU:33 SA:24 SC:31 SD:18 SE:24 SI:19 SK:24 SM:27 SO:23 ST:25 "
        "SV:28 TL:23 TN:24 TR:26 UA:29 VA:22 VG:24 XK:20 YE:30",
    )
)
"""Characters of an IBAN by its country. https://www.swift.com/standards/data-standards/iban-international-bank-account-number"""


def iban(words: str) -> bool:
    """ISO 13616: the country's length, and 1 modulo 97."""
    return IBAN.get(words[:2]) == str(len(words)) and int("".join(str(int(c, 36)) for c in words[4:] + words[:4])) % 97 == 1


def us_ssn(digits: str) -> bool:
    """https://www.ssa.gov/employer/randomization.html"""
    area, group, serial = digits[:3], digits[3:5], digits[5:]
    return area not in ("000", "666") and area[0] != "9" and group != "00" and serial != "0000" and digits not in _ADVERTISED


_ADVERTISED: Final = ("078051120", "219099999", "123456789")


def us_itin(digits: str) -> bool:
    """https://www.irs.gov/individuals/individual-taxpayer-identification-number"""
    group = int(digits[3:5])
    return digits[0] == "9" and (50 <= group <= 65 or 70 <= group <= 88 or 90 <= group <= 92 or 94 <= group <= 99)


def ca_sin(digits: str) -> bool:
    return digits[0] not in "08" and luhn(digits)


def uk_nhs(digits: str) -> bool:
    """https://www.datadictionary.nhs.uk/attributes/nhs_number.html"""
    check = 11 - weighed(digits[:9], (10, 9, 8, 7, 6, 5, 4, 3, 2)) % 11
    return check != 10 and check % 11 == int(digits[9]) and len(set(digits)) > 1


def uk_nino(words: str) -> bool:
    """https://www.gov.uk/hmrc-internal-manuals/national-insurance-manual/nim39110"""
    return words[:2] not in ("BG", "GB", "KN", "NK", "NT", "TN", "ZZ")


def de_steuer_id(digits: str) -> bool:
    """Of the first ten, one digit comes twice or three times and no other does; ISO/IEC 7064, MOD 11,10."""
    counts = sorted(digits[:10].count(each) for each in set(digits[:10]))
    if digits[0] == "0" or counts[-1] not in (2, 3) or (len(counts) > 1 and counts[-2] > 1):
        return False
    product = 10
    for digit in digits[:10]:
        total = (int(digit) + product) % 10 or 10
        product = total * 2 % 11
    return (11 - product) % 10 == int(digits[10])


def fr_nir(words: str) -> bool:
    """https://www.insee.fr/en/metadonnees/definition/c1409"""
    number = words[:13].replace("2A", "19").replace("2B", "18")
    return number.isdigit() and 97 - int(number) % 97 == int(words[13:])


def es_dni(words: str) -> bool:
    """With an X, Y or Z in front: of a foreigner (NIE)."""
    number = words[:-1].translate({88: "0", 89: "1", 90: "2"})
    return "TRWAGMYFPDXBNJZSQVHLCKE"[int(number) % 23] == words[-1]


_CF_ODD: Final = dict(
    zip(
        "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        (
            1,
            0,
            5,
            7,
            9,
            13,
            15,
            17,
            19,
            21,
            1,
            0,
            5,
            7,
            9,
            13,
            15,
            17,
            19,
            21,
            2,
            4,
            18,
            20,
            11,
            3,
            6,
            8,
            12,
            14,
            16,
            10,
            22,
            25,
            24,
            23,
        ),
        strict=True,
    )
)


def it_codice_fiscale(words: str) -> bool:
    total = sum(_CF_ODD[c] if index % 2 == 0 else int(c, 36) - (10 if c.isalpha() else 0) for index, c in enumerate(words[:15]))
    return chr(65 + total % 26) == words[15]


def nl_bsn(digits: str) -> bool:
    return weighed(digits, (9, 8, 7, 6, 5, 4, 3, 2, -1)) % 11 == 0 and len(set(digits)) > 1


def be_number(digits: str) -> bool:
    number, check = int(digits[:9]), int(digits[9:])
    return check in (97 - number % 97, 97 - (2_000_000_000 + number) % 97)


def pl_pesel(digits: str) -> bool:
    century = {0: 1900, 1: 2000, 2: 2100, 3: 2200, 4: 1800}[int(digits[2]) // 2]
    month = int(digits[2:4]) % 20
    check = weighed(digits[:10], (1, 3, 7, 9, 1, 3, 7, 9, 1, 3))
    return dated(century + int(digits[:2]), month, int(digits[4:6])) and (10 - check % 10) % 10 == int(digits[10])


def pt_nif(digits: str) -> bool:
    check = 11 - weighed(digits[:8], (9, 8, 7, 6, 5, 4, 3, 2)) % 11
    return digits[0] != "0" and (0 if check > 9 else check) == int(digits[8])


def se_personnummer(digits: str) -> bool:
    ten = digits[-10:]
    day = int(ten[4:6])
    return luhn(ten) and dated(2000, int(ten[2:4]), day - 60 if day > 60 else day)


def fi_hetu(words: str) -> bool:
    number = int(words[:6] + words[7:10])
    return dated(2000, int(words[2:4]), int(words[:2])) and "0123456789ABCDEFHJKLMNPRSTUVWXY"[number % 31] == words[10]


def no_fnr(digits: str) -> bool:
    day = int(digits[:2])
    first = -weighed(digits[:9], (3, 7, 6, 1, 8, 9, 4, 5, 2)) % 11
    second = -weighed(digits[:10], (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11
    return dated(2000, int(digits[2:4]), day - 40 if day > 40 else day) and (first, second) == (int(digits[9]), int(digits[10]))


def dk_cpr(digits: str) -> bool:
    """It has no check digit since 2007."""
    return dated(2000, int(digits[2:4]), int(digits[:2]))


def ch_ahv(digits: str) -> bool:
    total = sum(int(digit) * weight for digit, weight in zip(digits[:12], cycle((1, 3)), strict=False))
    return -total % 10 == int(digits[12])


def br_cpf(digits: str) -> bool:
    first = weighed(digits[:9], tuple(range(10, 1, -1))) * 10 % 11 % 10
    second = weighed(digits[:10], tuple(range(11, 1, -1))) * 10 % 11 % 10
    return len(set(digits)) > 1 and (first, second) == (int(digits[9]), int(digits[10]))


def br_cnpj(digits: str) -> bool:
    weights = (6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2)
    first = weighed(digits[:12], weights[1:]) % 11
    second = weighed(digits[:13], weights) % 11
    return len(set(digits)) > 1 and [0 if rest < 2 else 11 - rest for rest in (first, second)] == [
        int(digits[12]),
        int(digits[13]),
    ]


def mx_curp(words: str) -> bool:
    letters = "0123456789ABCDEFGHIJKLMNÑOPQRSTUVWXYZ"
    total = sum(letters.index(c) * (18 - index) for index, c in enumerate(words[:17]))
    return dated(2000, int(words[6:8]), int(words[8:10])) and str(-total % 10) == words[17]


def in_aadhaar(digits: str) -> bool:
    """https://uidai.gov.in: none begins with 0 or 1"""
    return digits[0] not in "01" and verhoeff(digits)


def cn_id(words: str) -> bool:
    """GB 11643-1999: date of birth, and ISO/IEC 7064, MOD 11-2."""
    total = sum(int(digit) * (2 ** (17 - index) % 11) for index, digit in enumerate(words[:17]))
    return dated(int(words[6:10]), int(words[10:12]), int(words[12:14])) and "10X98765432"[total % 11] == words[17].upper()


def tr_kimlik(digits: str) -> bool:
    odd, even = sum(map(int, digits[0:9:2])), sum(map(int, digits[1:8:2]))
    return digits[0] != "0" and (odd * 7 - even) % 10 == int(digits[9]) and sum(map(int, digits[:10])) % 10 == int(digits[10])


def kr_rrn(digits: str) -> bool:
    """Its last digit checks nothing since 2020."""
    century = {"1": 1900, "2": 1900, "3": 2000, "4": 2000, "5": 1900, "6": 1900, "7": 2000, "8": 2000}.get(digits[6], 1800)
    return dated(century + int(digits[:2]), int(digits[2:4]), int(digits[4:6]))


def sg_nric(words: str) -> bool:
    rest = (weighed(words[1:8], (2, 7, 6, 5, 4, 3, 2)) + (4 if words[0] in "TG" else 0)) % 11
    return ("JZIHGFEDCBA" if words[0] in "ST" else "XWUTRQPNMLK")[rest] == words[8]


def za_id(digits: str) -> bool:
    return dated(2000, int(digits[2:4]), int(digits[4:6])) and digits[10] in "01" and luhn(digits)


def au_tfn(digits: str) -> bool:
    return weighed(digits, (1, 4, 3, 7, 5, 8, 6, 9, 10)) % 11 == 0


def jp_my_number(digits: str) -> bool:
    rest = weighed(digits[:11], (6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11
    return (0 if rest <= 1 else 11 - rest) == int(digits[11])
