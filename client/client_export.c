/*
 * client_export.c: a session as bytes, so that a program that was ended goes on
 * with it. Numbers are varints; strings have their length before them:
 *
 *   "TRSX"  version  account  full JID  device  id  token  host that made it,
 *   with its port and schema revision
 *   [2: location, with its port and schema revision]
 *   mechanism  flags  in  acked  last number  schema revision of frames
 *   stanzas in the outbox: how many; each: number, flags, frame
 *   stanzas not given out: how many; each: its count, frame
 *
 * Version 1 is written where the session has no location, so that an older
 * library can go on with it; both are read. Who changes what is written makes a
 * version of it.
 */
#include "client/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char magic[] = "TRSX";
enum { MAGIC = sizeof(magic) - 1 };
enum { PLAIN = 1, LOCATED = 2 };             /* versions */
enum { CLASSIC = 1, INACTIVE = 2, CSI = 4 }; /* flags */
enum { AGAIN = 1, SENT = 2 };                /* of a stanza */
/* More than any outbox and receive queue that anybody would want. */
enum { BLOB_MAX = 256 * 1024 * 1024 };

/* ---- writing
 * ------------------------------------------------------------------- */

static bool put_number(struct terse_buf *buf, uint64_t v) {
    uint8_t said[10];
    size_t n = 0;

    for (; v >= 0x80; v >>= 7)
        said[n++] = (uint8_t)(v | 0x80);
    said[n++] = (uint8_t)v;
    return terse_buf_append(buf, said, n) == TERSE_OK;
}

static bool put_bytes(struct terse_buf *buf, const void *p, size_t n) {
    return put_number(buf, n) && terse_buf_append(buf, p, n) == TERSE_OK;
}

static bool put_string(struct terse_buf *buf, const char *text) {
    return put_bytes(buf, text ? text : "", text ? strlen(text) : 0);
}

static bool put_host(struct terse_buf *buf, const struct client_host *host) {
    return put_string(buf, host->name) && put_number(buf, host->port) &&
           put_number(buf, host->revision);
}

/* The one with the token is the one that was configured: who does not follow
 * the other is no worse off than without it. */
static bool put_hosts(const struct terse_client *client,
                      struct terse_buf *buf) {
    const struct client_host *hosts = client->hosts;
    bool there = client->located && client->token_host == client->n_hosts;

    return put_host(buf, &hosts[there ? client->base : client->token_host]) &&
           (!client->located || put_host(buf, &hosts[client->n_hosts]));
}

/* Of the session itself. */
static bool put_session(const struct terse_client *client,
                        struct terse_buf *buf) {
    unsigned flags = (client->classic ? CLASSIC : 0u) |
                     (client->inactive ? INACTIVE : 0u) |
                     (client->csi ? CSI : 0u);
    struct terse_buf account;
    bool ok;

    terse_buf_init(&account, SIZE_MAX);
    ok = client_cat(&account, client->user, "@", client->domain, NULL) &&
         put_bytes(buf, terse_buf_data(&account), account.len);
    terse_buf_fini(&account);
    return ok && put_string(buf, client->jid) &&
           put_string(buf, client->device) && put_string(buf, client->sm_id) &&
           put_string(buf, client->token) && put_hosts(client, buf) &&
           put_string(buf, client->best) && put_number(buf, flags) &&
           put_number(buf, client->sm.in) &&
           put_number(buf, client->sm.out_acked) &&
           put_number(buf, client->box.last_number) &&
           put_number(buf, client->box_revision);
}

static bool put_box(const struct terse_client *client, struct terse_buf *buf) {
    const struct phone_item *item = NULL;
    bool ok = put_number(buf, client->box.stanzas);

    while (ok && (item = phone_box_walk(&client->box, item))) {
        struct phone_view v = phone_item_view(item);

        ok = put_number(buf, v.number) &&
             put_number(buf, (v.again ? AGAIN : 0u) | (v.sent ? SENT : 0u)) &&
             put_bytes(buf, v.frame, v.n);
    }
    return ok;
}

static bool is_ours(const struct terse_client *client,
                    const struct client_item *item) {
    return item->stanza && item->session && item->session == client->session;
}

static bool put_queue(const struct terse_client *client,
                      struct terse_buf *buf) {
    const struct client_item *item;
    uint64_t n = 0;
    bool ok;

    for (item = client->queue.head; item; item = item->next)
        n += is_ours(client, item);
    ok = put_number(buf, n);
    for (item = client->queue.head; ok && item; item = item->next)
        if (is_ours(client, item)) {
            size_t size;
            const uint8_t *frame = terse_stanza_frame(item->stanza, &size);

            ok = put_number(buf, item->seq) && put_bytes(buf, frame, size);
        }
    return ok;
}

enum terse_client_err terse_client_export(struct terse_client *client,
                                          void **out, size_t *n) {
    enum terse_client_err err = TERSE_CLIENT_ESTATE;
    struct terse_buf buf;

    *out = NULL;
    *n = 0;
    terse_buf_init(&buf, BLOB_MAX);
    net_lock(&client->owner);
    if (client->sm.on && client->sm_id && client->state != STATE_CLOSING &&
        client->state != STATE_CLOSED)
        err = terse_buf_append(&buf, magic, MAGIC) == TERSE_OK &&
                      put_number(&buf, client->located ? LOCATED : PLAIN) &&
                      put_session(client, &buf) && put_box(client, &buf) &&
                      put_queue(client, &buf)
                  ? TERSE_CLIENT_OK
                  : TERSE_CLIENT_ENOMEM;
    net_unlock(&client->owner);
    if (!err) {
        *out = malloc(buf.len);
        err = *out ? TERSE_CLIENT_OK : TERSE_CLIENT_ENOMEM;
    }
    if (!err) {
        memcpy(*out, terse_buf_data(&buf), buf.len);
        *n = buf.len;
    }
    if (buf.data)
        explicit_bzero(buf.data, buf.cap);
    terse_buf_fini(&buf);
    return err;
}

/* ---- reading
 * ------------------------------------------------------------------- */

struct blob {
    const uint8_t *p, *end;
    bool bad, no_memory;
};

static uint64_t get_number(struct blob *blob, uint64_t most) {
    uint64_t v = 0;

    for (unsigned shift = 0; blob->p < blob->end && shift < 64; shift += 7) {
        uint8_t b = *blob->p++;

        v |= (uint64_t)(b & 0x7f) << shift;
        if (!(b & 0x80)) {
            if (v > most)
                break;
            return v;
        }
    }
    blob->bad = true;
    return 0;
}

static struct terse_str get_bytes(struct blob *blob) {
    struct terse_str s = {NULL, 0};
    uint64_t n = get_number(blob, BLOB_MAX);

    if (blob->bad || n > (size_t)(blob->end - blob->p)) {
        blob->bad = true;
        return s;
    }
    s = (struct terse_str){(const char *)blob->p, (size_t)n};
    blob->p += n;
    return s;
}

/* A new string; NULL if it is empty. */
static char *get_string(struct blob *blob) {
    struct terse_str s = get_bytes(blob);
    char *text;

    if (blob->bad || s.n == 0)
        return NULL;
    if (memchr(s.p, 0, s.n)) {
        blob->bad = true;
        return NULL;
    }
    text = client_strndup(s);
    blob->no_memory = blob->no_memory || !text;
    return text;
}

static void take_string(struct blob *blob, char **at) {
    char *text = get_string(blob);

    client_wipe_free(*at);
    *at = text;
}

/* It has to be the same account's. */
static void get_account(struct terse_client *client, struct blob *blob) {
    struct terse_str s = get_bytes(blob);
    size_t user = strlen(client->user), domain = strlen(client->domain);

    if (blob->bad || s.n != user + 1 + domain ||
        memcmp(s.p, client->user, user) != 0 || s.p[user] != '@' ||
        memcmp(s.p + user + 1, client->domain, domain) != 0)
        blob->bad = true;
}

static void get_name(struct blob *blob, struct client_host *host) {
    struct terse_str name = get_bytes(blob);

    memset(host, 0, sizeof(*host));
    if (blob->bad || !terse_str_copy(name, host->name, sizeof(host->name)))
        blob->bad = true;
    host->port = (uint16_t)get_number(blob, UINT16_MAX);
    host->revision = (uint32_t)get_number(blob, UINT32_MAX);
}

/* Where the token was made. False: we do not know that host any more. */
static bool get_host(struct terse_client *client, struct blob *blob) {
    struct client_host made;
    uint32_t i = 0;

    get_name(blob, &made);
    while (i < client->n_hosts &&
           (strcmp(client->hosts[i].name, made.name) != 0 ||
            client->hosts[i].port != made.port))
        i++;
    if (i == client->n_hosts)
        return false;
    client->host = client->base = client->token_host = i;
    client->hosts[i].revision = made.revision;
    return true;
}

/* Where the session is, and the token good. False: it is not followed. */
static bool get_location(struct terse_client *client, struct blob *blob) {
    char text[PHONE_LOCATION];
    struct client_host host;

    get_name(blob, &host);
    snprintf(text, sizeof(text), strchr(host.name, ':') ? "[%s]:%u" : "%s:%u",
             host.name, (unsigned)host.port);
    client_locate(client, text);
    if (!client->located)
        return false;
    client->host = client->token_host = client->n_hosts;
    client->hosts[client->n_hosts].revision = host.revision;
    return true;
}

static void get_hosts(struct terse_client *client, struct blob *blob,
                      bool located) {
    bool known = get_host(client, blob);

    known = (located && get_location(client, blob)) || known;
    if (known)
        return;
    client_wipe_free(client->token); /* of no use */
    client->token = NULL;
}

static void get_mechanism(struct terse_client *client, struct blob *blob) {
    char *name = get_string(blob);

    for (size_t i = 0; name && client_mechanisms[i]; i++)
        if (strcmp(client_mechanisms[i], name) == 0)
            client->best = client_mechanisms[i];
    free(name);
}

static void get_session(struct terse_client *client, struct blob *blob) {
    uint64_t version = get_number(blob, LOCATED), flags;

    get_account(client, blob);
    take_string(blob, &client->jid);
    take_string(blob, &client->device);
    take_string(blob, &client->sm_id);
    take_string(blob, &client->token);
    get_hosts(client, blob, version == LOCATED);
    blob->bad = blob->bad || version < PLAIN;
    get_mechanism(client, blob);
    flags = get_number(blob, 7);
    client->classic = flags & CLASSIC;
    client->inactive = flags & INACTIVE;
    client->csi = flags & CSI;
    phone_sm_begin(&client->sm);
    client->sm.in = client->sm.in_told = (uint32_t)get_number(blob, UINT32_MAX);
    client->sm.out = client->sm.out_acked =
        (uint32_t)get_number(blob, UINT32_MAX);
}

static void get_box(struct terse_client *client, struct blob *blob) {
    uint64_t last = get_number(blob, UINT64_MAX / 2), n;

    client->box_revision = (uint32_t)get_number(blob, UINT32_MAX);
    n = get_number(blob, UINT32_MAX);
    while (!blob->bad && !blob->no_memory && n-- > 0) {
        uint64_t number = get_number(blob, last);
        uint64_t flags = get_number(blob, 3);
        struct terse_str frame = get_bytes(blob);

        if (blob->bad)
            return;
        if (client_restore_stanza(client, frame.p, frame.n, flags & AGAIN,
                                  number)) {
            blob->no_memory = true;
        } else if (flags & SENT) {
            phone_sm_sent(&client->sm);
            phone_box_sent(&client->box, true);
        }
    }
    client->box.last_number = last;
}

static void get_queue(struct terse_client *client, struct blob *blob) {
    uint64_t n = get_number(blob, UINT32_MAX);

    while (!blob->bad && !blob->no_memory && n-- > 0) {
        uint32_t seq = (uint32_t)get_number(blob, UINT32_MAX);
        struct terse_str frame = get_bytes(blob);
        struct client_item *item = blob->bad ? NULL : calloc(1, sizeof(*item));

        if (blob->bad)
            return;
        if (item)
            item->stanza = client_stanza_new(client->codec,
                                             (const uint8_t *)frame.p, frame.n);
        if (!item || !item->stanza) {
            free(item);
            blob->no_memory = true;
            return;
        }
        item->session = client->session;
        item->seq = seq;
        item->bytes = frame.n;
        client_push(client, item);
    }
}

enum terse_client_err client_restore(struct terse_client *client, const void *p,
                                     size_t n) {
    struct blob blob = {.p = p, .end = (const uint8_t *)p + n};

    if (n < MAGIC || memcmp(p, magic, MAGIC) != 0)
        return TERSE_CLIENT_EARG;
    blob.p += MAGIC;
    client->session = 1;
    client->restored = true;
    get_session(client, &blob);
    get_box(client, &blob);
    get_queue(client, &blob);
    if (blob.no_memory)
        return TERSE_CLIENT_ENOMEM;
    return blob.bad || blob.p != blob.end || !client->sm_id || !client->device
               ? TERSE_CLIENT_EARG
               : TERSE_CLIENT_OK;
}
