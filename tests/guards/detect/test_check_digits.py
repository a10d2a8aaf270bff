import random

import pytest

from gatewright.guards.detect import check_digits as check

GOOD = {
    "card": [
        "4111111111111111",
        "5555555555554444",
        "378282246310005",
        "6011111111111117",
        "3530111333300000",
        "30569309025904",
        "2223003122003222",
    ],
    "iban": [
        "DE89370400440532013000",
        "GB29NWBK60161331926819",
        "FR1420041010050500013M02606",
        "NL91ABNA0417164300",
        "NO9386011117947",
    ],
    "us_ssn": ["536904399"],
    "us_itin": ["912903456"],
    "ca_sin": ["123456782", "193456787"],
    "uk_nhs": ["9434765919"],
    "uk_nino": ["AB123456C"],
    "de_steuer_id": ["47036892816", "65929970489", "86095742719"],
    "fr_nir": ["295109912611193"],
    "es_dni": ["12345678Z", "X1234567L"],
    "it_codice_fiscale": ["RCCMNL83S18D969H"],
    "nl_bsn": ["111222333"],
    "be_number": ["85073003328"],
    "pl_pesel": ["44051401359"],
    "pt_nif": ["501964843"],
    "se_personnummer": ["8803200016", "198803200016"],
    "no_fnr": ["15108695088"],
    "dk_cpr": ["2110625629"],
    "ch_ahv": ["7569217076985"],
    "br_cpf": ["39053344705"],
    "br_cnpj": ["16727230000197"],
    "mx_curp": ["BOXW310820HNERXN09"],
    "in_aadhaar": ["234123412346"],
    "cn_id": ["11010519491231002X"],
    "tr_kimlik": ["17291716060"],
    "kr_rrn": ["9001011234567"],
    "sg_nric": ["S1234567D"],
    "za_id": ["7503305044089"],
    "au_tfn": ["123456782"],
    "jp_my_number": ["123456789018"],
}


@pytest.mark.parametrize(("name", "number"), [(name, number) for name, numbers in GOOD.items() for number in numbers])
def test_numbers_that_the_issuers_give_as_examples_hold(name, number):
    assert getattr(check, name)(number)


@pytest.mark.parametrize("name", sorted(GOOD.keys() - {"us_ssn", "us_itin", "uk_nino", "dk_cpr", "kr_rrn"}))
def test_a_digit_that_is_mistyped_is_noticed(name):
    """Nine in ten at the least: what a check digit is for. (A day of birth may become another one, that has its own check.)"""
    for number in GOOD[name][:1]:
        tried = noticed = 0
        for index, digit in enumerate(number):
            for other in set("0123456789") - {digit} if digit.isdigit() else ():
                tried += 1
                noticed += not getattr(check, name)(number[:index] + other + number[index + 1 :])
        assert noticed >= tried * 0.9, (name, noticed, tried)


def test_fi_hetu():
    assert check.fi_hetu("131052-308T")
    assert not check.fi_hetu("131052-308U")


@pytest.mark.parametrize("number", ["000124321", "666124321", "900124321", "536004321", "536120000", "078051120", "219099999"])
def test_numbers_that_social_security_never_issued(number):
    assert not check.us_ssn(number)


@pytest.mark.parametrize(
    ("name", "size", "most"),
    [
        ("luhn", 16, 0.11),
        ("verhoeff", 12, 0.11),
        ("card", 16, 0.06),
        ("br_cpf", 11, 0.02),
        ("tr_kimlik", 11, 0.02),
        ("cn_id", 18, 0.01),
    ],
)
def test_of_random_numbers_few_pass(name, size, most):
    rng = random.Random(name)
    passed = sum(getattr(check, name)("".join(rng.choices("0123456789", k=size))) for _ in range(5000))
    assert passed / 5000 < most
