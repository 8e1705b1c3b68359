"""How the web server runs; `quickstart` starts gunicorn with this file, and so may a unit file or container."""

import gc
import os
from typing import Any
from urllib.parse import urlsplit

from stackshift_mail.env import env_int, env_text

public_host = urlsplit(env_text("PUBLIC_URL")).hostname
# Reachable from outside only where somebody has said under which name.
is_public = public_host not in (None, "localhost", "127.0.0.1", "::1")
bind = f"{'0.0.0.0' if is_public else '127.0.0.1'}:{env_int('PORT', 8000, minimum=1, maximum=65535)}"  # noqa: S104 - see above
wsgi_app = "stackshift_mail.wsgi"
raw_env = ["STACKSHIFT_ROLE=web"]
workers = env_int("WEB_WORKERS", 0) or os.cpu_count() or 1
# Threads, so that one slow answer does not hold up the others. Against clients that are slow on purpose only a
# buffering proxy in front helps: see docs/configuration.md.
worker_class = "gthread"
threads = 4
umask = 0o077
timeout = 60
graceful_timeout = 5
keepalive = 10
limit_request_line = 8190
max_requests = 50_000
max_requests_jitter = 5_000
# Workers must not share a heartbeat file on a slow disk.
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: S108 - a folder of the system's, not a file
loglevel = "warning"
control_socket_disable = True


def post_worker_init(worker: Any) -> None:
    """What was loaded at the start stays; the collector need not walk through it again and again beside requests."""
    gc.collect()
    gc.freeze()
