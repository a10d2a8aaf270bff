import base64
import json
import random
import string
import zlib
from pathlib import Path
from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatewright.guards.detect.secret_checks import _BASE62, entropy, github
from gatewright.guards.detect.secret_rows import ROWS
from gatewright.guards.detect.secrets import LONGEST, compiled
from tests.guards.detect.pieces import holds

RULE = compiled({})
FIND = RULE.detector
ALNUM = string.ascii_letters + string.digits
WORD = ALNUM + "_-"
HEX = "0123456789abcdef"
HERE = Path(__file__).parents[3]


def some(rng: random.Random, size: int, alphabet: str = ALNUM) -> str:
    return "".join(rng.choices(alphabet, k=size))


def with_checksum(rng: random.Random, prefix: str) -> str:
    body = some(rng, 30)
    number, check = zlib.crc32(body.encode()), ""
    for _ in range(6):
        number, digit = divmod(number, 62)
        check = _BASE62[digit] + check
    return prefix + body + check


def b64(rng: random.Random, size: int) -> str:
    return base64.b64encode(rng.randbytes(size)).decode()


def token(rng: random.Random) -> str:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    return f"{part({'alg': 'RS256', 'typ': 'JWT'})}.{part({'sub': some(rng, 12)})}.{some(rng, 43, WORD)}"


def pem(rng: random.Random, of: str = "RSA ") -> str:
    body = b64(rng, 1190)
    lines = "\n".join(body[at : at + 64] for at in range(0, len(body), 64))
    return f"-----BEGIN {of}PRIVATE KEY-----\n{lines}\n-----END {of}PRIVATE KEY-----"


def pypi(rng: random.Random) -> str:
    return "pypi-" + base64.urlsafe_b64encode(b"\x02\x01\x08pypi.org\x02" + rng.randbytes(80)).decode().rstrip("=")


KEYS = {
    "openai_key": lambda r: f"sk-proj-{some(r, 74, WORD)}T3BlbkFJ{some(r, 74, WORD)}",
    "anthropic_key": lambda r: f"sk-ant-api03-{some(r, 93, WORD)}AA",
    "openrouter_key": lambda r: "sk-or-v1-" + some(r, 64, HEX),
    "groq_key": lambda r: "gsk_" + some(r, 52),
    "xai_key": lambda r: "xai-" + some(r, 80),
    "perplexity_key": lambda r: "pplx-" + some(r, 48),
    "replicate_key": lambda r: "r8_" + some(r, 37),
    "cerebras_key": lambda r: "csk-" + some(r, 48, string.ascii_lowercase + string.digits),
    "nvidia_key": lambda r: "nvapi-" + some(r, 64, WORD),
    "langsmith_key": lambda r: f"lsv2_pt_{some(r, 32, HEX)}_{some(r, 10, HEX)}",
    "huggingface_token": lambda r: "hf_" + some(r, 34, string.ascii_letters),
    "google_api_key": lambda r: "AIza" + some(r, 35, WORD),
    "google_oauth_secret": lambda r: "GOCSPX-" + some(r, 28, WORD),
    "google_oauth_token": lambda r: "ya29." + some(r, 180, WORD),
    "aws_access_key_id": lambda r: r.choice(("AKIA", "ASIA")) + some(r, 16, string.ascii_uppercase + "234567"),
    "aws_secret_access_key": lambda r: f"aws_secret_access_key = {b64(r, 30)}",
    "bedrock_api_key": lambda r: "ABSK" + b64(r, 96),
    "github_token": lambda r: with_checksum(r, r.choice(("ghp_", "gho_", "ghu_", "ghs_", "ghr_"))),
    "github_fine_grained_token": lambda r: f"github_pat_{some(r, 22)}_{some(r, 59)}",
    "gitlab_token": lambda r: "glpat-" + some(r, 20, WORD),
    "slack_token": lambda r: f"xoxb-{some(r, 12, string.digits)}-{some(r, 13, string.digits)}-{some(r, 24)}",
    "slack_app_token": lambda r: f"xapp-1-A{some(r, 10, string.ascii_uppercase)}-{some(r, 13, string.digits)}-{some(r, 64, HEX)}",
    "slack_webhook": lambda r: (
        f"https://hooks.slack.com/services/T{some(r, 8, string.ascii_uppercase)}/B{some(r, 8, string.ascii_uppercase)}/{some(r, 24)}"
    ),
    "stripe_key": lambda r: "sk_live_" + some(r, 99),
    "stripe_webhook_secret": lambda r: "whsec_" + some(r, 32),
    "npm_token": lambda r: "npm_" + some(r, 36),
    "pypi_token": pypi,
    "azure_storage_key": lambda r: f"AccountName=x;AccountKey={b64(r, 64)};EndpointSuffix=core.windows.net",
    "azure_sas": lambda r: f"?sv=2024-01-01&sig={some(r, 43)}%3D&se=2027",
    "azure_client_secret": lambda r: f"{some(r, 3)}8Q~{some(r, 34)}",
    "azure_ai_key": lambda r: f"{some(r, 52)}JQQJ99{some(r, 26)}",
    "digitalocean_token": lambda r: "dop_v1_" + some(r, 64, HEX),
    "databricks_token": lambda r: "dapi" + some(r, 32, HEX),
    "sendgrid_key": lambda r: f"SG.{some(r, 22)}.{some(r, 43)}",
    "telegram_bot_token": lambda r: f"{r.randrange(10**9, 10**10)}:AA{some(r, 33)}",
    "docker_token": lambda r: "dckr_pat_" + some(r, 27, WORD),
    "grafana_token": lambda r: f"glsa_{some(r, 32)}_{some(r, 8, HEX)}",
    "vault_token": lambda r: "hvs." + some(r, 95),
    "terraform_token": lambda r: f"{some(r, 14)}.atlasv1.{some(r, 67)}",
    "shopify_token": lambda r: "shpat_" + some(r, 32, HEX),
    "linear_key": lambda r: "lin_api_" + some(r, 40),
    "notion_token": lambda r: "ntn_" + some(r, 46),
    "atlassian_token": lambda r: "ATATT3" + some(r, 186),
    "postman_key": lambda r: f"PMAK-{some(r, 24, HEX)}-{some(r, 34, HEX)}",
    "sentry_token": lambda r: "sntrys_eyJ" + some(r, 120),
    "supabase_token": lambda r: "sbp_" + some(r, 40, HEX),
    "doppler_token": lambda r: "dp.pt." + some(r, 43),
    "langfuse_key": lambda r: f"sk-lf-{some(r, 8, HEX)}-{some(r, 4, HEX)}-{some(r, 4, HEX)}-{some(r, 4, HEX)}-{some(r, 12, HEX)}",
    "age_key": lambda r: "AGE-SECRET-KEY-1" + some(r, 58, "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L"),
    "gatewright_key": lambda r: "gw-" + some(r, 43),
    "jwt": token,
    "private_key": pem,
    "url_password": lambda r: f"postgres://app:{some(r, 12)}@db.internal:5432/app",
    "generic": lambda r: f'"api_key": "{some(r, 32)}"',
}


def test_every_format_has_an_example():
    """A row that no test has seen is a row that nobody knows to work."""
    assert set(KEYS) == {row.kind for row in ROWS}


@pytest.mark.parametrize("kind", KEYS)
def test_a_key_is_found_where_it_stands(kind):
    """In prose, in code, at the beginning and at the end, and all of it."""
    rng = random.Random(kind)
    for _ in range(20):
        key = KEYS[kind](rng)
        for before, after in (("use ", " please"), ('x = "', '"'), ("", ""), ("é☃ ", "\n"), ("(", ")"), ("`", "`,")):
            text = before + key + after
            found = [span for span in FIND.find(text) if span.kind == kind]
            assert found, (kind, text)
            words = text[found[0].start : found[0].end]
            assert words == key if not found[0].led else (words in key and len(words) >= 12), kind


@pytest.mark.parametrize("kind", KEYS)
def test_nothing_of_a_key_goes_out_before_it_is_known(kind):
    """However it is cut."""
    rng = random.Random(kind)
    key = KEYS[kind](rng)
    for size in (max(1, len(key) // 80), 7, 50):
        holds(FIND, f"so, {key} and on", range(0, len(key) + 12, size))


def test_a_token_of_github_with_a_wrong_checksum_is_none():
    """The checksum of the documentation's own example holds, and of no other."""
    good = "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"
    assert github(good) == 40
    assert not github(good[:-1] + "8")
    assert not [span for span in FIND.find("ghp_" + "zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq18") if span.kind == "github_token"]


@pytest.mark.parametrize(
    "text",
    [
        "550e8400-e29b-41d4-a716-446655440000",
        "commit 9fceb02d0ae598e95dc970b74767f19372d61af8",
        "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "token = 550e8400-e29b-41d4-a716-446655440000",
        "OPENAI_API_KEY=your-api-key-goes-here-now",
        "api_key = os.environ['GATEWRIGHT_API_KEY_NAME']",
        'password: "correct horse battery staple"',
        "api_key: ${OPENAI_API_KEY_OF_2026}",
        "AKIAIOSFODNN7EXAMPLE",
        "AKIAAAAAAAAAAAAAAAAA",
        "sk-ant-api03-" + "x" * 95,
        "sk-proj-xxxxxxxxxxxxxxxxxxxxxxxxT3BlbkFJxxxxxxxxxxxxxxxxxxxxxxxx",
        "hf_" + "a" * 34,
        "eyJhbGciOi is how a JWT begins",
        "eyJub3RqdW5r.eyJub3RqdW5rbm90anVuaw.aaaaaaaaaaaaaaaaaaaaaaaa",
        "-----BEGIN PRIVATE KEY----- is the first line of a PEM file, and more words follow it here.",
        "https://user:password@example.com/path",
        "https://example.com/a:b@c",
        "secret_santa_participants_2026_list",
        "max_token = maxTokensPerMinutePerKey2",
        "https://example.com/static/chunk-5f2b1c9d8e7a6b5c4d3e2f1a0b9c8d7e.js",
        "npm_config_registry npm_package_name",
        "pypi-AgEIcHlwaS5vcmc",
    ],
)
def test_what_only_looks_alike_is_left_alone(text):
    """Hashes, UUIDs, placeholders and talk about keys."""
    assert FIND.find(text) == []


def test_images_in_base64_are_left_alone():
    """Two megabytes of random base64 hold no key."""
    rng = random.Random(6)
    for size in (1000, 100_000, 1_000_000):
        assert FIND.find(f"data:image/png;base64,{b64(rng, size)}") == []


def test_our_own_documents_and_code_hold_no_key():
    """What fires on a repository's prose and code fires on everything."""
    for path in [*HERE.glob("docs/**/*.md"), *HERE.glob("src/**/*.py"), HERE / "README.md"]:
        text = path.read_text()
        assert [(text[s.start : s.end], s.kind) for s in FIND.find(text) if s.kind != "url_password"] == [], path


def test_only_what_is_asked_for_is_looked_for():
    """`only`, `without` and `generic` choose; a name that is none is told with the nearest that is."""
    rng = random.Random(1)
    text = f"{KEYS['groq_key'](rng)} {KEYS['stripe_key'](rng)} {KEYS['generic'](rng)}"

    def kinds(settings: dict) -> list[str]:
        return [span.kind for span in compiled(settings).detector.find(text)]

    assert kinds({}) == ["groq_key", "stripe_key", "generic"]
    assert kinds({"generic": False}) == ["groq_key", "stripe_key"]
    assert kinds({"only": ["stripe_key"]}) == ["stripe_key"]
    assert kinds({"without": ["stripe_key", "generic"]}) == ["groq_key"]
    with pytest.raises(ValueError, match=r"did you mean 'stripe_key'.*\$\.only\[0\]"):
        compiled({"only": ["stripe_keys"]})
    with pytest.raises(ValueError, match=r"unknown field `olny`"):
        compiled({"olny": []})
    with pytest.raises(ValueError, match="nothing is left"):
        compiled({"only": ["jwt"], "without": ["jwt"]})
    assert RULE.longest == LONGEST


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=200), st.lists(st.integers(0, 300), max_size=6))
def test_no_text_makes_it_fail(text, cuts):
    """Whatever is said, it answers, and in pieces as in the whole."""
    holds(FIND, "ghp_" + text + " password=" + text, cuts)


@pytest.mark.parametrize(
    "unit", ["eyJ", "sk-", "-----BEGIN PRIVATE KEY-----\n", "password=", "xoxb-1", "a", "0", "a://b:", "eyJhbGciOi.", "aws"]
)
def test_a_megabyte_of_prefixes_is_read_once(unit):
    """Ten times the text takes about ten times the time: twenty would be far from it, and a hundred the square."""

    def cost(size: int) -> float:
        text = unit * (size // len(unit))
        began = process_time()
        FIND.find(text)
        FIND.open_from(text)
        return process_time() - began

    small = max(min(cost(50_000) for _ in range(2)), 0.002)
    assert cost(500_000) < small * 40


def test_entropy_is_in_bits():
    assert entropy("") == 0
    assert entropy("aaaa") == 0
    assert entropy("abcd") == 2
