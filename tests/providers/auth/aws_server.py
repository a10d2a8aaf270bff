"""A loopback stand-in for AWS's credential services: STS, IMDSv2, the container's, SSO's portal. Strict about what it is asked."""

import asyncio
import datetime as dt
import json
from contextlib import asynccontextmanager
from urllib.parse import parse_qs

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from gatewright.providers.auth.aws_sources import AwsSettings, AwsSources
from gatewright.transport.plain_fetch import PlainFetch

SECRET = "s3cr3tKEY/of+somebody"
TOKEN = "FQoDYXdzEXAMPLEtoken=="
EXPIRES = "2030-01-01T00:00:00Z"
IMDS_TOKEN = "imds-token-1"
WEB_TOKEN = "eyJ.web.identity"


def keys(name, expires=EXPIRES):
    return {"Code": "Success", "AccessKeyId": name, "SecretAccessKey": SECRET, "Token": TOKEN, "Expiration": expires}


class Aws:
    """What the services hand out, and what they were asked."""

    def __init__(self):
        self.asked = []
        """(method, path, headers in lower case, body) of each request."""
        self.url = ""
        self.role = "gateway-role"
        self.key = "ASIAIMDS"
        """What the instance's role gets."""
        self.expires = EXPIRES
        self.issued = 0
        self.refuse = None
        """(status, body) to answer everything with."""
        self.hangs = False
        self.base = Credentials("AKIABASE", SECRET, None)
        """Who may assume roles."""

    def answer(self, method, path, headers, body):
        if self.refuse is not None:
            return self.refuse
        where, _, query = path.partition("?")
        match method, where:
            case "PUT", "/latest/api/token":
                return (200, IMDS_TOKEN.encode()) if "x-aws-ec2-metadata-token-ttl-seconds" in headers else (400, b"")
            case "GET", _ if where.startswith("/latest/"):
                if headers.get("x-aws-ec2-metadata-token") != IMDS_TOKEN:
                    return 401, b""
                if where.endswith("/security-credentials/"):
                    return 200, self.role.encode()
                return self._json(keys(self.key, self.expires))
            case "GET", "/v2/credentials/task":
                wanted = headers.get("authorization") in (None, "Basic task-token")
                return self._json(keys("ASIATASK", self.expires)) if wanted else (401, b"")
            case "GET", "/federation/credentials":
                asked = parse_qs(query)
                if headers.get("x-amz-sso_bearer_token") != "sso-token" or asked["role_name"] != ["Dev"]:
                    return 401, b"{}"
                told = {"accessKeyId": "ASIASSO", "secretAccessKey": SECRET, "sessionToken": TOKEN, "expiration": 1893456000000}
                return self._json({"roleCredentials": told})
            case "POST", "/":
                return self._sts({k: v[0] for k, v in parse_qs(body.decode()).items()}, headers, body)
        return 404, b""

    def _json(self, document):
        self.issued += 1
        return 200, json.dumps(document).encode()

    def _sts(self, form, headers, body):
        if form["Action"] == "AssumeRole" and not self._signed(headers, body):
            return 403, error("SignatureDoesNotMatch", "The request signature we calculated does not match")
        if form["Action"] == "AssumeRoleWithWebIdentity" and form["WebIdentityToken"] != WEB_TOKEN:
            return 400, error("ExpiredTokenException", "Token expired")
        self.issued += 1
        name = f"ASIA{form['RoleArn'].rpartition('/')[2].upper()}{self.issued}"
        return 200, (
            f"<{form['Action']}Response><{form['Action']}Result><Credentials><AccessKeyId>{name}</AccessKeyId>"
            f"<SecretAccessKey>{SECRET}</SecretAccessKey><SessionToken>{TOKEN}</SessionToken>"
            f"<Expiration>{self.expires}</Expiration></Credentials></{form['Action']}Result></{form['Action']}Response>"
        ).encode()

    def _signed(self, headers, body):
        """Whether botocore would have signed this request alike."""
        request = AWSRequest("POST", f"http://{headers['host']}/", {"content-type": headers["content-type"]}, body)
        request.headers["host"] = headers["host"]
        request.headers["x-amz-date"] = headers["x-amz-date"]
        if "x-amz-security-token" in headers:
            request.headers["x-amz-security-token"] = headers["x-amz-security-token"]
        request.context["timestamp"] = headers["x-amz-date"]
        signer = SigV4Auth(self.base, "sts", "eu-west-1")
        signature = signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)
        return headers["authorization"].endswith(f"Signature={signature}")


def error(code, message):
    return f"<ErrorResponse><Error><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>".encode()


@asynccontextmanager
async def aws():
    services = Aws()
    running = set()

    async def one(reader, writer):
        running.add(asyncio.current_task())
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            method, path, _ = head[0].split(" ")
            headers = {n.lower(): v.strip() for n, _, v in (line.partition(":") for line in head[1:] if line)}
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            services.asked.append((method, path, headers, body))
            if services.hangs:
                await reader.read()
                return
            status, answer = services.answer(method, path, headers, body)
            writer.write(b"HTTP/1.1 %d X\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b" % (status, len(answer), answer))
            await writer.drain()
        finally:
            writer.close()

    listening = await asyncio.start_server(one, "127.0.0.1", 0)
    services.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    try:
        yield services
    finally:
        listening.close()
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


def seconds(text):
    return dt.datetime.fromisoformat(text).timestamp()


NOW = 1_790_000_000.0
ROLE = "arn:aws:iam::123456789012:role/bedrock"


@pytest.fixture(name="home")
def home_folder(tmp_path):
    """A home folder with AWS's in it."""
    (tmp_path / ".aws" / "sso" / "cache").mkdir(parents=True)
    return tmp_path


def world(services, home, **more):
    """An environment in which all services are the stand-in's."""
    return {
        "HOME": str(home),
        "AWS_EC2_METADATA_SERVICE_ENDPOINT": services.url,
        "AWS_ENDPOINT_URL_STS": services.url,
        "AWS_ENDPOINT_URL_SSO": services.url,
        **more,
    }


async def obtain(environ, settings=None):
    """What the chain finds."""
    chosen = settings or AwsSettings("eu-west-1")
    return await AwsSources(chosen, environ, PlainFetch({}), lambda: NOW).obtain()


def write(home, *, config="", credentials=""):
    """AWS's two files."""
    (home / ".aws" / "config").write_text(config)
    (home / ".aws" / "credentials").write_text(credentials)
