"""Ten days of mail, written by SQL: each message with its content, recipient, attempt, events and idempotency key."""

from bench.databases import Database

MESSAGES, DAYS, WORKSPACES = 1_000_000, 10, 20
WAITING, LOG_ENTRIES = 2_000, 100_000
SMALL, POPULAR = "small", "monitor@host.example"
# The platform's ids: milliseconds, version 7, and random bits that differ from table to table.
ID = "(lpad(to_hex(m.ms), 12, '0') || '7' || substr(m.hash, {at}, 3) || '8' || substr(m.hash, {at} + 3, 15))::uuid"
MESSAGE, RECIPIENT, ATTEMPT = ID.format(at=1), ID.format(at=4), ID.format(at=7)
QUEUED, SENT, KEY, BOUNCE = ID.format(at=10), ID.format(at=12), ID.format(at=13), ID.format(at=14)

COPY_WORKSPACES = f"""
INSERT INTO workspaces_workspace
SELECT made.* FROM workspaces_workspace w CROSS JOIN generate_series(2, {WORKSPACES} + 1) AS number
CROSS JOIN LATERAL jsonb_populate_record(w, jsonb_build_object(
    'id', gen_random_uuid(),
    'slug', CASE WHEN number > {WORKSPACES} THEN '{SMALL}' ELSE 'bench-' || number END
)) AS made
"""
# What every table's rows follow from. The newest wait; few failed; few belong to the small workspace.
FACTS = f"""
CREATE UNLOGGED TABLE facts AS
SELECT f.*, to_timestamp(f.ms / 1000.0) AS at, md5(f.number::text) AS hash, w.id AS workspace_id
FROM (
    SELECT number,
        ((extract(epoch FROM now()) - {DAYS} * 86400.0 * (1 - number / {MESSAGES}.0)) * 1000)::bigint AS ms,
        CASE WHEN number > {MESSAGES - WAITING} THEN 'deferred' WHEN number % 100 = 0 THEN 'bounced'
            WHEN number % 200000 = 1 THEN 'failed' ELSE 'sent' END AS status,
        CASE WHEN number % 10 = 3 THEN '{POPULAR}'
            ELSE 'reader' || number % 400000 || '@host' || number % 50 || '.example' END AS email,
        CASE WHEN number % 100000 = 7 THEN {WORKSPACES + 1} ELSE number % {WORKSPACES} + 1 END AS place
    FROM generate_series(1, {MESSAGES}) AS number
) AS f
JOIN (
    SELECT id, row_number() OVER (ORDER BY slug = '{SMALL}', slug) AS place FROM workspaces_workspace
) AS w USING (place)
"""
ROWS = (
    f"""INSERT INTO mail_messages_message (id, workspace_id, status, from_email, from_name, subject, rfc_message_id,
        idempotency_key, stream, tags, size, created_at, updated_at, sent_at)
    SELECT {MESSAGE}, workspace_id, status, 'shop@shop.example', 'Shop', 'Your order ' || number,
        {MESSAGE} || '@shop.example', 'order-' || number, '', '{{}}', 4000, at, at, at FROM facts m ORDER BY number""",
    f"""INSERT INTO mail_messages_messagecontent (message_id, reply_to_email, reply_to_name, headers, text, scenario)
    SELECT {MESSAGE}, '', '', '{{}}', repeat('Thank you for your order. ', 4), '' FROM facts m ORDER BY number""",
    f"""INSERT INTO mail_messages_recipient (id, workspace_id, message_id, kind, position, email, name, status, lane,
        next_attempt_at, wait_code, waiting_since, queued_at, finished_at, attempt_count)
    SELECT {RECIPIENT}, workspace_id, {MESSAGE}, 'to', 0, email, '', status, 1,
        CASE WHEN status = 'deferred' THEN now() END, CASE WHEN status = 'deferred' THEN 'retry' ELSE '' END,
        CASE WHEN status = 'deferred' THEN at END, at, CASE WHEN status <> 'deferred' THEN at END, 1
    FROM facts m ORDER BY number""",
    f"""INSERT INTO mail_messages_attempt (id, workspace_id, message_id, recipient_id, email, number, status, transport,
        remote_host, remote_address, tls, smtp_code, enhanced_code, response, fault, rule, conversation, started_at,
        finished_at)
    SELECT {ATTEMPT}, workspace_id, {MESSAGE}, {RECIPIENT}, email, 1,
        CASE WHEN status = 'bounced' THEN 'failed' ELSE status END, 'mx', 'mx.host.example', '203.0.113.9', 'TLSv1.3',
        CASE WHEN status = 'sent' THEN 250 ELSE 550 END, '2.0.0', '250 2.0.0 Ok: queued as 4XyZ', '', '',
        '[["MAIL FROM:<x@y.example>", "250 2.1.0 Ok", 3], ["DATA", "354 End data", 2]]', at, at
    FROM facts m ORDER BY number""",
    f"""INSERT INTO mail_messages_bounce (id, workspace_id, message_id, recipient_id, email, type, source, smtp_code,
        enhanced_code, diagnostic, occurred_at, created_at)
    SELECT {BOUNCE}, workspace_id, {MESSAGE}, {RECIPIENT}, email, 'hard', 'smtp_log', 550, '5.1.1',
        '550 5.1.1 No such user', at, at FROM facts m WHERE status = 'bounced' ORDER BY number""",
    f"""INSERT INTO events_event (id, workspace_id, type, resource_type, resource_id, message_id, data, created_at)
    SELECT e.id, workspace_id, 'mail.message.' || e.name, 'message', {MESSAGE}, {MESSAGE}, '{{}}', at
    FROM facts m CROSS JOIN LATERAL (VALUES ({QUEUED}, 'queued'), ({SENT}, status)) AS e (id, name) ORDER BY 1""",
    f"""INSERT INTO keys_idempotencykey (id, workspace_id, family, key, fingerprint, resource_id, created_at)
    SELECT {KEY}, workspace_id, 'send', 'order-' || number, m.hash, {MESSAGE}, at FROM facts m ORDER BY number""",
    f"""INSERT INTO django_admin_log (action_time, object_repr, action_flag, change_message, user_id, object_id)
    SELECT at, 'a workspace', 2, 'Changed.', u.id, {MESSAGE}::text
    FROM facts m CROSS JOIN (SELECT min(id) AS id FROM workspaces_user) AS u
    WHERE number % {MESSAGES // LOG_ENTRIES} = 0 ORDER BY number""",
)


def write(database: Database) -> None:
    """Around the one workspace that is there."""
    database.query(COPY_WORKSPACES)
    database.query(FACTS)
    for rows in ROWS:
        # What refers to what is right by construction, and checking it row by row would take longer than writing.
        database.query(f"SET session_replication_role = replica; {rows}")
    database.settle()
