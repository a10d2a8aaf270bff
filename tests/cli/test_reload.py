"""`gatewright reload` against a real gateway: who asks is told what changed, or why nothing did."""

import asyncio
import os
import sys

from tests.pipeline.test_admin import ADMIN, configured, governed
from tests.server.load import answering
from tests.server.test_process import free_port, served
from tests.serving import KEY, upstream
from tests.test_reload import write, yaml


async def reload(*words: str, key: str = ADMIN, piped: bool = False) -> tuple[int, str, str]:
    """Exit code, standard output, standard error."""
    environ = {name: value for name, value in os.environ.items() if name != "GATEWRIGHT_KEY"}
    if not piped:
        environ["GATEWRIGHT_KEY"] = key
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gatewright", "reload", *words,
        env=environ, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await asyncio.wait_for(process.communicate(f"{key}\n".encode() if piped else b""), 60)
    return process.returncode, out.decode(), err.decode()


async def test_who_reloads_is_told_what_changed_or_why_nothing_did(tmp_path):
    """By name; a bad file with its place, and exit code 1; and only an admin's key may."""
    async with upstream() as up, served(tmp_path, yaml(up.port, server="watch: true")) as gw:
        answering(up)
        await governed(gw, tmp_path, yaml(up.port, server="watch: false"))
        here = f"http://127.0.0.1:{gw.port}"
        write(tmp_path, configured(yaml(up.port, server="watch: false", models="  fresh: {targets: [up/m]}")))
        code, out, err = await reload("--url", here)
        assert (code, err) == (0, "")
        assert out.splitlines()[0] == f"{tmp_path / 'gatewright.yaml'} was read again, by 1 of 1 worker"
        assert "  models added: fresh" in out.splitlines()
        assert (await reload("--url", here, piped=True))[0] == 0, "a key on standard input is as good"
        write(tmp_path, configured(yaml(up.port, server="watch: false", models="  fresh: {targets: [nowhere/m]}")))
        code, out, err = await reload("--url", here)
        assert (code, out) == (1, "")
        assert err.startswith("422: Not taken over; what was loaded before goes on. ")
        assert "gatewright.yaml:" in err
        assert "nowhere" in err
        code, out, err = await reload("--url", here, key=KEY)
        assert (code, out, err[:4]) == (1, "", "403:")
        code, out, err = await reload("--url", here, "--json", key="gw-wrong")
        assert (code, err) == (1, "")
        assert '"error"' in out


async def test_where_nobody_listens_it_says_so(tmp_path):
    """Exit code 2, as where the configuration is no good; and the address that was tried."""
    port = free_port()
    file = tmp_path / "gatewright.yaml"
    file.write_text(f"server: {{port: {port}}}\nkeys: [{{name: k, key: {KEY}}}]\n")
    code, out, err = await reload("--config", str(file))
    assert (code, out) == (2, "")
    assert err.startswith(f"http://127.0.0.1:{port}/admin/v1/reload does not answer: ")
    assert (await reload("--url", "file:///etc/passwd"))[0] == 2
    assert "an admin's key is needed" in (await reload("--config", str(file), key="", piped=True))[2]
