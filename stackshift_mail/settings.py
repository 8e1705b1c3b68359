"""All settings, in sections. What an operator may change comes from the environment (docs/configuration.md)."""

import os
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

from stackshift_mail.env import (
    BASE_DIR,
    asset_storage,
    env_bool,
    env_int,
    env_list,
    env_seconds,
    env_secret,
    env_text,
    var_folder,
)

# --- Where things are ---------------------------------------------------------------------------------------
VAR = var_folder()
PORT = env_int("PORT", 8000, minimum=1, maximum=65535)
PUBLIC_URL = env_text("PUBLIC_URL", f"http://localhost:{PORT}").rstrip("/")

# --- Security -----------------------------------------------------------------------------------------------
DEBUG = env_bool("DEBUG", False)
SECRET_KEY = env_secret("SECRET_KEY")
FIELD_KEYS = [key.strip() for key in env_secret("FIELD_KEYS").split(",") if key.strip()]
ALLOWED_HOSTS = env_list("ALLOWED_HOSTS") or [
    "localhost",
    "127.0.0.1",
    "[::1]",
    urlsplit(PUBLIC_URL).hostname or "localhost",
]
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = PUBLIC_URL.startswith("https://")
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]
AUTH_USER_MODEL = "workspaces.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
PASSWORD_RESET_TIMEOUT = 3600

# --- Applications -------------------------------------------------------------------------------------------
INSTALLED_APPS = [
    "apps.console.apps.ConsoleSiteConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_filters",
    "django_q",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "rest_framework",
    "apps.core",
    "apps.workspaces",
    "apps.keys",
    "apps.events",
    "apps.domains",
    "apps.suppressions",
    "apps.templates",
    "apps.assets",
    "apps.messages.apps.MessagesConfig",
    "apps.delivery",
    "apps.otp",
    "apps.scheduled",
    "apps.batches",
    "apps.webhooks",
    "apps.inbound",
    "apps.console.apps.ConsoleConfig",
]
MIDDLEWARE = [
    "apps.core.api.middleware.RequestIdMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "apps.core.api.middleware.ApiMiddleware",
    "apps.console.middleware.ContentSecurityPolicyMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "stackshift_mail.urls"
WSGI_APPLICATION = "stackshift_mail.wsgi.application"
APPEND_SLASH = False  # a redirect would turn a client's POST into a GET
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

# --- Database -----------------------------------------------------------------------------------------------
DATABASES = {"default": environ.Env.db_url_config(env_text("DATABASE_URL", f"sqlite:///{VAR}/stackshift.sqlite3"))}
DATABASES["default"]["CONN_MAX_AGE"] = 600  # django-q2 would connect anew for every poll otherwise
# The web server asks nothing before it asks: after an outage each connection fails once, with 503. The workers of
# django-q2 would die of it.
ROLE = env_text("STACKSHIFT_ROLE")  # "web" by gunicorn.conf.py, the name of a cluster by the worker command
DATABASES["default"]["CONN_HEALTH_CHECKS"] = ROLE != "web"
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["OPTIONS"] = {
        # Deferred transactions fail with "database is locked" as soon as two processes upgrade to a write.
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        # FULL, because "accepted" promises that the message survives a power cut.
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;",
    }
elif ROLE == "web":
    # Requests repeat the same few statements, so each connection has them planned once. Workers join whole arrays
    # with growing tables, where a plan made for an empty table would be kept too long.
    DATABASES["default"]["OPTIONS"] = {"server_side_binding": True, "prepare_threshold": 3}
elif ROLE in {"delivery", "webhooks"}:
    # A worker that waits for a lock shows no sign of life, and would be taken for dead.
    DATABASES["default"]["OPTIONS"] = {"options": "-c lock_timeout=4s -c statement_timeout=8s"}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
SILENCED_SYSTEM_CHECKS = ["models.W040"]  # what an index carries along for PostgreSQL, SQLite leaves out
REDIS_URL = env_text("REDIS_URL")
if REDIS_URL:
    CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}}

# --- Language and time --------------------------------------------------------------------------------------
LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_I18N = False
USE_TZ = True
FORMAT_MODULE_PATH = "stackshift_mail.formats"

# --- Static files -------------------------------------------------------------------------------------------
STATIC_URL = "/static/"
STATIC_ROOT = VAR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT.mkdir(exist_ok=True)
WHITENOISE_USE_FINDERS = True

# --- Assets -------------------------------------------------------------------------------------------------
ASSET_MAX_BYTES = env_int("ASSET_MAX_BYTES", 25 * 1024 * 1024, minimum=1, maximum=2**30)
ASSET_INCOMING = VAR / "incoming"  # of nameless files only; not /tmp, which may be memory
ASSET_INCOMING.mkdir(mode=0o700, exist_ok=True)
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    "assets": asset_storage(env_text("ASSETS_URL"), VAR / "assets"),
}

# --- API ----------------------------------------------------------------------------------------------------
API_MAX_BODY_BYTES = 12 * 1024 * 1024
DATA_UPLOAD_MAX_MEMORY_SIZE = API_MAX_BODY_BYTES
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["apps.keys.api.authentication.ApiKeyAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["apps.keys.api.permissions.HasScope"],
    "DEFAULT_RENDERER_CLASSES": ["apps.core.api.renderers.EnvelopeRenderer"],
    "DEFAULT_PARSER_CLASSES": ["apps.core.api.parsers.StrictJSONParser"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "apps.core.api.renderers.AlwaysJSON",
    "DEFAULT_SCHEMA_CLASS": "apps.core.api.schema.EnvelopeSchema",
    "EXCEPTION_HANDLER": "apps.core.api.errors.exception_handler",
    "UNAUTHENTICATED_USER": None,
    "UNAUTHENTICATED_TOKEN": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "StackShift Mail",
    "DESCRIPTION": "Transactional mail that a company runs itself.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_AUTHENTICATION": [],
    "SERVE_PERMISSIONS": [],
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {
        "MessageStatus": "apps.messages.states.Status.values",
        "AttemptStatus": "apps.messages.states.AttemptStatus.values",
        "DomainStatus": "apps.domains.states.Status.values",
        "DkimKeyState": "apps.domains.states.KeyState.values",
        "TemplateStatus": "apps.templates.models.Status.values",
        "ScheduledStatus": "apps.scheduled.states.Status.values",
        "BatchStatus": "apps.batches.states.BatchStatus.values",
        # Both scheduled mail and batches are of one of these.
        "ContentKind": "apps.scheduled.states.Kind.values",
        "ChallengeStatus": "apps.otp.states.Status.values",
        "WebhookStatus": "apps.webhooks.states.STATUSES",
        "WebhookDeliveryStatus": "apps.webhooks.states.DeliveryStatus.values",
        "AuthenticationResult": "apps.inbound.api.resources.VERDICTS",
        "RecordStatus": "apps.domains.api.serializers.RECORD_STATUSES",
    },
    "SCHEMA_PATH_PREFIX": "/v1",
    "PREPROCESSING_HOOKS": ["apps.core.api.schema.only_v1"],
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "apps.core.api.schema.add_error_component",
    ],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "AUTHENTICATION_WHITELIST": ["apps.keys.api.authentication.ApiKeyAuthentication"],
}

# --- Background work ----------------------------------------------------------------------------------------
DELIVERY_WORKERS = env_int("DELIVERY_WORKERS", 0) or None
# The cluster is chosen by Q_CLUSTER_NAME; ours are started by the `worker` command. A queued task is only a
# wake-up, so a failed one is dropped (ack_failures) and the rows themselves say what is still to be done.
Q_CLUSTER = {
    "name": "maintenance",
    "orm": "default",
    "workers": 1,
    "queue_limit": 1,
    "bulk": 1,
    "timeout": 300,
    "retry": 1200,
    "ack_failures": True,
    "max_attempts": 1,
    "save_limit": -1,
    "catch_up": False,
    "poll": 0.5,
    "guard_cycle": 1,
    "recycle": 500,
    "log_level": "WARNING",
    "ALT_CLUSTERS": {
        "delivery": {
            "workers": DELIVERY_WORKERS or os.cpu_count(),
            "queue_limit": DELIVERY_WORKERS or os.cpu_count(),
            "bulk": 1,
            # A last resort: a shift, its last call, and the longest SMTP conversation after it.
            "timeout": 7200,
            "retry": 14400,
            "poll": 0.2,
            "recycle": 500,
            "scheduler": False,
        },
        # Of its own, so that customers' slow servers never hold what delivers mail. One job is an event loop.
        "webhooks": {
            "workers": 1,
            "queue_limit": 1,
            "bulk": 1,
            "timeout": 7200,
            "retry": 14400,
            "poll": 0.5,
            "recycle": 500,
            "scheduler": False,
        },
    },
}

# --- Mail ---------------------------------------------------------------------------------------------------
MAIL_TRANSPORT = env_text("MAIL_TRANSPORT", "capture")
if MAIL_TRANSPORT not in {"capture", "relay", "mx"}:
    raise ImproperlyConfigured(f"MAIL_TRANSPORT must be capture, relay or mx, not {MAIL_TRANSPORT!r}")
MAIL_RELAY_URL = env_text("MAIL_RELAY_URL")
MAIL_MX_PORT = env_int("MAIL_MX_PORT", 25, minimum=1, maximum=65535)
MAIL_DNS_SERVERS = env_text("MAIL_DNS_SERVERS")
MAIL_HELO_HOST = env_text("MAIL_HELO_HOST", urlsplit(PUBLIC_URL).hostname or "localhost")
MAIL_SPF_INCLUDE = env_text("MAIL_SPF_INCLUDE", f"spf.{MAIL_HELO_HOST}")
MAIL_RETURN_PATH_HOST = env_text("MAIL_RETURN_PATH_HOST", f"bounces.{MAIL_HELO_HOST}")
MAIL_INBOUND_HOST = env_text("MAIL_INBOUND_HOST", f"inbound.{MAIL_HELO_HOST}")
MAIL_INTERNAL_TOKEN = env_text("MAIL_INTERNAL_TOKEN")  # without it /internal/mail answers 404
MAIL_INBOUND_MAX_BYTES = env_int("MAIL_INBOUND_MAX_BYTES", 40 * 1024 * 1024, minimum=64 * 1024, maximum=2**27)
MAIL_FEEDBACK_ADDRESS = env_text("MAIL_FEEDBACK_ADDRESS", f"feedback@{MAIL_RETURN_PATH_HOST}")
MAIL_LISTENER_HOST = env_text("MAIL_LISTENER_HOST", "127.0.0.1")
MAIL_LISTENER_PORT = env_int("MAIL_LISTENER_PORT", 2525, maximum=65535)
MAIL_LISTENER_CERT = env_text("MAIL_LISTENER_CERT")
MAIL_LISTENER_KEY = env_text("MAIL_LISTENER_KEY")
MAIL_LISTENER_CONNECTIONS = env_int("MAIL_LISTENER_CONNECTIONS", 100, minimum=1, maximum=10_000)
MAIL_LISTENER_TRUSTED = env_list("MAIL_LISTENER_TRUSTED", "127.0.0.0/8,::1/128")
MAIL_DMARC_REQUIRED = env_bool("MAIL_DMARC_REQUIRED", False)
MAIL_RETRY_SCHEDULE = env_seconds("MAIL_RETRY_SCHEDULE")
MAIL_ALLOWED_NETWORKS = env_list("MAIL_ALLOWED_NETWORKS")
MAIL_LEASE_SECONDS = env_int("MAIL_LEASE_SECONDS", 60, minimum=2)
MAIL_OTP_COOLDOWN_SECONDS = env_int("MAIL_OTP_COOLDOWN_SECONDS", 30, maximum=3600)
MAIL_OTP_HOURLY_LIMIT = env_int("MAIL_OTP_HOURLY_LIMIT", 5, minimum=1, maximum=1000)
MAIL_OTP_DAILY_LIMIT = env_int("MAIL_OTP_DAILY_LIMIT", 10, minimum=1, maximum=1000)

# --- Webhooks -----------------------------------------------------------------------------------------------
WEBHOOK_RETRY_SCHEDULE = env_seconds("WEBHOOK_RETRY_SCHEDULE")
WEBHOOK_ALLOWED_NETWORKS = env_list("WEBHOOK_ALLOWED_NETWORKS")

# --- Logging ------------------------------------------------------------------------------------------------
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    # "Not ready yet" is an answer and no error; `quickstart` and load balancers ask until it is another.
    "filters": {
        "not_of_readyz": {
            "()": "django.utils.log.CallbackFilter",
            "callback": lambda record: getattr(getattr(record, "request", None), "path", "") != "/readyz",
        }
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": env_text("LOG_LEVEL", "INFO").upper()},
    "loggers": {
        "django.security.DisallowedHost": {"level": "CRITICAL"},
        "django-q": {"level": "WARNING"},
        "django.request": {"level": "ERROR", "filters": ["not_of_readyz"]},
    },
}
