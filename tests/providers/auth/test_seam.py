"""What a credential's failure says."""

from gatewright.providers.auth.seam import Unsigned, failed


def test_a_failure_names_provider_and_account_and_when_to_come_back():
    """For the client's log; `retry-after` never below a second."""
    problem = failed("cloud", "bot@x", "it was revoked", retry_after_s=0.2).problem
    assert problem.message == "The credential of bot@x for provider 'cloud' cannot be used: it was revoked"
    assert problem.code == "credential_failed"
    assert problem.http_status == 502
    assert problem.headers == (("retry-after", "1"),)
    assert failed("cloud", "", "x").problem.message.startswith("The credential for provider 'cloud'")
    assert failed("cloud", "", "x").problem.headers == ()


def test_the_host_of_a_call():
    """As signatures want it."""
    assert Unsigned("GET", "https://a.example:8443", b"/", b"", b"").host == "a.example:8443"
