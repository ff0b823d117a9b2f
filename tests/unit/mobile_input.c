/* mobile_input.c: see mobile_input.h. */
#include "tests/unit/mobile_input.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/queue.h"
#include "proxy/sasl2.h"
#include "proxy/sm.h"
#include "proxy/token.h"
#include "tests/unit/codec_util.h"

static void must(bool holds) {
    if (!holds)
        abort();
}

static bool ends(const char *text, size_t size) {
    return memchr(text, 0, size) != NULL;
}

static struct terse_schema *the_schema(void) {
    static struct terse_schema *schema;

    if (!schema && terse_schema_new(&schema) != TERSE_OK)
        abort();
    return schema;
}

/* ---- <authenticate/> --------------------------------------------------------
 */

static bool valid(const struct sasl2 *s) {
    return ends(s->mechanism, sizeof(s->mechanism)) && s->mechanism[0] &&
           ends(s->initial, sizeof(s->initial)) &&
           ends(s->user, sizeof(s->user)) && ends(s->agent, sizeof(s->agent)) &&
           ends(s->tag, sizeof(s->tag)) && ends(s->previd, sizeof(s->previd)) &&
           (!s->resume || s->previd[0]) &&
           (!s->has_user || (s->has_initial && s->user[0]));
}

static enum terse_err read_back(void *arg, enum terse_event event,
                                struct terse_node *node) {
    const struct sasl2 *sasl = arg;
    const char *want[] = {sasl->previd, sasl->tag, sasl->agent, sasl->user};
    static const char *const names[] = {"a", "b", "c", "d"};
    struct terse_str value;

    for (size_t i = 0; event == TERSE_ELEMENT && i < 4; i++)
        must(terse_node_attr(node, "", names[i], &value) &&
             value.n == strlen(want[i]) &&
             memcmp(value.p ? value.p : "", want[i], value.n) == 0);
    return TERSE_OK;
}

static void feed(terse_reader_cb on_event, void *arg, const char *p, size_t n,
                 bool sound) {
    struct terse_reader *reader;
    enum terse_err err;

    if (terse_reader_new(&reader, the_schema(), &terse_limits_default, on_event,
                         arg) != TERSE_OK)
        abort();
    must(terse_reader_feed(reader, CODEC_HEADER, strlen(CODEC_HEADER)) ==
         TERSE_OK);
    err = terse_reader_feed(reader, p, n);
    must(!sound || err == TERSE_OK);
    terse_reader_free(reader);
}

/* What is said again of what a client sent is the same text. */
static void print_all(struct sasl2 *sasl) {
    struct terse_buf xml;

    /* A name may be any bytes: PLAIN has them in base64. */
    for (char *c = sasl->user; *c; c++)
        if (*c < 0x20 || *c > 0x7e)
            *c = '?';
    terse_buf_init(&xml, 1 << 16);
    must(sasl2_print(&xml, "<x a='%s' b='%s' c='%s' d='%s'/>", sasl->previd,
                     sasl->tag, sasl->agent, sasl->user) == TERSE_OK);
    /* Line ends and tabs would come back as spaces. */
    if (!memchr(terse_buf_data(&xml), '\n', xml.len) &&
        !memchr(terse_buf_data(&xml), '\r', xml.len) &&
        !memchr(terse_buf_data(&xml), '\t', xml.len))
        feed(read_back, sasl, (const char *)terse_buf_data(&xml), xml.len,
             true);
    terse_buf_fini(&xml);
}

static enum terse_err on_element(void *arg, enum terse_event event,
                                 struct terse_node *node) {
    struct sasl2 *sasl = arg;
    const char *condition;
    char resource[128];

    if (event != TERSE_ELEMENT)
        return TERSE_OK;
    if (sasl2_read(node, sasl, &condition)) {
        must(valid(sasl));
        sasl2_resource(sasl, resource);
        must(ends(resource, sizeof(resource)) && resource[0]);
        print_all(sasl);
    } else {
        must(condition[0]);
    }
    return TERSE_OK;
}

static void authenticate(const char *p, size_t n) {
    struct sasl2 *sasl = calloc(1, sizeof(*sasl));

    must(sasl != NULL);
    feed(on_element, sasl, p, n, false);
    free(sasl);
}

/* ---- ids, names, tokens
 * ----------------------------------------------------------------- */

/* Into text[size]; what does not fit is cut, as is what is behind a NUL. */
static void take(char *text, size_t size, const char *p, size_t n) {
    if (n >= size)
        n = size - 1;
    memcpy(text, p, n);
    text[n] = '\0';
}

static void session_id(const char *p, size_t n) {
    char id[SASL2_ID], again[SASL2_ID], read[SASL2_ID];
    uint32_t skew = (uint32_t)n * 2654435761u;

    take(id, sizeof(id), p, n);
    memcpy(read, id, sizeof(id));
    (void)sasl2_id_read(read);
    must(strlen(read) <= strlen(id));
    if (!id[0] || strlen(id) > 400)
        return;
    for (int i = 0; i < 2; i++, skew = 0) {
        sasl2_id_write(again, id, skew);
        must(sasl2_id_read(again) == skew && strcmp(again, id) == 0);
    }
}

static void name(const char *mechanism, const char *p, size_t n) {
    static char text[SASL2_DATA + 16];
    char user[SASL2_NAME];

    take(text, sizeof(text), p, n);
    must(bridge_sasl_user(mechanism, text, user) == (user[0] != '\0') ||
         !bridge_sasl_user(mechanism, text, user));
    must(ends(user, sizeof(user)));
}

static void token(const char *p, size_t n) {
    static char text[SASL2_DATA];
    char user[SASL2_NAME], ours[TOKEN_TEXT];
    uint8_t proof[TOKEN_HASH] = {0};
    struct token token = {0};

    take(text, sizeof(text), p, n);
    if (!sasl2_proof(text, user, proof))
        return;
    must(ends(user, sizeof(user)) && user[0]);
    must(token_make(&token, ours, user, "a", 2));
    must(!token_check(&token, user, "a", proof, 1));
    token_forget(&token);
}

/* ---- counts
 * ----------------------------------------------------------------------- */

/* The truth about a session: how many stanzas there were, of each way, and what
 * each end has said. */
struct truth {
    struct sm sm;
    struct queue queue;
    uint32_t base;         /* counts begin anywhere on their circle */
    uint32_t up, up_acked; /* since then */
    uint32_t down, had;    /* had: the client says */
    uint32_t sent;         /* of down, to the connection that there is */
    bool doubted;          /* the server was asked again at some time */
    uint64_t now;
};

static void put(struct truth *t, bool stanza) {
    uint32_t number = t->down;
    struct terse_buf frame;

    terse_buf_init(&frame, 64);
    must(terse_buf_append(&frame, stanza ? "s" : "n", 1) == TERSE_OK &&
         terse_buf_append(&frame, &number, sizeof(number)) == TERSE_OK &&
         queue_put(&t->queue, &frame, stanza) == TERSE_OK);
    terse_buf_fini(&frame);
    if (stanza) {
        sm_down(&t->sm);
        t->down++;
    }
}

/* All that waits goes: stanzas in their order, and no other than those. */
static void send_all(struct truth *t) {
    struct terse_str frame;
    uint32_t number;

    while (queue_take(&t->queue, &frame)) {
        must(frame.n == 1 + sizeof(number));
        memcpy(&number, frame.p + 1, sizeof(number));
        if (frame.p[0] == 's')
            must(number == t->sent++);
    }
    must(t->sent == t->down && t->queue.waiting == 0);
}

static void client_acks(struct truth *t, uint32_t h) {
    bool possible = h - t->base >= t->had && h - t->base <= t->down;
    uint32_t n = 0;

    must(sm_client_acks(&t->sm, h, &n) == possible);
    if (!possible)
        return;
    must(n == h - t->base - t->had);
    queue_acked(&t->queue, n);
    t->had = h - t->base;
    if (t->sent < t->had)
        t->sent = t->had;
}

static void server_acks(struct truth *t, uint32_t h) {
    bool possible = h - t->base >= t->up_acked && h - t->base <= t->up;

    must(sm_server_acks(&t->sm, h) == possible);
    if (possible)
        t->up_acked = h - t->base;
}

static void turn(struct truth *t, unsigned how) {
    const struct sm_waits waits = {50, 300, 1000};
    struct sm_turn said;

    t->now += how * 7;
    said = sm_turn(&t->sm, &waits, t->now, how & 1, how & 2, t->now / 2);
    must(!said.tell_server || said.server_h == t->base + t->had);
    must(!said.tell_client || said.client_h == t->base + t->up_acked);
    must(said.again == 0 || (how & 1));
}

static void step(struct truth *t, unsigned op, unsigned arg) {
    switch (op) {
    case 0:
        sm_up(&t->sm, arg & 1);
        t->up++;
        break;
    case 1:
        put(t, true);
        break;
    case 2:
        put(t, false);
        break;
    case 3:
        send_all(t);
        break;
    case 4:
        client_acks(t, t->base + t->had + arg % 7);
        break;
    case 5:
        server_acks(t, t->base + t->up_acked + arg % 7);
        break;
    case 6: /* the client's connection is lost, there is a new one */
        sm_cut(&t->sm);
        if (arg & 1) {
            sm_doubt(&t->sm);
            t->doubted = true;
        }
        queue_rewind(&t->queue);
        t->sent = t->had;
        break;
    case 7:
        turn(t, arg);
        break;
    case 8:
        sm_server_asks(&t->sm);
        break;
    case 9:
        sm_client_asks(&t->sm);
        break;
    case 10: /* any number */
        client_acks(t, t->base + (arg << 24 | arg));
        break;
    default:
        server_acks(t, t->base - arg);
    }
    must(t->doubted || sm_settled(&t->sm) == (t->up == t->up_acked));
    must(!sm_settled(&t->sm) || t->up == t->up_acked);
}

/* Bytes: where counts begin (4), then an operation and its argument each. */
static void counts(const uint8_t *p, size_t n) {
    struct truth t = {.queue = {.keeps = true}};

    if (n < sizeof(t.base))
        return;
    memcpy(&t.base, p, sizeof(t.base));
    sm_resumed(&t.sm, true, t.base, t.base);
    for (p += 4, n -= 4; n >= 2; p += 2, n -= 2)
        step(&t, p[0] % 12, p[1]);
    client_acks(&t, t.base + t.down);
    send_all(&t);
    client_acks(&t, t.base + t.down);
    queue_keep_none(&t.queue);
    must(t.queue.frames == 0 && t.queue.bytes == 0);
    queue_clear(&t.queue);
}

void mobile_input(const uint8_t *p, size_t n) {
    const char *text = (const char *)p + 1;

    if (n < 1)
        return;
    switch (p[0] % MOBILE_INPUTS) {
    case MOBILE_AUTHENTICATE:
        authenticate(text, n - 1);
        break;
    case MOBILE_ID:
        session_id(text, n - 1);
        break;
    case MOBILE_PLAIN:
        name("PLAIN", text, n - 1);
        break;
    case MOBILE_SCRAM:
        name("SCRAM-SHA-256", text, n - 1);
        break;
    case MOBILE_TOKEN:
        token(text, n - 1);
        break;
    default:
        counts(p + 1, n - 1);
    }
}
