"""Google's own library, asked for the same token by the same file, sends the same request."""

import asyncio
import json
import time
import urllib.request

import google.auth
import google.auth.transport
import pytest
from tests.identity import read_jwt, rsa_key, service_account, serving

from gatewright.providers.auth.google import GoogleIssuer
from gatewright.providers.auth.google_files import read_google
from gatewright.transport.plain_fetch import PlainFetch

SCOPE = "https://www.googleapis.com/auth/cloud-platform"


class Urllib(google.auth.transport.Request):
    """The library's seam to HTTP, without another client installed for it."""

    class Answer(google.auth.transport.Response):
        def __init__(self, opened):
            self._opened = opened
            self._data = opened.read()

        status = property(lambda self: self._opened.status)
        headers = property(lambda self: self._opened.headers)
        data = property(lambda self: self._data)

    def __call__(self, url, method="GET", body=None, headers=None, timeout=None, **more):
        body = body.encode() if isinstance(body, str) else body
        asked = urllib.request.Request(url, data=body, headers=dict(headers or {}), method=method)
        with urllib.request.urlopen(asked, timeout=10) as opened:
            return self.Answer(opened)


def answer(asked):
    if asked.path.endswith(":generateAccessToken"):
        return 200, {"accessToken": "borrowed", "expireTime": "2099-01-01T00:00:00Z"}
    return 200, {"access_token": "t", "expires_in": 3600, "token_type": "Bearer", "issued_token_type": "x"}


def documents(port, tmp_path):
    (tmp_path / "token").write_text("subject")
    url = f"http://127.0.0.1:{port}"
    login = {"client_id": "c", "client_secret": "s", "refresh_token": "r", "token_uri": f"{url}/token"}
    workload = {
        "type": "external_account", "audience": "//iam.googleapis.com/p", "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": f"{url}/sts", "credential_source": {"file": str(tmp_path / "token")},
    }  # fmt: skip
    borrowing = {"service_account_impersonation_url": f"{url}/v1/projects/-/serviceAccounts/b@p:generateAccessToken"}
    return {
        "service account": json.loads(service_account(f"{url}/token")),
        "login": {"type": "authorized_user", **login},
        "workload": workload,
        "workload that borrows": workload | borrowing,
        "login that borrows": {
            "type": "impersonated_service_account",
            "source_credentials": {"type": "authorized_user", **login},
            "delegates": ["d"],
            **borrowing,
        },
        "service account that borrows": {
            "type": "impersonated_service_account",
            "source_credentials": json.loads(service_account(f"{url}/token")),
            **borrowing,
        },
    }


def meant(asked):
    """A request without what differs each time: times, signatures, the order of a form."""
    told = {"path": asked.path, "method": asked.method}
    if asked.headers.get("content-type", "").startswith("application/json"):
        document = json.loads(asked.body)
        told["document"] = {key: value for key, value in document.items() if value not in ([], None)}
        told["authorization"] = asked.headers["authorization"]
        return told
    form = asked.form
    if "assertion" in form:
        header, claims = read_jwt(form.pop("assertion"), rsa_key())
        assert claims["exp"] - claims["iat"] == 3600
        assert abs(claims.pop("iat") - time.time()) < 60
        claims.pop("exp")
        told |= {"header": header, "claims": claims}
    told["form"] = form
    return told


@pytest.mark.filterwarnings("ignore:The load_credentials_from_dict method:DeprecationWarning")
@pytest.mark.parametrize(
    "kind",
    ["service account", "login", "workload", "workload that borrows", "login that borrows", "service account that borrows"],
)
async def test_the_same_requests(kind, tmp_path):
    """Path, method, form, assertion's header and claims, document, authorization."""
    seen = []

    def record(asked):
        seen.append(asked)
        return answer(asked)

    async with serving(record) as port:
        document = documents(port, tmp_path)[kind]
        await GoogleIssuer(SCOPE, PlainFetch({}), time.time, "x").of_file(read_google(json.dumps(document)))
        ours, seen[:] = [meant(asked) for asked in seen], []
        theirs, _ = google.auth.load_credentials_from_dict(document, scopes=[SCOPE])
        if "login" in kind:
            person = getattr(theirs, "_source_credentials", theirs)
            person._token_uri = f"http://127.0.0.1:{port}/token"  # the library takes Google's own address, whatever the file says
        if document["type"] == "impersonated_service_account":
            theirs._iam_endpoint_override = document["service_account_impersonation_url"]  # and here, too
        await asyncio.to_thread(theirs.refresh, Urllib())
        assert ours == [meant(asked) for asked in seen]
        assert ours
