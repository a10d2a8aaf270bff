"""Every way to a Google token that a credential file or the machine offers, and how each can fail."""

import datetime as dt
import json
import time

import pytest
from tests.identity import service_account, serving

from gatewright.errors import UpstreamFailed
from gatewright.providers.auth.google import GoogleIssuer, account_of, google_credential
from gatewright.providers.auth.google_files import read_google
from gatewright.providers.auth.seam import CredentialFailed, Unsigned
from gatewright.transport.plain_fetch import PlainFetch

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
CALL = Unsigned("POST", "http://x", b"/", b"", b"")


def issuer(port=1, **changes):
    return GoogleIssuer(SCOPE, PlainFetch({}), time.time, f"127.0.0.1:{port}", **changes)


async def test_the_metadata_server_gives_the_machines_token():
    """Asked with the header that shows it is no accident, for the scope that is needed."""
    seen = []

    def answer(asked):
        seen.append(asked)
        return 200, {"access_token": "ya29.machine", "expires_in": 1799, "token_type": "Bearer"}

    async with serving(answer) as port:
        lease = await issuer(port).from_metadata()
    assert lease.value == "ya29.machine"
    assert 1700 < lease.expires_at - time.time() < 1800
    assert seen[0].path == "/computeMetadata/v1/instance/service-accounts/default/token"
    assert seen[0].query == {"scopes": SCOPE}
    assert seen[0].headers["metadata-flavor"] == "Google"


async def test_a_metadata_server_that_hangs_is_asked_three_times_and_given_up():
    """Off Google's machines the address may swallow packets: bounded waiting, and words that say what was tried."""
    seen = []

    def hang(asked):
        seen.append(asked)

    async with serving(hang) as port:
        began = time.monotonic()
        with pytest.raises(UpstreamFailed, match="no credentials file, and the metadata server") as raised:
            await issuer(port, metadata_s=0.05).from_metadata()
        assert time.monotonic() - began < 1
    assert raised.value.problem.kind == "timeout"
    assert len(seen) == 3


@pytest.mark.parametrize("told", [(404, "<html>no"), (200, {"error": "x"}), (403, {"error": {"message": "no account"}})])
async def test_a_metadata_server_without_an_account_is_asked_once(told):
    """An answer is an answer."""
    seen = []

    def answer(asked):
        seen.append(asked)
        return told

    async with serving(answer) as port:
        with pytest.raises(UpstreamFailed, match="127"):
            await issuer(port).from_metadata()
    assert len(seen) == 1


class Federation:
    """A workload's identity provider, Google's exchange, and the account whose rights are borrowed; all at one address."""

    def __init__(self):
        self.seen = []

    def answer(self, asked):
        self.seen.append(asked)
        match asked.path:
            case "/subject":
                assert asked.headers["x-proof"] == "yes"
                return 200, {"id_token": "subject-by-url"}
            case "/sts":
                form = asked.form
                assert form["grant_type"] == "urn:ietf:params:oauth:grant-type:token-exchange"
                assert form["audience"] == "//iam/pools/p"
                assert form["subject_token_type"] == "urn:ietf:params:oauth:token-type:jwt"
                assert form["requested_token_type"] == "urn:ietf:params:oauth:token-type:access_token"
                return 200, {"access_token": f"sts:{form['subject_token']}", "expires_in": 600}
            case "/v1/projects/-/serviceAccounts/bot@p.iam:generateAccessToken":
                body = json.loads(asked.body)
                assert body["scope"] == [SCOPE]
                until = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=int(body["lifetime"][:-1]))
                token = f"borrowed({asked.headers['authorization']})"
                return 200, {"accessToken": token, "expireTime": until.strftime("%Y-%m-%dT%H:%M:%SZ")}
        return 404, {}


def external(port, source, **more):
    document = {
        "type": "external_account", "audience": "//iam/pools/p", "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": f"http://127.0.0.1:{port}/sts", "credential_source": source,
    }  # fmt: skip
    return read_google(json.dumps(document | more))


async def test_a_workloads_token_is_exchanged_wherever_it_stands(tmp_path):
    """As text or in JSON, in a file that is read anew each time, or behind a URL."""
    plain, in_json = tmp_path / "token", tmp_path / "token.json"
    plain.write_text("subject-1\n")
    in_json.write_text('{"t": "subject-json"}')
    federation = Federation()
    async with serving(federation.answer) as port:
        ask = issuer().of_file
        assert (await ask(external(port, {"file": str(plain)}))).value == "sts:subject-1"
        plain.write_text("subject-2")
        assert (await ask(external(port, {"file": str(plain)}))).value == "sts:subject-2"
        form = {"type": "json", "subject_token_field_name": "t"}
        assert (await ask(external(port, {"file": str(in_json), "format": form}))).value == "sts:subject-json"
        url = {"url": f"http://127.0.0.1:{port}/subject", "headers": {"X-Proof": "yes"}}
        form = {"type": "json", "subject_token_field_name": "id_token"}
        assert (await ask(external(port, {**url, "format": form}))).value == "sts:subject-by-url"
        for bad in ({"file": str(tmp_path / "none")}, {"file": str(plain), "format": form}):
            with pytest.raises(UpstreamFailed, match=r"cannot read|no subject token"):
                await ask(external(port, bad))


async def test_rights_of_another_account_are_borrowed(tmp_path):
    """By a workload identity, and by a login of gcloud's."""
    (tmp_path / "token").write_text("subject")
    federation = Federation()
    async with serving(federation.answer) as port:
        at = f"http://127.0.0.1:{port}/v1/projects/-/serviceAccounts/bot@p.iam:generateAccessToken"
        file = external(
            port, {"file": str(tmp_path / "token")}, service_account_impersonation_url=at,
            service_account_impersonation={"token_lifetime_seconds": 1200},
        )  # fmt: skip
        lease = await issuer().of_file(file)
        assert lease.value == "borrowed(Bearer sts:subject)"
        assert 1100 < lease.expires_at - time.time() < 1201
        assert account_of(file) == "bot@p.iam"
        within = {"type": "external_account", "audience": "//iam/pools/p", "token_url": f"http://127.0.0.1:{port}/sts"}
        within |= {
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "credential_source": {"file": str(tmp_path / "token")},
        }
        document = {
            "type": "impersonated_service_account", "service_account_impersonation_url": at, "source_credentials": within, "delegates": ["d"]
        }  # fmt: skip
        assert (await issuer().of_file(read_google(json.dumps(document)))).value == "borrowed(Bearer sts:subject)"
        assert json.loads(federation.seen[-1].body)["delegates"] == ["d"]


async def test_a_machine_without_anything_says_so_with_the_providers_name():
    """The message that an operator sees who forgot the file."""
    credential = google_credential(
        "vertex", None, "the metadata server", scope=SCOPE, metadata_host="127.0.0.1:1",
        fetch=PlainFetch({}), clock=time.time, chance=lambda: 0.0,
    )  # fmt: skip
    with pytest.raises(CredentialFailed, match=r"'vertex'.*metadata server") as raised:
        await credential.sign(CALL)
    assert "machine's service account" in str(raised.value)


def test_accounts_have_names():
    """For messages; never what is secret."""
    assert account_of(read_google(service_account("https://x/token"))) == "bot@proj.iam.gserviceaccount.com"
