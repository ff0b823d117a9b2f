/* ws.c: see ws.h. */
#include "net/ws.h"

#include <stdlib.h>
#include <string.h>

#include <wslay/wslay.h>

#include "net/http.h"

enum {
    WS_CONTROL = 125,   /* bytes of a control frame */
    WS_FRAGMENTS = 256, /* of one message */
    WS_FIRST = 512,     /* of the memory for a message */
};

enum ws_phase {
    PHASE_REQUEST, /* the HTTP request is due */
    PHASE_OPEN,
    PHASE_FAILED, /* the peer broke a rule; our close is due */
    PHASE_CLOSED, /* its close has come */
};

struct ws {
    enum ws_phase phase;
    const struct net_ws_rules *rules;
    uint32_t max;
    wslay_frame_context_ptr frames;
    const uint8_t *in; /* not ours; while ws_read runs */
    size_t n_in;
    struct net_buf out;
    bool said;    /* our close is in `out`, or was */
    bool discard; /* messages are of no interest any more */
    bool lost;    /* nobody knows where the next frame begins */
    enum net_err err;
    uint16_t code; /* why it failed, for our close; 0: it has not */
    int status;    /* the same in the handshake */

    /* the frame that is being read */
    bool in_frame;
    bool refused;  /* it broke a rule: its bytes are only counted */
    uint64_t left; /* bytes of it still to come */
    /* the message that is being read: its fragments, put together */
    bool in_message;
    unsigned fragments;
    uint8_t *message;
    size_t len, cap;
    bool given; /* it was the caller's: a new one begins */
    /* the control frame that is being read */
    uint8_t control[WS_CONTROL];
    size_t n_control;
    /* the last ping, to be answered */
    uint8_t pong[WS_CONTROL];
    size_t n_pong;
    bool pong_due;
};

/* ---- life ------------------------------------------------------------------
 */

static ssize_t take(uint8_t *p, size_t cap, int flags, void *arg) {
    struct ws *ws = arg;
    size_t n = ws->n_in < cap ? ws->n_in : cap;

    (void)flags;
    if (n == 0)
        return -1; /* wslay wants to read */
    memcpy(p, ws->in, n);
    ws->in += n;
    ws->n_in -= n;
    return (ssize_t)n;
}

enum net_err ws_new(struct ws **out, const struct net_ws_rules *rules,
                    uint32_t max) {
    const struct wslay_frame_callbacks callbacks = {.recv_callback = take};
    struct ws *ws = calloc(1, sizeof(*ws));

    if (!ws)
        return NET_ENOMEM;
    if (wslay_frame_context_init(&ws->frames, &callbacks, ws)) {
        free(ws);
        return NET_ENOMEM;
    }
    ws->rules = rules;
    ws->max = max;
    *out = ws;
    return NET_OK;
}

void ws_free(struct ws *ws) {
    if (!ws)
        return;
    wslay_frame_context_free(ws->frames);
    net_buf_fini(&ws->out);
    free(ws->message);
    free(ws);
}

bool ws_open(const struct ws *ws) { return ws->phase != PHASE_REQUEST; }

bool ws_discard(struct ws *ws) {
    if (ws->lost)
        return false;
    ws->discard = true;
    if (ws->phase == PHASE_FAILED) {
        ws->phase = PHASE_OPEN;
        ws->err = NET_OK;
    }
    return true;
}

static enum net_err fail(struct ws *ws, uint16_t code, enum net_err err) {
    if (ws->err)
        return ws->err;
    ws->phase = PHASE_FAILED;
    ws->code = code;
    ws->err = err;
    return err;
}

/* ---- out -------------------------------------------------------------------
 */

static void put_control(struct ws *ws, uint8_t opcode, const void *p,
                        size_t n) {
    uint8_t frame[2 + WS_CONTROL] = {(uint8_t)(0x80 | opcode), (uint8_t)n};

    if (n)
        memcpy(frame + 2, p, n);
    if (net_buf_append(&ws->out, frame, 2 + n))
        ws->err = NET_ENOMEM;
}

struct net_buf *ws_output(struct ws *ws) {
    if (ws->pong_due && !ws->said)
        put_control(ws, WSLAY_PONG, ws->pong, ws->n_pong);
    ws->pong_due = false;
    return &ws->out;
}

static void refuse(struct ws *ws, int status) {
    struct http_upgrade upgrade = {.status = status};
    char answer[HTTP_ANSWER];
    size_t n = http_answer(&upgrade, answer);

    if (net_buf_append(&ws->out, answer, n))
        ws->err = NET_ENOMEM;
}

void ws_bye(struct ws *ws, uint16_t code, const char *reason) {
    uint8_t payload[WS_CONTROL];
    size_t n = strlen(reason);

    if (ws->said)
        return;
    if (ws->phase == PHASE_REQUEST) {
        refuse(ws, ws->status     ? ws->status
                   : code == 1013 ? 503
                   : code == 1001 ? 503
                                  : 408);
        ws->said = true;
        return;
    }
    if (ws->code) {
        code = ws->code;
        reason = "";
        n = 0;
    }
    n = n > WS_CONTROL - 2 ? WS_CONTROL - 2 : n;
    payload[0] = (uint8_t)(code >> 8);
    payload[1] = (uint8_t)code;
    memcpy(payload + 2, reason, n);
    put_control(ws, WSLAY_CONNECTION_CLOSE, payload, 2 + n);
    ws->said = true;
}

/* ---- the handshake ---------------------------------------------------------
 */

static enum net_err read_request(struct ws *ws) {
    struct http_upgrade upgrade;
    char answer[HTTP_ANSWER];
    size_t used;

    if (ws->n_in == 0)
        return NET_OK;
    used = http_upgrade(ws->in, ws->n_in, ws->rules, &upgrade);
    if (!used)
        return NET_OK;
    ws->in += used;
    ws->n_in -= used;
    if (upgrade.status != 101) {
        ws->status = upgrade.status;
        ws->err = upgrade.status == 431 ? NET_ELIMIT : NET_EFRAMING;
        return ws->err;
    }
    ws->phase = PHASE_OPEN;
    return net_buf_append(&ws->out, answer, http_answer(&upgrade, answer));
}

/* ---- frames ----------------------------------------------------------------
 */

static enum net_err begin_control(struct ws *ws,
                                  const struct wslay_frame_iocb *f) {
    if (f->opcode > WSLAY_PONG || !f->fin || f->payload_length > WS_CONTROL)
        return fail(ws, 1002, NET_EFRAMING);
    return NET_OK;
}

static enum net_err begin_data(struct ws *ws,
                               const struct wslay_frame_iocb *f) {
    bool goes_on = f->opcode == WSLAY_CONTINUATION_FRAME;

    if (f->opcode > WSLAY_BINARY_FRAME || goes_on != ws->in_message)
        return fail(ws, 1002, NET_EFRAMING);
    if (f->opcode == WSLAY_TEXT_FRAME)
        return fail(ws, 1003, NET_EFRAMING);
    if (!goes_on) {
        ws->in_message = true;
        ws->fragments = 0;
        ws->len = 0;
    }
    if (ws->discard)
        return NET_OK;
    if (++ws->fragments > WS_FRAGMENTS)
        return fail(ws, 1008, NET_ELIMIT);
    if (f->payload_length > ws->max || ws->len + f->payload_length > ws->max)
        return fail(ws, 1009, NET_ELIMIT);
    return NET_OK;
}

static enum net_err begin_frame(struct ws *ws,
                                const struct wslay_frame_iocb *f) {
    ws->in_frame = true;
    ws->refused = false;
    ws->left = f->payload_length;
    ws->n_control = 0;
    if (f->rsv || !f->mask)
        return fail(ws, 1002, NET_EFRAMING);
    return wslay_is_ctrl_frame(f->opcode) ? begin_control(ws, f)
                                          : begin_data(ws, f);
}

/* Memory comes as bytes do, never for what is only announced. */
static enum net_err keep(struct ws *ws, const uint8_t *p, size_t n) {
    if (ws->discard)
        return NET_OK;
    if (ws->len + n > ws->cap) {
        size_t cap = ws->cap ? ws->cap : WS_FIRST;
        uint8_t *message;

        while (cap < ws->len + n)
            cap *= 2;
        message = realloc(ws->message, cap);
        if (!message)
            return fail(ws, 1011, NET_ENOMEM);
        ws->message = message;
        ws->cap = cap;
    }
    if (n)
        memcpy(ws->message + ws->len, p, n);
    ws->len += n;
    return NET_OK;
}

/* ---- control frames --------------------------------------------------------
 */

/* RFC 6455 section 7.4 and IANA's registry. */
static bool code_is_good(unsigned code) {
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
           (code >= 3000 && code <= 4999);
}

static bool is_utf8(const uint8_t *p, size_t n) {
    for (size_t i = 0; i < n; i++) {
        size_t more = p[i] < 0x80                    ? 0
                      : p[i] >= 0xc2 && p[i] <= 0xdf ? 1
                      : (p[i] & 0xf0) == 0xe0        ? 2
                      : p[i] >= 0xf0 && p[i] <= 0xf4 ? 3
                                                     : n;
        uint32_t c = p[i];

        if (more >= n - i)
            return false;
        if (more == 0)
            continue;
        c &= 0x3fU >> more;
        for (size_t k = 0; k < more; k++) {
            i++;
            if ((p[i] & 0xc0) != 0x80)
                return false;
            c = c << 6 | (p[i] & 0x3fU);
        }
        if ((more == 2 && (c < 0x800 || (c >= 0xd800 && c <= 0xdfff))) ||
            (more == 3 && (c < 0x10000 || c > 0x10ffff)))
            return false;
    }
    return true;
}

static enum net_err on_close(struct ws *ws) {
    const uint8_t *p = ws->control;
    size_t n = ws->n_control;

    if (n == 1 || (n && !code_is_good((unsigned)p[0] << 8 | p[1])))
        return fail(ws, 1002, NET_EFRAMING);
    if (n && !is_utf8(p + 2, n - 2))
        return fail(ws, 1007, NET_EFRAMING);
    /* The answer to it, unless it is the answer to ours. */
    if (!ws->said)
        put_control(ws, WSLAY_CONNECTION_CLOSE, p, n ? 2 : 0);
    ws->said = true;
    ws->phase = PHASE_CLOSED;
    ws->err = NET_EEOF;
    return ws->err;
}

static enum net_err end_control(struct ws *ws, uint8_t opcode) {
    if (opcode == WSLAY_CONNECTION_CLOSE)
        return on_close(ws);
    if (opcode == WSLAY_PING) {
        memcpy(ws->pong, ws->control, ws->n_control);
        ws->n_pong = ws->n_control;
        ws->pong_due = true;
    }
    return NET_OK;
}

/* ---- in --------------------------------------------------------------------
 */

/* What wslay gave: a part of a frame, or the whole. *whole: a message ends. */
static enum net_err on_part(struct ws *ws, const struct wslay_frame_iocb *f,
                            bool *whole) {
    bool control = wslay_is_ctrl_frame(f->opcode);
    enum net_err err = NET_OK;

    if (!ws->in_frame) {
        err = begin_frame(ws, f);
        ws->refused = err != NET_OK;
    }
    if (!ws->refused && control && f->data_length) {
        memcpy(ws->control + ws->n_control, f->data, f->data_length);
        ws->n_control += f->data_length;
    } else if (!ws->refused && !control) {
        err = keep(ws, f->data, f->data_length);
    }
    ws->left -= f->data_length;
    ws->in_frame = ws->left > 0;
    if (!ws->in_frame && !control && f->fin)
        ws->in_message = false;
    if (err || ws->in_frame || ws->refused)
        return err;
    if (control)
        return end_control(ws, f->opcode);
    *whole = f->fin && !ws->discard;
    return NET_OK;
}

/* The last message was the caller's until now. */
static void forget(struct ws *ws) {
    if (!ws->given)
        return;
    ws->given = false;
    ws->len = 0;
    free(ws->message);
    ws->message = NULL;
    ws->cap = 0;
}

static enum net_err read_frames(struct ws *ws, const uint8_t **message,
                                size_t *len) {
    bool whole = false;

    while (!whole) {
        struct wslay_frame_iocb f;
        ssize_t rv;
        enum net_err err;

        memset(&f, 0, sizeof(f));
        rv = wslay_frame_recv(ws->frames, &f);
        if (rv == WSLAY_ERR_WANT_READ)
            return NET_OK;
        if (rv < 0) {
            ws->lost = true;
            return fail(ws, 1002, NET_EFRAMING);
        }
        err = on_part(ws, &f, &whole);
        if (err)
            return err;
    }
    ws->given = true;
    *message = ws->message ? ws->message : (const uint8_t *)"";
    *len = ws->len;
    return NET_OK;
}

enum net_err ws_read(struct ws *ws, const uint8_t *p, size_t n, size_t *used,
                     const uint8_t **message, size_t *len) {
    enum net_err err = ws->err;

    *message = NULL;
    *len = 0;
    ws->in = p;
    ws->n_in = n;
    forget(ws);
    if (!err && ws->phase == PHASE_REQUEST)
        err = read_request(ws);
    if (!err && ws->phase == PHASE_OPEN)
        err = read_frames(ws, message, len);
    *used = n - ws->n_in;
    ws->in = NULL;
    return err;
}
