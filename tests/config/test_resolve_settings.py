"""What a kind must be told beside a credential."""

import pytest

from gatewright.config import ConfigError, load_config


def resolved(text, tmp_path, **environ):
    file = tmp_path / "gatewright.yaml"
    file.write_text(f"providers:\n  it: {text}\n")
    return load_config(file, {"GATEWRIGHT_HOME": str(tmp_path), **environ}).providers["it"]


def refused(text, tmp_path, **environ):
    with pytest.raises(ConfigError) as error:
        resolved(text, tmp_path, **environ)
    return str(error.value)


def test_the_file_comes_first_then_the_environment_then_the_kind(tmp_path):
    """Each setting for itself."""
    text = "{kind: vertex, project: mine, api_key: k, auth: bearer}"
    provider = resolved(text, tmp_path, GOOGLE_CLOUD_PROJECT="theirs", CLOUD_ML_REGION="us-east5")
    assert provider.settings == {"project": "mine", "location": "us-east5"}
    assert provider.base_url == "https://us-east5-aiplatform.googleapis.com"
    assert resolved(text, tmp_path).base_url == "https://aiplatform.googleapis.com"


def test_a_setting_may_be_a_reference(tmp_path):
    """As any other word of the file."""
    provider = resolved("{kind: cloudflare, account: 'env:ACC', api_key: k}", tmp_path, ACC="0f1e")
    assert provider.base_url == "https://api.cloudflare.com/client/v4/accounts/0f1e/ai/v1"


def test_a_workspaces_url_is_as_good_as_its_name(tmp_path):
    """Its own variable holds a URL."""
    provider = resolved("{kind: databricks, api_key: k}", tmp_path, DATABRICKS_HOST="https://dbc-1.cloud.databricks.com/")
    assert provider.base_url == "https://dbc-1.cloud.databricks.com/serving-endpoints"


@pytest.mark.parametrize("value", ["a/b", "a?b", "a b", "a#b", "../x", "a@b.example", "{project}"])
def test_a_setting_cannot_lead_elsewhere(value, tmp_path):
    """It becomes part of a URL that a credential goes to."""
    said = refused(f"{{kind: azure, resource: '{value}', api_key: k}}", tmp_path)
    assert "cannot stand in a URL" in said
    assert "providers.it.resource" in said


def test_what_is_missing_is_named_with_what_it_means(tmp_path):
    """And the way round it."""
    assert 'missing key "resource" (name of the Azure resource, in place of a base URL; or set AZURE_OPENAI_RESOURCE' in refused(
        "{kind: azure, api_key: k}", tmp_path
    )
    assert 'missing key "project" (or set GOOGLE_CLOUD_PROJECT or' in refused("{kind: vertex, auth: google}", tmp_path)


def test_clients_bring_keys_that_need_no_project(tmp_path):
    """As the gateway's own key would."""
    assert resolved("{kind: vertex, credentials: client}", tmp_path).auth == "x-goog-api-key"


def test_a_setting_of_another_kind_is_refused(tmp_path):
    """A typo in the kind shows."""
    assert 'kind "groq" has no such setting; it has none of these' in refused("{kind: groq, api_key: k, region: x}", tmp_path)


def test_a_base_url_of_the_operators_own_needs_no_setting(tmp_path):
    """What people copy from the vendor's pages is cut where the shape begins."""
    for written in ("https://r.openai.azure.com", "https://r.openai.azure.com/openai/v1/", "https://r.openai.azure.com/openai"):
        provider = resolved(f"{{kind: azure, base_url: '{written}', api_key: k}}", tmp_path)
        assert set(provider.bases.values()) == {"https://r.openai.azure.com"}


def test_googles_credentials_file_may_name_the_project(tmp_path):
    """What is said elsewhere holds before it; a file that cannot be read is told once, as the credential that it is."""
    key = tmp_path / "key.json"
    key.write_text(
        '{"type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "r", "quota_project_id": "p-1"}'
    )
    text = f"{{kind: vertex, credentials_file: '{key}'}}"
    assert resolved(text, tmp_path).settings["project"] == "p-1"
    assert resolved(text, tmp_path, GOOGLE_CLOUD_PROJECT="p-2").settings["project"] == "p-2"
    assert resolved("{kind: vertex}", tmp_path, GOOGLE_APPLICATION_CREDENTIALS=str(key)).settings["project"] == "p-1"
    assert 'missing key "project"' in refused("{kind: vertex, credentials_file: /nowhere.json}", tmp_path)
