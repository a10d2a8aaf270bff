"""Formats of keys and tokens, as their issuers document them, and how each is told from a string that looks alike.

One rule: a row's pattern begins with what only that issuer writes; its check decides.
"""

from string import ascii_letters, digits
from typing import Final

from gatewright.guards.detect.scan import Row
from gatewright.guards.detect.secret_checks import (
    aws_key_id,
    base64_of,
    github,
    jwt,
    password_in_url,
    private_key,
    pypi,
    random_enough,
    secret_value,
)

_SOME: Final = random_enough(2.8)
_GOOD: Final = random_enough(3.4)
_HEX: Final = random_enough(2.8)

ROWS: Final[tuple[Row, ...]] = (
    # https://platform.openai.com/docs/api-reference/authentication: `T3BlbkFJ` is "OpenAI" in base64
    Row("openai_key", r"\bsk-(?:(?:proj|svcacct|admin|None)-[\w-]{20,120})?[A-Za-z0-9]{0,20}T3BlbkFJ[\w-]{20,120}", _GOOD),
    # https://docs.anthropic.com/en/api/overview: keys of the API, of admins, and tokens of logins
    Row("anthropic_key", r"\bsk-ant-(?:api|admin|oat|ort|sid)\d\d-[\w-]{80,120}", _GOOD),
    Row("openrouter_key", r"\bsk-or-v1-[0-9a-f]{64}\b", _HEX),
    Row("groq_key", r"\bgsk_[A-Za-z0-9]{52}\b", _GOOD),
    Row("xai_key", r"\bxai-[A-Za-z0-9]{80}\b", _GOOD),
    Row("perplexity_key", r"\bpplx-[A-Za-z0-9]{48}\b", _GOOD),
    Row("replicate_key", r"\br8_[A-Za-z0-9]{37}\b", _GOOD),
    Row("cerebras_key", r"\bcsk-[a-z0-9]{48}\b", _GOOD),
    Row("nvidia_key", r"\bnvapi-[\w-]{60,70}", _GOOD),
    Row("langsmith_key", r"\blsv2_(?:pt|sk)_[0-9a-f]{32}_[0-9a-f]{10}\b", _HEX),
    # https://huggingface.co/docs/hub/security-tokens
    Row("huggingface_token", r"\bhf_[A-Za-z0-9]{34}\b", _GOOD),
    Row("huggingface_token", r"\bapi_org_[A-Za-z]{34}\b", _GOOD),
    # https://cloud.google.com/docs/authentication/api-keys
    Row("google_api_key", r"\bAIza[\w-]{35}", _GOOD),
    Row("google_oauth_secret", r"\bGOCSPX-[\w-]{28}", _GOOD),
    Row("google_oauth_token", r"\bya29\.[\w-]{40,400}", _GOOD),
    # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html
    Row("aws_access_key_id", r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}\b", aws_key_id, not_after=b"/+", not_before=b"/+="),
    Row(
        "aws_secret_access_key",
        r"(?i:\baws|\bsecret[_-]?access)[\w-]{0,30}[\"']?\s{0,3}[:=]\s{0,3}[\"']?([A-Za-z0-9+/]{40})",
        base64_of(30),
        led=True,
        not_before=b"/+" + ascii_letters.encode() + digits.encode(),
    ),
    Row("bedrock_api_key", r"\bABSK[A-Za-z0-9+/]{100,180}={0,2}", _GOOD),
    # https://github.blog/engineering/platform-security/behind-githubs-new-authentication-token-formats/
    Row("github_token", r"\bgh[pousr]_[A-Za-z0-9]{36}\b", github),
    Row("github_fine_grained_token", r"\bgithub_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}\b", _GOOD),
    # https://docs.gitlab.com/security/tokens/#token-prefixes
    Row(
        "gitlab_token",
        r"\bgl(?:pat|dt|rt|cbt|ptt|ft|imt|agent|oas|soat|ffct)-(?:t\d_)?[\w-]{20,300}(?:\.[0-9a-z]{2}[0-9a-z]{7})?",
        _GOOD,
    ),
    # https://docs.slack.dev/authentication/tokens
    Row("slack_token", r"\bxox[abeoprs](?:\.xox[bp])?-(?:\d{1,14}-){1,3}[A-Za-z0-9-]{10,250}", _SOME),
    Row("slack_app_token", r"\bxapp-\d-[A-Z0-9]{8,14}-\d{10,14}-[a-f0-9]{64}\b", _HEX),
    Row(
        "slack_webhook",
        r"https://hooks\.slack\.com/(?:services|workflows|triggers)/[A-Z0-9]{8,14}/[A-Z0-9]{8,20}/[A-Za-z0-9]{20,60}",
        _SOME,
    ),
    # https://docs.stripe.com/keys
    Row("stripe_key", r"\b[sr]k_(?:live|test|prod)_[A-Za-z0-9]{24,250}\b", _GOOD),
    Row("stripe_webhook_secret", r"\bwhsec_[A-Za-z0-9+/]{32,64}", _GOOD),
    # https://docs.npmjs.com/about-access-tokens
    Row("npm_token", r"\bnpm_[A-Za-z0-9]{36}\b", _GOOD),
    # https://pypi.org/help/#apitoken
    Row("pypi_token", r"\bpypi-Ag[EI][A-Za-z0-9_-]{60,1000}", pypi),
    # https://learn.microsoft.com/en-us/purview/sit-defn-azure-storage-account-key-generic
    Row("azure_storage_key", r"\bAccountKey=([A-Za-z0-9+/]{86}==)", base64_of(64), led=True),
    Row("azure_sas", r"\bsig=([A-Za-z0-9%]{40,70}%3[dD])", _GOOD, led=True),
    Row("azure_client_secret", r"\b[A-Za-z0-9_~.]{3}[0-9]Q~[\w~.-]{31,34}", _GOOD),
    Row("azure_ai_key", r"\b[A-Za-z0-9]{52}JQQJ99[A-Za-z0-9]{26}\b", _GOOD),
    Row("digitalocean_token", r"\bdo[oprt]_v1_[0-9a-f]{64}\b", _HEX),
    Row("databricks_token", r"\bdapi[0-9a-f]{32}(?:-\d)?\b", _HEX),
    Row("sendgrid_key", r"\bSG\.[\w-]{22}\.[\w-]{43}", _GOOD),
    Row("telegram_bot_token", r"\b\d{8,10}:AA[\w-]{33}", _GOOD),
    Row("docker_token", r"\bdckr_[po]at_[\w-]{27,32}", _GOOD),
    Row("grafana_token", r"\bglsa_[A-Za-z0-9]{32}_[0-9a-fA-F]{8}\b", _GOOD),
    Row("vault_token", r"\bhv[sbr]\.[\w-]{90,200}", _GOOD),
    Row("terraform_token", r"\b[A-Za-z0-9]{14}\.atlasv1\.[\w-]{60,70}", _GOOD),
    Row("shopify_token", r"\bshp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}\b", _HEX),
    Row("linear_key", r"\blin_(?:api|oauth)_[A-Za-z0-9]{40,64}\b", _GOOD),
    Row("notion_token", r"\bsecret_[A-Za-z0-9]{43}\b", _GOOD),
    Row("notion_token", r"\bntn_[A-Za-z0-9]{40,50}\b", _GOOD),
    Row("atlassian_token", r"\bATATT3[\w=-]{180,250}", _GOOD),
    Row("postman_key", r"\bPMAK-[0-9a-f]{24}-[0-9a-f]{34}\b", _HEX),
    Row("sentry_token", r"\bsntrys_eyJ[A-Za-z0-9+/=_-]{60,500}", _GOOD),
    Row("supabase_token", r"\bsbp_[0-9a-f]{40}\b", _HEX),
    Row("supabase_token", r"\bsb_secret_[\w-]{30,50}", _GOOD),
    Row("doppler_token", r"\bdp\.(?:pt|st|ct|sa)\.[\w.-]{40,60}", _GOOD),
    Row("langfuse_key", r"\bsk-lf-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", _HEX),
    Row("age_key", r"\bAGE-SECRET-KEY-1[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58}\b", _GOOD),
    Row("gatewright_key", r"\bgw-[\w-]{43}\b", _GOOD),
    # https://www.rfc-editor.org/rfc/rfc7519
    Row("jwt", r"\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{16,}", jwt),
    # https://www.rfc-editor.org/rfc/rfc7468; of OpenSSH and PGP too
    Row(
        "private_key",
        r"-----BEGIN (?:[A-Z0-9]{2,20} ){0,3}PRIVATE KEY(?: BLOCK)?-----"
        r"(?:[A-Za-z0-9+/=\\]|[\r\n]+[ \t]{0,16}|[\w-]{1,40}: [^\r\n]{1,200}[\r\n])*"
        r"(?:-----END [A-Z0-9 ]{2,60}-----)?",
        private_key,
    ),
    # a password in the URL of a database or a host: RFC 3986 3.2.1
    Row(
        "url_password",
        r"\b[a-z][a-z0-9+.-]{1,20}://[^\s:@/?#\"'<>]{0,64}:([^\s:@/?#\"'<>]{3,128})@[\w\[]",
        password_in_url,
        led=True,
    ),
    Row(
        "generic",
        r"(?i:(?:api|access|auth|secret|private|client|signing|encryption|master|service)[_-]?(?:key|token|secret)|passw(?:or)?d"
        r"|\bpwd|\bsecret|\bbearer|[_-]token)[\"'\]]{0,3}(?:\s{0,3}(?::=|=>|[:=])|\s)\s{0,3}[\"'`]?([A-Za-z0-9_+/=.~!@#%^&*-]{16,})",
        secret_value,
        led=True,
    ),
)
