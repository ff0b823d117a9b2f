/* bridge.c: see bridge.h. */
#include "bridge/bridge.h"

#include <stdio.h>
#include <string.h>

#include "bridge/work.h"

/* What a leg holds beside one frame before there is a connection. */
enum { BRIDGE_HELD = 65536 };
/* Of terse.Frame, first bytes (docs/wire.md). */
enum { TAG_OPEN = 0x6a, TAG_PING = 0x60, PING = 1, PONG = 0 };

struct net_marks bridge_marks(const struct bridge *bridge) {
    size_t most = bridge->limits->stanza_bytes > bridge->limits->frame_bytes
                      ? bridge->limits->stanza_bytes
                      : bridge->limits->frame_bytes;

    /* One read completes at most one long element and some short ones. */
    return (struct net_marks){
        .low = bridge->high / 4,
        .high = bridge->high,
        .max = bridge->high + 2 * most + 256 * 1024,
    };
}

const char *bridge_net_condition(enum net_err err) {
    switch (err) {
    case NET_ENOMEM:
    case NET_EFULL:
        return "resource-constraint";
    case NET_ELIMIT:
        return "policy-violation";
    case NET_EFRAMING:
        return "bad-format";
    case NET_ETIMEOUT:
        return "connection-timeout";
    default:
        return "remote-connection-failed";
    }
}

static const char *escaped(char c) {
    switch (c) {
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '&':
        return "&amp;";
    case '\'':
        return "&apos;";
    case '"':
        return "&quot;";
    default:
        return NULL;
    }
}

void bridge_escape(char *out, size_t size, const char *s) {
    size_t at = strlen(out), whole;

    while (*s) {
        const char *e = escaped(*s);
        size_t n = e ? strlen(e) : 1;

        /* A character of UTF-8 goes in whole or not at all. */
        if (!e && (*s & 0x80))
            while ((s[n] & 0xc0) == 0x80)
                n++;
        whole = at + n;
        if (whole >= size)
            break;
        memcpy(out + at, e ? e : s, n);
        at = whole;
        s += e ? 1 : n;
    }
    out[at] = '\0';
}

static void append(char *out, const char *s) {
    size_t at = strlen(out), n = strlen(s);

    if (at + n < BRIDGE_TEXT)
        memcpy(out + at, s, n + 1);
}

static void attribute(char *out, const char *name, const char *value) {
    if (!value)
        return;
    append(out, " ");
    append(out, name);
    append(out, "='");
    /* Room is left for what follows: values come from peers. */
    bridge_escape(out, strlen(out) + 300, value);
    append(out, "'");
}

void bridge_header(char *out, const char *from, const char *to,
                   const char *id) {
    out[0] = '\0';
    append(out, "<?xml version='1.0'?><stream:stream xmlns='" TERSE_NS_CLIENT
                "' xmlns:stream='" TERSE_NS_STREAM "'");
    attribute(out, "from", from);
    attribute(out, "to", to);
    attribute(out, "id", id);
    append(out, " version='1.0' xml:lang='en'>");
}

void bridge_error(char *out, const char *condition, const char *text,
                  const char *more) {
    append(out, "<stream:error><");
    append(out, condition);
    append(out, " xmlns='" BRIDGE_NS_ERRORS "'/>");
    if (text && *text) {
        append(out, "<text xmlns='" BRIDGE_NS_ERRORS "' xml:lang='en'>");
        bridge_escape(out, strlen(out) + 600, text);
        append(out, "</text>");
    }
    if (more)
        append(out, more);
    append(out, "</stream:error>" BRIDGE_FOOTER);
}

/* ---- the leg of frames ------------------------------------------------------
 */

void frame_leg_init(struct frame_leg *leg, const struct bridge *bridge,
                    enum net_framing framing, bool dialling) {
    memset(leg, 0, sizeof(*leg));
    leg->bridge = bridge;
    leg->dialling = dialling;
    leg->wait = leg->wait_bytes = UINT32_MAX;
    net_framer_init(&leg->framer, framing, bridge->limits->frame_bytes);
}

void frame_leg_fini(struct frame_leg *leg) {
    net_framer_fini(&leg->framer);
    terse_peer_free(leg->peer);
    terse_buf_fini(&leg->held);
}

static enum net_err net_err_of_terse(enum terse_err err) {
    switch (err) {
    case TERSE_OK:
        return NET_OK;
    case TERSE_ENOMEM:
        return NET_ENOMEM;
    case TERSE_ELIMIT:
        return NET_ELIMIT;
    default:
        return NET_EFRAMING;
    }
}

/* The peer is made with the first frame, since few legs that fail see one. */
static enum net_err need_peer(struct frame_leg *leg) {
    if (leg->peer)
        return NET_OK;
    return net_err_of_terse(terse_peer_new(&leg->peer, leg->bridge->schema,
                                           leg->bridge->state, leg->dialling));
}

static enum net_err hello(struct frame_leg *leg) {
    size_t n;
    const void *p = net_framer_hello(&leg->framer, leg->dialling, &n);

    leg->greeted = true;
    return n ? net_conn_write(leg->conn, p, n) : NET_OK;
}

void frame_leg_hold(struct frame_leg *leg) {
    leg->holding = true;
    terse_buf_init(&leg->held, leg->bridge->limits->frame_bytes + BRIDGE_HELD);
}

static enum net_err hold(struct frame_leg *leg, const void *frame, size_t n) {
    uint32_t len = (uint32_t)n;
    enum terse_err err = terse_buf_append(&leg->held, &len, sizeof(len));

    return net_err_of_terse(err ? err : terse_buf_append(&leg->held, frame, n));
}

enum net_err frame_leg_release(struct frame_leg *leg) {
    enum net_err err = NET_OK;
    uint32_t len;

    leg->holding = false;
    for (size_t at = 0; !err && at < leg->held.len; at += len) {
        memcpy(&len, terse_buf_data(&leg->held) + at, sizeof(len));
        at += sizeof(len);
        err = frame_leg_write(leg, terse_buf_data(&leg->held) + at, len);
    }
    terse_buf_fini(&leg->held);
    return err;
}

/* Queues a frame as it stands on the wire. */
static enum net_err put(struct frame_leg *leg, const void *frame, size_t n) {
    uint8_t header[NET_HEADER_MAX];
    size_t used = net_framer_header(&leg->framer, n, header);
    enum net_err err = net_conn_write(leg->conn, header, used);

    leg->sent += used + n;
    return err ? err : net_conn_write(leg->conn, frame, n);
}

/* ---- heartbeats
 * ----------------------------------------------------------- */

/* Says beside our first header that we know heartbeats, and what may wait; who
 * did not begin says the one only if the other end did, and never the other. */
static enum net_err say_bounds(struct frame_leg *leg, struct terse_buf *wire) {
    const struct bridge *bridge = leg->bridge;
    uint8_t said[3 * TERSE_FIELD_MAX];
    size_t n = 0;

    if (leg->bounds_said || wire->len == 0 ||
        terse_buf_data(wire)[0] != TAG_OPEN)
        return NET_OK;
    leg->bounds_said = true;
    if (bridge->heartbeat && (leg->dialling || leg->beat))
        n = terse_frame_put(said, TERSE_FIELD_BEAT, bridge->heartbeat);
    if (leg->dialling && bridge->wait)
        n += terse_frame_put(said + n, TERSE_FIELD_WAIT, *bridge->wait);
    if (leg->dialling && bridge->wait_bytes)
        n += terse_frame_put(said + n, TERSE_FIELD_WAIT_BYTES,
                             *bridge->wait_bytes);
    return net_err_of_terse(terse_buf_append(wire, said, n));
}

static uint32_t at_most(uint64_t v, uint32_t most) {
    return v < most ? (uint32_t)v : most;
}

/* Looks beside a header for what the other end says of heartbeats, and of what
 * may wait. What is malformed is the codec's to refuse. */
static void hear_bounds(struct frame_leg *leg, const uint8_t *p, size_t n) {
    uint64_t v;

    if (terse_frame_number(p, n, TERSE_FIELD_BEAT, &v))
        leg->beat = at_most(v, 86400);
    if (terse_frame_number(p, n, TERSE_FIELD_WAIT, &v))
        leg->wait = at_most(v, UINT32_MAX);
    if (terse_frame_number(p, n, TERSE_FIELD_WAIT_BYTES, &v))
        leg->wait_bytes = at_most(v, UINT32_MAX);
}

static enum net_err beat(struct frame_leg *leg, uint8_t what) {
    const uint8_t frame[2] = {TAG_PING, what};

    return leg->conn && leg->beat ? put(leg, frame, sizeof(frame)) : NET_OK;
}

enum net_err frame_leg_ping(struct frame_leg *leg) {
    leg->asked = true;
    return beat(leg, PING);
}

/* Whether that frame is a heartbeat; answers it. */
static bool is_beat(struct frame_leg *leg, const uint8_t *frame, size_t n,
                    enum net_err *err) {
    if (n != 2 || frame[0] != TAG_PING || frame[1] > PING || !leg->beat)
        return false;
    if (frame[1] == PING)
        *err = beat(leg, PONG);
    return true;
}

/* ---- frames -----------------------------------------------------------------
 */

enum net_err frame_leg_write(struct frame_leg *leg, const void *frame,
                             size_t n) {
    struct work *work = work_of_thread(leg->bridge);
    enum net_err err = NET_OK;

    if (leg->holding)
        return hold(leg, frame, n);
    if (!leg->conn)
        return NET_OK;
    if (!work)
        return NET_ENOMEM;
    if (!leg->greeted)
        err = hello(leg);
    if (!err)
        err = need_peer(leg);
    if (!err)
        err = net_err_of_terse(
            terse_peer_pack(leg->peer, frame, n, &work->codec, &work->wire));
    if (!err)
        err = say_bounds(leg, &work->wire);
    if (!err)
        err = put(leg, terse_buf_data(&work->wire), work->wire.len);
    work_trim(&work->wire);
    return err;
}

enum net_err frame_leg_encode(struct frame_leg *leg, enum terse_event event,
                              const struct terse_node *node,
                              struct terse_error *error) {
    struct work *work = work_of_thread(leg->bridge);
    struct terse_limits limits = *leg->bridge->limits;
    enum net_err err = need_peer(leg);

    if (err || !work)
        return NET_ENOMEM;
    limits.revision = terse_peer_revision(leg->peer);
    error->code = terse_encode(leg->bridge->schema, &limits, event, node,
                               &work->frame, error);
    if (error->code)
        return NET_OK;
    if (event == TERSE_OPEN)
        leg->opened = true;
    err = frame_leg_write(leg, terse_buf_data(&work->frame), work->frame.len);
    work_trim(&work->frame);
    return err;
}

enum terse_err frame_leg_make(const struct frame_leg *leg,
                              const struct terse_node *node, uint32_t revision,
                              struct terse_buf *out,
                              struct terse_error *error) {
    struct terse_limits limits = *leg->bridge->limits;

    limits.revision = revision;
    error->code = terse_encode(leg->bridge->schema, &limits, TERSE_ELEMENT,
                               node, out, error);
    return error->code;
}

uint32_t frame_leg_revision(struct frame_leg *leg) {
    return need_peer(leg) ? 1 : terse_peer_revision(leg->peer);
}

struct saying {
    struct frame_leg *leg;
    enum net_err err;
};

static enum terse_err say_event(void *arg, enum terse_event event,
                                struct terse_node *node) {
    struct saying *saying = arg;
    struct terse_error error = {0};

    if (event == TERSE_OPEN && saying->leg->opened)
        return TERSE_OK;
    saying->err = frame_leg_encode(saying->leg, event, node, &error);
    return saying->err ? TERSE_ENOMEM : error.code;
}

enum net_err frame_leg_say(struct frame_leg *leg, const char *xml) {
    struct saying saying = {leg, NET_OK};
    struct terse_reader *reader;
    enum terse_err err;

    err = terse_reader_new(&reader, leg->bridge->schema, &terse_limits_default,
                           say_event, &saying);
    if (err)
        return NET_ENOMEM;
    err = terse_reader_feed(reader, xml, strlen(xml));
    terse_reader_free(reader);
    if (saying.err)
        return saying.err;
    return err ? NET_EARG : NET_OK;
}

static enum net_err put_output(struct frame_leg *leg) {
    size_t n;
    const void *p = net_framer_output(&leg->framer, &n);
    enum net_err err = n ? net_conn_write(leg->conn, p, n) : NET_OK;

    net_framer_said(&leg->framer);
    return err;
}

void frame_leg_flush(struct frame_leg *leg) {
    if (!leg->conn)
        return;
    /* A peer that takes nothing gets no pongs: only the last one waits. */
    if (!net_conn_full(leg->conn) && put_output(leg))
        return; /* its queue is full: what comes next will say so */
    net_conn_flush(leg->conn);
}

/* RFC 6455 section 7.4.1 */
static uint16_t close_code(const char *condition) {
    static const struct {
        const char *condition;
        uint16_t code;
    } codes[] = {
        {"system-shutdown", 1001},       {"bad-format", 1007},
        {"bad-namespace-prefix", 1007},  {"invalid-namespace", 1007},
        {"invalid-xml", 1007},           {"not-well-formed", 1007},
        {"restricted-xml", 1007},        {"unsupported-encoding", 1007},
        {"internal-server-error", 1011}, {"remote-connection-failed", 1011},
        {"undefined-condition", 1011},   {"resource-constraint", 1013},
    };

    if (!condition)
        return 1000;
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
        if (strcmp(codes[i].condition, condition) == 0)
            return codes[i].code;
    return 1008;
}

void frame_leg_bye(struct frame_leg *leg, const char *condition) {
    net_framer_bye(&leg->framer, close_code(condition),
                   condition ? condition : "");
    if (leg->conn && put_output(leg))
        return; /* no room even for that */
}

void frame_leg_close(struct frame_leg *leg, enum net_close how, uint32_t ms) {
    net_conn_close_framed(leg->conn, &leg->framer, how, ms);
    leg->conn = NULL;
}

enum net_err frame_leg_next(struct frame_leg *leg, const uint8_t **frame,
                            size_t *n) {
    enum net_err err = net_framer_next(&leg->framer, frame, n);
    struct work *work;

    if (!err && leg->conn && !net_conn_full(leg->conn))
        err = put_output(leg);
    if (!err && !leg->greeted && leg->framer.started)
        err = hello(leg);
    if (err || !*frame)
        return err;
    leg->asked = false;
    if (is_beat(leg, *frame, *n, &err)) {
        *n = 0;
        return err;
    }
    if (*n && (*frame)[0] == TAG_OPEN && !leg->bound) {
        leg->bound = true;
        hear_bounds(leg, *frame, *n);
    }
    work = work_of_thread(leg->bridge);
    err = work ? need_peer(leg) : NET_ENOMEM;
    if (err)
        return err;
    work_trim(&work->plain);
    err = net_err_of_terse(
        terse_peer_unpack(leg->peer, *frame, *n, &work->codec, &work->plain));
    if (!err && work->plain.len == 0)
        err = NET_EFRAMING;
    *frame = terse_buf_data(&work->plain);
    *n = work->plain.len;
    return err;
}

/* ---- the leg of XML
 * ---------------------------------------------------------- */

enum terse_err xml_leg_init(struct xml_leg *leg, const struct bridge *bridge,
                            terse_reader_cb cb, void *arg) {
    memset(leg, 0, sizeof(*leg));
    leg->bridge = bridge;
    return terse_reader_new(&leg->reader, bridge->schema, bridge->limits, cb,
                            arg);
}

void xml_leg_fini(struct xml_leg *leg) { terse_reader_free(leg->reader); }

enum terse_err xml_leg_feed(struct xml_leg *leg, const uint8_t *p, size_t n) {
    enum terse_err err;

    pool_borrow(leg->bridge->pool, leg->reader);
    err = terse_reader_feed(leg->reader, (const char *)p, n);
    if (!err)
        pool_lend(leg->bridge->pool, leg->reader);
    return err;
}

enum terse_err xml_leg_decode(struct xml_leg *leg, const void *frame, size_t n,
                              struct terse_error *error) {
    struct work *work = work_of_thread(leg->bridge);
    enum terse_err err = TERSE_ENOMEM;

    if (!work) {
        error->code = err;
        return err;
    }
    terse_buf_reset(&work->xml);
    err = terse_decode(leg->bridge->schema, leg->bridge->limits, frame, n,
                       TERSE_IN_STREAM, &work->xml, error);
    if (err)
        return err;
    if (leg->conn &&
        net_conn_write(leg->conn, terse_buf_data(&work->xml), work->xml.len)) {
        error->code = err = TERSE_ENOMEM;
        snprintf(error->text, sizeof(error->text), "The write queue is full.");
    }
    leg->sent += work->xml.len;
    work_trim(&work->xml);
    return err;
}

void xml_leg_say(struct xml_leg *leg, const char *xml) {
    /* Where the queue takes no more, the connection is past saving. */
    if (leg->conn && net_conn_write(leg->conn, xml, strlen(xml)))
        return;
}
