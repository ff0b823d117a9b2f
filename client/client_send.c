/* client_send.c: what the application sends. */
#include "client/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- a frame of the application's own
 * ---------------------------------------------- */

static enum terse_client_err
not_sendable(struct terse_error *error, enum terse_err code, const char *text) {
    if (error) {
        memset(error, 0, sizeof(*error));
        error->code = code;
        snprintf(error->text, sizeof(error->text), "%s", text);
    }
    return TERSE_CLIENT_EXML;
}

/* Whether the frame is one element that this library's peers can read. */
static enum terse_client_err check(const struct client_codec *codec,
                                   const struct terse_buf *frame,
                                   struct terse_error *error) {
    struct terse_frame_info info;
    struct terse_buf xml;
    enum terse_err err;

    if (terse_frame_info(codec->schema, terse_buf_data(frame), frame->len,
                         &info) != TERSE_OK ||
        info.kind != TERSE_ELEMENT)
        return not_sendable(error, TERSE_EFRAME, "Not one element.");
    terse_buf_init(&xml, codec->limits.stanza_bytes);
    if (error)
        memset(error, 0, sizeof(*error));
    err = terse_decode(codec->schema, &codec->limits, terse_buf_data(frame),
                       frame->len, TERSE_STANDALONE, &xml, error);
    terse_buf_fini(&xml);
    return !err                  ? TERSE_CLIENT_OK
           : err == TERSE_ENOMEM ? TERSE_CLIENT_ENOMEM
                                 : TERSE_CLIENT_EXML;
}

enum terse_client_err client_pack(const struct client_codec *codec,
                                  const Terse__Frame *frame,
                                  struct terse_buf *out,
                                  struct terse_error *error) {
    size_t n = terse__frame__get_packed_size(frame);
    uint8_t *packed;
    enum terse_err err;

    if (n == 0)
        return not_sendable(error, TERSE_EFRAME, "An empty frame.");
    if (n > codec->limits.frame_bytes)
        return not_sendable(error, TERSE_ELIMIT,
                            "The frame is over the limit frame_bytes.");
    packed = malloc(n);
    if (!packed)
        return TERSE_CLIENT_ENOMEM;
    terse__frame__pack(frame, packed);
    err = terse_buf_append(out, packed, n);
    free(packed);
    return err ? TERSE_CLIENT_ENOMEM : check(codec, out, error);
}

/* ---- sending
 * -----------------------------------------------------------------------------
 */

static enum terse_client_err may_send(const struct terse_client *client) {
    switch (client->state) {
    case STATE_NEW:
        return TERSE_CLIENT_ESTATE;
    case STATE_READY:
        return TERSE_CLIENT_OK;
    case STATE_CLOSING:
        return TERSE_CLIENT_ECLOSED;
    case STATE_CLOSED:
        return client->why.code;
    default:
        return client->lasting ? TERSE_CLIENT_OK : TERSE_CLIENT_ESTATE;
    }
}

/* Whether a frame of n bytes finds no room. Where nothing is acknowledged the
 * connection's own queue is the bound. */
static bool full(const struct terse_client *client, size_t n) {
    return phone_box_full(&client->box, n) ||
           (client->state == STATE_READY && !client->sm.on &&
            net_conn_full(client->conn));
}

static bool is_message(const struct terse_client *client, const void *frame,
                       size_t n) {
    struct terse_frame_info info;

    return terse_frame_info(client->codec->schema, frame, n, &info) ==
               TERSE_OK &&
           info.name.n == strlen("message") &&
           memcmp(info.name.p, "message", info.name.n) == 0 &&
           phone_is_stanza(&info);
}

static bool goes_again(const struct terse_client *client, const void *frame,
                       size_t n, enum terse_client_resend resend) {
    if (resend == TERSE_CLIENT_RESEND_DEFAULT)
        resend = client->options.resend;
    return resend == TERSE_CLIENT_RESEND_DEFAULT
               ? is_message(client, frame, n)
               : resend == TERSE_CLIENT_RESEND_YES;
}

/* Into the box, with a note for its last word if somebody wants to hear it.
 * number: 0 for the next one. */
static enum terse_client_err put(struct terse_client *client, const void *frame,
                                 size_t n, bool again, uint64_t *number) {
    struct client_item *note = NULL;
    enum terse_err err;

    if (client->options.on.delivery) {
        note = calloc(1, sizeof(*note));
        if (!note)
            return TERSE_CLIENT_ENOMEM;
    }
    err = *number ? phone_box_restore(&client->box, frame, n, again, *number)
                  : phone_box_put(&client->box, frame, n, again, number);
    if (err) {
        free(note);
        return err == TERSE_ELIMIT ? TERSE_CLIENT_EFULL : TERSE_CLIENT_ENOMEM;
    }
    if (note) {
        note->number = *number;
        *client->notes_tail = note;
        client->notes_tail = &note->next;
    }
    return TERSE_CLIENT_OK;
}

enum terse_client_err client_restore_stanza(struct terse_client *client,
                                            const void *frame, size_t n,
                                            bool again, uint64_t number) {
    return put(client, frame, n, again, &number);
}

/* What is no stanza is not counted and not kept. */
static enum terse_client_err put_now(struct terse_client *client,
                                     const void *frame, size_t n) {
    if (client->state != STATE_READY)
        return TERSE_CLIENT_ESTATE;
    if (!client_put(client, frame, n))
        return client->state == STATE_CLOSED ? client->why.code
                                             : TERSE_CLIENT_ELOST;
    client_flush(client);
    return TERSE_CLIENT_OK;
}

enum terse_client_err client_send_frame(struct terse_client *client,
                                        const void *frame, size_t n,
                                        enum terse_client_resend resend,
                                        uint64_t deadline, uint64_t *number) {
    enum terse_client_err err = may_send(client);
    struct terse_frame_info info;
    uint64_t own = 0;
    bool waited = false;

    while (!err && full(client, n)) {
        client_flush_now(client);
        if (client_now() >= deadline)
            return waited ? TERSE_CLIENT_ETIMEOUT : TERSE_CLIENT_EFULL;
        waited = true;
        client_wait(client, deadline);
        err = may_send(client);
    }
    if (err)
        return err;
    if (terse_frame_info(client->codec->schema, frame, n, &info) ||
        !phone_is_stanza(&info))
        return put_now(client, frame, n);
    err = put(client, frame, n, goes_again(client, frame, n, resend), &own);
    if (err)
        return err;
    if (number)
        *number = own;
    client_pump(client);
    client_flush(client);
    /* Kept, it is not lost with the connection. */
    return client->state == STATE_CLOSED ? client->why.code : TERSE_CLIENT_OK;
}

/* ---- the box
 * ----------------------------------------------------------------- */

/* A frame that was made for one who knows more, for the one at hand. */
static bool recode(struct terse_client *client, const uint8_t *frame, size_t n,
                   struct terse_buf *out) {
    struct terse_buf xml;
    bool ok;

    terse_buf_init(&xml, client->codec->limits.stanza_bytes);
    ok = terse_decode(client->codec->schema, &client->codec->limits, frame, n,
                      TERSE_STANDALONE, &xml, NULL) == TERSE_OK &&
         client_xml_encode_for(client->codec, client->revision,
                               (const char *)terse_buf_data(&xml), xml.len, out,
                               NULL) == TERSE_CLIENT_OK;
    terse_buf_fini(&xml);
    return ok;
}

/* Sends the first that waits. False: the connection has ended by it. */
static bool send_first(struct terse_client *client, const uint8_t *frame,
                       size_t n) {
    struct terse_buf other;
    bool ok = false;

    if (client->box_revision <= client->revision) {
        ok = client_put(client, frame, n);
    } else {
        terse_buf_init(&other, client->codec->limits.frame_bytes);
        if (recode(client, frame, n, &other))
            ok = client_put(client, terse_buf_data(&other), other.len);
        else
            client_end(client, false, TERSE_CLIENT_ENOMEM, NULL,
                       "no memory to send");
        terse_buf_fini(&other);
    }
    if (!ok)
        return false;
    phone_sm_sent(&client->sm);
    phone_box_sent(&client->box, client->sm.on);
    return true;
}

void client_pump(struct terse_client *client) {
    uint64_t expected;
    const uint8_t *frame;
    bool sent = false;
    size_t n;

    while (client->state == STATE_READY && client->conn &&
           !net_conn_full(client->conn) &&
           (frame = phone_box_peek(&client->box, &n))) {
        if (!send_first(client, frame, n))
            return;
        sent = true;
    }
    if (!sent)
        return;
    /* An acknowledgement, or whatever there is. */
    expected = client->expected;
    client_expect(client);
    if (expected && expected < client->expected)
        client->expected = expected;
    client_turn(client, true);
}

void terse_client_cork(struct terse_client *client) {
    net_lock(&client->owner);
    client->corks++;
    net_unlock(&client->owner);
}

void terse_client_uncork(struct terse_client *client) {
    net_lock(&client->owner);
    if (client->corks > 0 && --client->corks == 0 && client->held_back)
        client_flush_now(client);
    net_unlock(&client->owner);
}

static const enum terse_client_delivery deliveries[] = {
    [PHONE_QUEUED] = TERSE_CLIENT_QUEUED, [PHONE_SENT] = TERSE_CLIENT_SENT,
    [PHONE_ACKED] = TERSE_CLIENT_ACKED,   [PHONE_FAILED] = TERSE_CLIENT_FAILED,
    [PHONE_DONE] = TERSE_CLIENT_UNACKED,
};

/* The note of that number, out of the list; NULL: none. */
static struct client_item *take_note(struct terse_client *client,
                                     uint64_t number) {
    struct client_item **at = &client->notes, *note;

    while (*at && (*at)->number != number)
        at = &(*at)->next;
    note = *at;
    if (!note)
        return NULL;
    *at = note->next;
    if (!note->next)
        client->notes_tail = at;
    return note;
}

void client_changed(void *arg, uint64_t number, enum phone_state state) {
    struct terse_client *client = arg;
    struct client_item *item = NULL;

    if (state == PHONE_FAILED)
        client->failed[client->n_failed++ % CLIENT_FAILED] = number;
    if (state == PHONE_DONE) {
        if (number != client->done_last + 1)
            client->done_first = number;
        client->done_last = number;
    }
    if (!client->options.on.delivery)
        return;
    if (state == PHONE_QUEUED || state == PHONE_SENT) {
        item = calloc(1, sizeof(*item)); /* it may be left out */
        if (item)
            item->number = number;
    } else {
        item = take_note(client, number);
    }
    if (!item)
        return;
    item->delivery = deliveries[state];
    client_push(client, item);
}

enum terse_client_err
terse_client_delivery_of(struct terse_client *client, uint64_t number,
                         enum terse_client_delivery *out) {
    enum terse_client_err err = TERSE_CLIENT_OK;
    const struct phone_item *item = NULL;

    net_lock(&client->owner);
    *out = TERSE_CLIENT_ACKED;
    if (number == 0 || number > client->box.last_number)
        err = TERSE_CLIENT_EARG;
    if (number >= client->done_first && number <= client->done_last)
        *out = TERSE_CLIENT_UNACKED;
    for (unsigned i = 0; i < CLIENT_FAILED; i++)
        if (client->failed[i] == number)
            *out = TERSE_CLIENT_FAILED;
    while ((item = phone_box_walk(&client->box, item))) {
        struct phone_view view = phone_item_view(item);

        if (view.number == number)
            *out = view.sent ? TERSE_CLIENT_SENT : TERSE_CLIENT_QUEUED;
    }
    net_unlock(&client->owner);
    return err;
}

/* ---- what the application sends
 * ---------------------------------------------- */

static enum terse_client_err send_one(struct terse_client *client,
                                      const struct terse_buf *frame,
                                      enum terse_client_resend resend,
                                      int timeout_ms, uint64_t *number) {
    uint64_t deadline = client_deadline(timeout_ms);
    enum terse_client_err err;

    net_lock(&client->owner);
    err = client_send_frame(client, terse_buf_data(frame), frame->len, resend,
                            deadline, number);
    net_unlock(&client->owner);
    return err;
}

enum terse_client_err terse_client_post(struct terse_client *client,
                                        const Terse__Frame *frame,
                                        enum terse_client_resend resend,
                                        int timeout_ms, uint64_t *number,
                                        struct terse_error *error) {
    struct terse_buf buf;
    enum terse_client_err err;

    terse_buf_init(&buf, client->codec->limits.frame_bytes);
    err = client_pack(client->codec, frame, &buf, error);
    if (!err)
        err = send_one(client, &buf, resend, timeout_ms, number);
    terse_buf_fini(&buf);
    return err;
}

/* As much as the other end knows, if it is there. What is sent later to one
 * that knows less is made anew. */
uint32_t client_revision(struct terse_client *client) {
    uint32_t revision;

    net_lock(&client->owner);
    revision = client->state == STATE_READY ? client->revision : 1;
    if (revision > client->box_revision)
        client->box_revision = revision;
    net_unlock(&client->owner);
    return revision;
}

enum terse_client_err terse_client_post_xml(struct terse_client *client,
                                            const char *xml, size_t n,
                                            enum terse_client_resend resend,
                                            int timeout_ms, uint64_t *number,
                                            struct terse_error *error) {
    struct terse_buf buf;
    enum terse_client_err err;

    if (n == SIZE_MAX)
        n = strlen(xml);
    terse_buf_init(&buf, client->codec->limits.frame_bytes);
    err = client_xml_encode_for(client->codec, client_revision(client), xml, n,
                                &buf, error);
    if (!err)
        err = send_one(client, &buf, resend, timeout_ms, number);
    terse_buf_fini(&buf);
    return err;
}

enum terse_client_err terse_client_send(struct terse_client *client,
                                        const Terse__Frame *frame,
                                        int timeout_ms,
                                        struct terse_error *error) {
    return terse_client_post(client, frame, TERSE_CLIENT_RESEND_DEFAULT,
                             timeout_ms, NULL, error);
}

enum terse_client_err terse_client_send_xml(struct terse_client *client,
                                            const char *xml, size_t n,
                                            int timeout_ms,
                                            struct terse_error *error) {
    return terse_client_post_xml(client, xml, n, TERSE_CLIENT_RESEND_DEFAULT,
                                 timeout_ms, NULL, error);
}

/* ---- answers
 * ----------------------------------------------------------------------------------
 */

/* <iq type='type' id='…' to='…'>, as an answer to request. */
static bool answer_head(struct terse_buf *xml, struct terse_stanza *request,
                        const char *type) {
    const char *id = terse_stanza_attr(request, "id");
    const char *from = terse_stanza_attr(request, "from");
    bool ok = client_cat(xml, "<iq type='", type, "' id='", NULL) &&
              client_cat_text(xml, id ? id : "") && client_cat(xml, "'", NULL);

    if (ok && from)
        ok = client_cat(xml, " to='", NULL) && client_cat_text(xml, from) &&
             client_cat(xml, "'", NULL);
    return ok && client_cat(xml, ">", NULL);
}

static bool is_request(struct terse_stanza *stanza) {
    const char *type = terse_stanza_attr(stanza, "type");
    const char *name = terse_stanza_name(stanza, NULL);

    return name && strcmp(name, "iq") == 0 && type &&
           (strcmp(type, "get") == 0 || strcmp(type, "set") == 0);
}

static enum terse_client_err send_built(struct terse_client *client,
                                        struct terse_buf *xml, bool built,
                                        int timeout_ms) {
    enum terse_client_err err = TERSE_CLIENT_ENOMEM;

    if (built)
        err = terse_client_send_xml(client, (const char *)terse_buf_data(xml),
                                    xml->len, timeout_ms, NULL);
    terse_buf_fini(xml);
    return err;
}

enum terse_client_err terse_client_reply(struct terse_client *client,
                                         struct terse_stanza *request,
                                         const char *payload, int timeout_ms) {
    struct terse_buf xml;
    bool ok;

    if (!is_request(request))
        return TERSE_CLIENT_EARG;
    terse_buf_init(&xml, client->codec->limits.stanza_bytes);
    ok = answer_head(&xml, request, "result") &&
         client_cat(&xml, payload ? payload : "", "</iq>", NULL);
    return send_built(client, &xml, ok, timeout_ms);
}

enum terse_client_err
terse_client_refuse(struct terse_client *client, struct terse_stanza *request,
                    const char *type, const char *condition, int timeout_ms) {
    struct terse_buf xml;
    bool ok;

    if (!is_request(request))
        return TERSE_CLIENT_EARG;
    terse_buf_init(&xml, client->codec->limits.stanza_bytes);
    ok = answer_head(&xml, request, "error") &&
         client_cat(&xml, "<error type='", NULL) &&
         client_cat_text(&xml, type) &&
         client_cat(&xml, "'><", condition,
                    " xmlns='" CLIENT_NS_STANZAS "'/></error></iq>", NULL);
    return send_built(client, &xml, ok, timeout_ms);
}
