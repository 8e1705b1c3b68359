"""How the web server runs; `quickstart` starts gunicorn with this file, and so may a unit file or container."""

import os
from urllib.parse import urlsplit

port = os.environ.get("PORT", "8000")
public_host = urlsplit(os.environ.get("PUBLIC_URL", "")).hostname
# Reachable from outside only where somebody has said under which name.
bind = f"{'0.0.0.0' if public_host not in (None, 'localhost', '127.0.0.1', '::1') else '127.0.0.1'}:{port}"  # noqa: S104
wsgi_app = "stackshift_mail.wsgi"
workers = int(os.environ.get("WEB_WORKERS") or os.cpu_count() or 1)
worker_class = "gthread"  # slow clients must not hold a whole process
threads = 4
timeout = 60
graceful_timeout = 5
keepalive = 10
max_requests = 50_000
max_requests_jitter = 5_000
# Workers must not share a heartbeat file on a slow disk.
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: S108
loglevel = "warning"
control_socket_disable = True
raw_env = ["STACKSHIFT_ROLE=web"]
