/* script.c: see script.h. */
#include "bench/load/script.h"

#include <stdlib.h>
#include <string.h>

#include "bench/load/io.h"
#include "bench/load/text.h"
#include "net/net.h"

static const struct {
    unsigned answers;
    const char *end;
} steps[SCRIPT_STEPS] = {
    {2, "</stream:features>"}, /* header */
    {1, "<success"},           /* auth */
    {2, "</stream:features>"}, /* header */
    {1, "</iq>"},              /* bind */
};

static void frame_out(struct script *script, const void *p, size_t n) {
    uint8_t head[NET_HEADER_MAX];
    struct net_framer framer;

    net_framer_init(&framer, NET_FRAMING_NATIVE, 1 << 20);
    text_add(script->out, head, net_framer_header(&framer, n, head));
    text_add(script->out, p, n);
}

static enum terse_err element(void *arg, enum terse_event event,
                              struct terse_node *node) {
    struct script *script = arg;
    struct terse_limits limits = terse_limits_default;
    struct terse_error error = {0};

    limits.revision = script->peer ? terse_peer_revision(script->peer) : 1;
    if (terse_encode(script->schema, &limits, event, node, &script->frame,
                     &error))
        die("a client's XML was refused: %s", error.text);
    if (!script->peer) {
        frame_out(script, terse_buf_data(&script->frame), script->frame.len);
        return TERSE_OK;
    }
    if (terse_peer_pack(script->peer, terse_buf_data(&script->frame),
                        script->frame.len, &script->work, &script->wired))
        die("a frame could not be packed");
    frame_out(script, terse_buf_data(&script->wired), script->wired.len);
    return TERSE_OK;
}

/* Says script->xml on the wire, to out. */
static void say(struct script *script, struct terse_buf *out) {
    const char *p = (const char *)terse_buf_data(&script->xml);

    script->out = out;
    if (script->wire == WIRE_XML)
        text_add(out, p, script->xml.len);
    else if (terse_reader_feed(script->reader, p, script->xml.len))
        die("a client's XML was refused");
    terse_buf_reset(&script->xml);
}

void script_init(struct script *script, const struct terse_schema *schema,
                 enum wire wire, enum then then, unsigned user, unsigned to) {
    memset(script, 0, sizeof(*script));
    script->schema = schema;
    script->wire = wire;
    script->then = then;
    script->user = user;
    script->to = to;
    script->heard = wire != WIRE_STATE;
    for (unsigned i = 0; i < SCRIPT_STEPS; i++)
        terse_buf_init(&script->steps[i], 8192);
    terse_buf_init(&script->bytes, SIZE_MAX / 4);
    terse_buf_init(&script->frame, 65536);
    terse_buf_init(&script->wired, 65536);
    terse_buf_init(&script->xml, 65536);
    terse_work_init(&script->work, &terse_limits_default);
    if (wire != WIRE_XML &&
        terse_reader_new(&script->reader, schema, &terse_limits_default,
                         element, script))
        die("out of memory");
    if (wire == WIRE_STATE && terse_peer_new(&script->peer, schema,
                                             &terse_state_limits_default, true))
        die("out of memory");
}

void script_fini(struct script *script) {
    for (unsigned i = 0; i < SCRIPT_STEPS; i++)
        terse_buf_fini(&script->steps[i]);
    terse_buf_fini(&script->bytes);
    terse_buf_fini(&script->frame);
    terse_buf_fini(&script->wired);
    terse_buf_fini(&script->xml);
    terse_work_fini(&script->work);
    terse_reader_free(script->reader);
    terse_peer_free(script->peer);
    free(script->ends);
}

unsigned script_steps(const struct script *script) {
    return script->then == THEN_NOTHING ? SCRIPT_STEPS - 1 : SCRIPT_STEPS;
}

unsigned script_answers(const struct script *script, unsigned step) {
    if (step < SCRIPT_STEPS - 1)
        return steps[step].answers;
    return script->then == THEN_ONLINE ? 2 + TEXT_CONTACTS : 1;
}

const char *script_answer_end(const struct script *script, unsigned step) {
    if (step < SCRIPT_STEPS - 1)
        return steps[step].end;
    return script->then == THEN_ONLINE ? "</message>" : "</iq>";
}

void script_hear(struct script *script, const void *frame, size_t n) {
    if (script->heard)
        return;
    script->heard = true;
    if (terse_peer_unpack(script->peer, frame, n, &script->work,
                          &script->wired))
        die("the server's first frame was refused");
}

static void make_step(struct script *script, unsigned step) {
    struct terse_buf *xml = &script->xml;

    if (step == 0 && script->wire != WIRE_XML)
        text_add(&script->steps[0], NET_PREFACE, sizeof(NET_PREFACE) - 1);
    if (step == 2 && script->wire != WIRE_XML)
        terse_reader_restart(script->reader);
    if (step == 0 || step == 2)
        text_client_header(xml);
    else if (step == 1)
        text_auth(xml, script->user);
    else if (step == 3)
        text_bind(xml);
    else if (script->then == THEN_ONLINE)
        text_online(xml);
    else
        text_no_archive(xml);
    say(script, &script->steps[step]);
}

const struct terse_buf *script_step(struct script *script, unsigned step) {
    while (script->n_steps <= step)
        make_step(script, script->n_steps++);
    return &script->steps[step];
}

size_t script_end(struct script *script, size_t n) {
    if (script->n <= n && script->n == script->cap) {
        script->cap = script->cap ? script->cap * 2 : 256;
        script->ends =
            reallocarray(script->ends, script->cap, sizeof(*script->ends));
        if (!script->ends)
            die("out of memory");
    }
    if (script->n <= n) {
        /* 0 is the message of text_online. */
        text_message(&script->xml, script->to, script->n + 1);
        say(script, &script->bytes);
        script->ends[script->n++] = script->bytes.len;
    }
    return script->ends[n];
}
