"""What serves the house: an ASGI application that opens and closes it, and uvicorn with the fast lane under that.

`create_app()` gives an application for embedding, which reads its configuration once; those that `serve()` runs, one in each
worker, follow their file. Part of the composition root.
"""

import gc
import logging
import os
import secrets
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import msgspec
import uvicorn

from gatewright.app import generation_of
from gatewright.config import Config, ConfigError, ConfigProblem, from_environment, load_config, with_client_key
from gatewright.config.tree import TOP
from gatewright.house import Generation, House
from gatewright.logs import set_up
from gatewright.measuring import RUN_VARIABLE
from gatewright.reload import Reloader
from gatewright.server.asgi import AsgiApp
from gatewright.server.lane import FastLane
from gatewright.server.run import run
from gatewright.sharing import share
from gatewright.stores.peers import FOLDER as PEERS_FOLDER
from gatewright.stores.peers import Peers

log = logging.getLogger("gatewright")

CONFIG_VARIABLE = "GATEWRIGHT_CONFIG"
"""Path of the configuration file, for worker processes and for `create_app()` without arguments."""


def create_app(config: Config | None = None) -> AsgiApp:
    """An ASGI application. Without a configuration: the file that $GATEWRIGHT_CONFIG names, else the environment."""
    return _app(config, reloads=False)


def reloading_app(config: Config | None = None) -> AsgiApp:
    """As `create_app`; changes of the file are taken over while it serves. For processes of our own: it takes SIGHUP."""
    return _app(config, reloads=True)


def _app(config: Config | None, *, reloads: bool) -> AsgiApp:
    environ = os.environ
    if config is None:
        named = environ.get(CONFIG_VARIABLE)
        config = load_config(Path(named), environ) if named else from_environment(environ)
    config, _ = with_client_key(config, environ)
    if reloads:
        set_up(config, pid=RUN_VARIABLE in environ)
    house = House(generation_of(config, environ))
    path, state_dir = Path(config.source), config.server.state_dir
    peers = Peers(Path(state_dir) / PEERS_FOLDER)
    share(house.current.health, peers, lambda: house.current.config.providers)
    reloader: Reloader | None = None

    async def startup() -> None:
        nonlocal reloader
        # What exists now lives for ever: keep the collector from walking it, and let it run more rarely.
        gc.collect()
        gc.freeze()
        gc.set_threshold(200_000, 20, 20)
        house.current.begin()
        house.current.measures.start()
        if reloads:
            reloader = Reloader(house, partial(_next_generation, path, environ, state_dir), app.hand_on, peers)
            reloader.start()
            house.current.desk.ask = reloader.reload_everywhere
        await house.current.directory.start(peers)
        try:
            peers.open()
        except OSError as error:
            log.warning("warning: workers share nothing, each finds out for itself what fails: %s", error)

    async def shutdown() -> None:
        if reloader is not None:
            await reloader.stop()
        peers.close()
        await house.close()
        await house.current.measures.close()

    app = AsgiApp(house.current.gateway, startup=startup, shutdown=shutdown)
    return app


def _next_generation(path: Path, environ: Mapping[str, str], state_dir: str, before: Generation) -> Generation:
    """What the file describes now, with the stores where they are. Raises ConfigError, GatewrightError, OSError, ValueError."""
    config = load_config(path, environ)
    if not path.read_bytes().strip():  # an editor's or a disk's accident, which would take everything away
        raise ConfigError(config.source, (ConfigProblem(place=TOP, message="is empty"),))
    asked, _ = with_client_key(config, environ)
    held = msgspec.structs.replace(asked, server=msgspec.structs.replace(asked.server, state_dir=state_dir))
    return msgspec.structs.replace(generation_of(held, environ, before), config=asked)


def serve(config: Config, *, host: str | None = None, port: int | None = None, workers: int | None = None) -> None:
    """Serve until told to stop. More than one worker needs the configuration to come from a file or the environment."""
    count = workers or config.server.workers
    if config.source and Path(config.source).is_file():
        os.environ[CONFIG_VARIABLE] = str(Path(config.source).absolute())  # not `resolve`: a link may lead elsewhere tomorrow
    if count > 1:
        os.environ[RUN_VARIABLE] = secrets.token_hex(8)
    else:
        os.environ.pop(RUN_VARIABLE, None)
    set_up(config, pid=count > 1)
    application: AsgiApp | str = reloading_app(config) if count == 1 else "gatewright.serving:reloading_app"
    settings = uvicorn.Config(
        application,
        factory=count > 1,
        host=host or config.server.host,
        port=config.server.port if port is None else port,
        workers=count,
        http=FastLane,
        loop="uvloop",
        ws="none",
        lifespan="on",
        interface="asgi3",
        backlog=4096,
        access_log=False,
        log_config=None,
        log_level=config.logging.level,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=config.server.drain_s,
        ssl_certfile=config.server.tls_cert_file,
        ssl_keyfile=config.server.tls_key_file,
    )
    run(settings)
