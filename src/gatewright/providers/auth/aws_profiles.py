"""AWS profiles: `~/.aws/config` and `~/.aws/credentials`, read into one mapping, and the region that is named around us.

One rule: what a file says is data; following it (assuming a role, asking a server) is `aws_sources`' business.
https://docs.aws.amazon.com/cli/v1/userguide/cli-configure-files.html
"""

import configparser
import shlex
from collections.abc import Mapping
from pathlib import Path

import msgspec

Settings = Mapping[str, str]

DEFAULT = "default"


class BadProfile(ValueError):
    """A profile or its file cannot be used. The message says which and why, never a value."""


class Profiles(msgspec.Struct, frozen=True):
    """What the two files say, by name of profile; in lower case within."""

    profiles: Mapping[str, Settings] = {}
    sso_sessions: Mapping[str, Settings] = {}
    read_from: tuple[str, ...] = ()
    """The files that were there."""

    def named(self, name: str) -> Settings:
        """Raises BadProfile when there is none of that name."""
        found = self.profiles.get(name)
        if found is None:
            known = ", ".join(sorted(self.profiles)[:12]) or "none"
            files = " and ".join(self.read_from) or "neither of AWS's two files, for there are none"
            raise BadProfile(f"there is no AWS profile '{name}' in {files}; there are: {known}")
        return found


def parse(config: str, credentials: str, read_from: tuple[str, ...] = ()) -> Profiles:
    """The two files' text. Where both tell of a key, the credentials file wins. Raises BadProfile."""
    profiles: dict[str, dict[str, str]] = {}
    sessions: dict[str, Settings] = {}
    for section, settings in _sections(config, "config").items():
        kind, name = _heading(section)
        if kind == "profile":
            profiles.setdefault(name, {}).update(settings)
        elif kind == "sso-session":
            sessions[name] = settings
    for section, settings in _sections(credentials, "credentials").items():
        profiles.setdefault(section.strip(), {}).update(settings)
    return Profiles(profiles, sessions, read_from)


def _sections(text: str, which: str) -> dict[str, dict[str, str]]:
    parser = configparser.RawConfigParser(default_section="\0", strict=False, allow_no_value=True)
    try:
        parser.read_string(text)
    except configparser.Error as error:
        line = getattr(error, "lineno", None) or next(iter(getattr(error, "errors", [])), (None,))[0]
        raise BadProfile(f"AWS's {which} file cannot be read{f' at line {line}' if line else ''}: it is no INI file") from None
    return {section: {key: value.strip() for key, value in parser.items(section) if value} for section in parser.sections()}


def _heading(section: str) -> tuple[str, str]:
    """(kind, name) of a heading in the config file: `[default]`, `[profile x]`, `[sso-session x]`."""
    try:
        words = shlex.split(section)
    except ValueError:
        words = section.split()
    if words == [DEFAULT]:
        return "profile", DEFAULT
    return (words[0], words[1]) if len(words) == 2 else ("", section)


def read(environ: Mapping[str, str]) -> Profiles:
    """The files that the environment names, else those of the home folder. Blocks; a file that is not there is empty."""
    home = Path(environ.get("HOME") or "~").expanduser()
    config, credentials = (
        Path(environ.get(variable) or home / ".aws" / name).expanduser()
        for variable, name in (("AWS_CONFIG_FILE", "config"), ("AWS_SHARED_CREDENTIALS_FILE", "credentials"))
    )
    there = tuple(str(path) for path in (config, credentials) if path.is_file())
    return parse(_text(config), _text(credentials), there)


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise BadProfile(f"AWS's file {path} cannot be read: {getattr(error, 'strerror', None) or 'it is not UTF-8'}") from None


def profile_name(environ: Mapping[str, str], chosen: str = "") -> str:
    """The profile in use: the one configured, else $AWS_PROFILE, else `default`."""
    return chosen or environ.get("AWS_PROFILE") or environ.get("AWS_DEFAULT_PROFILE") or DEFAULT


def region_of(environ: Mapping[str, str], profiles: Profiles, profile: str = "") -> str:
    """The region that the surroundings name; empty when none does. A configured profile's own comes first."""
    named = profiles.profiles.get(profile_name(environ, profile), {}).get("region", "")
    around = environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or ""
    return (named or around) if profile else (around or named)


SUFFIXES: tuple[tuple[str, str], ...] = (("cn-", "amazonaws.com.cn"), ("eusc-", "amazonaws.eu"))
"""Regions whose services lie under another domain than amazonaws.com."""


def domain(region: str) -> str:
    """Under which the region's services lie."""
    return next((suffix for start, suffix in SUFFIXES if region.startswith(start)), "amazonaws.com")


REGIONS: frozenset[str] = frozenset((
    "af-south-1", "ap-east-1", "ap-east-2", "ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-south-2",
    "ap-southeast-1", "ap-southeast-2", "ap-southeast-3", "ap-southeast-4", "ap-southeast-5", "ap-southeast-6",
    "ap-southeast-7", "ca-central-1", "ca-west-1", "cn-north-1", "cn-northwest-1", "eu-central-1", "eu-central-2",
    "eu-north-1", "eu-south-1", "eu-south-2", "eu-west-1", "eu-west-2", "eu-west-3", "eusc-de-east-1", "il-central-1",
    "me-central-1", "me-south-1", "mx-central-1", "sa-east-1", "us-east-1", "us-east-2", "us-gov-east-1", "us-gov-west-1",
    "us-west-1", "us-west-2",
))  # fmt: skip
"""Those known on 2026-11-21, for hints: others may be used."""
