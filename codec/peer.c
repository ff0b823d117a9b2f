/*
 * peer.c: both directions of a connection at one end, and how the ends agree on
 * bounds. Each end says beside the first header that it sends how much it will
 * remember of what it receives; from then on the other end may use that much.
 * Who hears a header without bounds first says none: a client that knows
 * nothing of state sees nothing of it.
 */
#include <stdlib.h>

#include "state.h"

enum {
    FRAME_OPEN = 13,
    FRAME_SLOTS = 16, /* beside open: struct terse_state_limits, in its order */
    FRAME_SLOT_BYTES = 17,
    FRAME_TEMPLATES = 18,
    FRAME_TEMPLATE_BYTES = 19,
    FRAME_REVISION = 20, /* of the schemas that who says it knows */
};

struct terse_peer {
    const struct terse_schema *schema;
    struct terse_state_limits own;
    struct state *in;  /* NULL until we have said how much we remember */
    struct state *out; /* NULL until the peer has */
    bool begins;       /* or the other end has said its bounds */
    bool said;         /* our bounds */
    uint32_t revision; /* of the schemas that both ends know */
};

const struct terse_state_limits terse_state_limits_default = {
    .slots = 128,
    .slot_bytes = 4000,
    .templates = 64,
    .template_bytes = 12000,
};

static bool remembers(const struct terse_state_limits *limits) {
    return limits->slots > 0 || limits->templates > 0;
}

enum terse_err terse_peer_new(struct terse_peer **out,
                              const struct terse_schema *schema,
                              const struct terse_state_limits *own,
                              bool begins) {
    struct terse_peer *peer = calloc(1, sizeof(*peer));
    if (!peer)
        return TERSE_ENOMEM;
    peer->schema = schema;
    peer->own = *own;
    peer->begins = begins;
    peer->revision = 1;
    *out = peer;
    return TERSE_OK;
}

void terse_peer_free(struct terse_peer *peer) {
    if (!peer)
        return;
    state_free(peer->in);
    state_free(peer->out);
    free(peer);
}

void terse_work_init(struct terse_work *work,
                     const struct terse_limits *limits) {
    terse_buf_init(&work->a, limits->frame_bytes);
    terse_buf_init(&work->b, limits->frame_bytes);
    terse_buf_init(&work->c, limits->frame_bytes);
}

void terse_work_fini(struct terse_work *work) {
    terse_buf_fini(&work->a);
    terse_buf_fini(&work->b);
    terse_buf_fini(&work->c);
}

static bool is_open(struct terse_str frame) {
    return frame.n > 0 && (uint8_t)frame.p[0] == (FRAME_OPEN << 3 | WIRE_BYTES);
}

/* ---- sender -------------------------------------------------------------- */

static enum terse_err say_bounds(struct terse_peer *peer,
                                 struct terse_buf *out) {
    const uint32_t bounds[] = {peer->own.slots, peer->own.slot_bytes,
                               peer->own.templates, peer->own.template_bytes};
    enum terse_err err = TERSE_OK;
    if (remembers(&peer->own))
        err = state_new(&peer->in, peer->schema, &peer->own);
    for (uint32_t i = 0; i < 4 && err == TERSE_OK; i++)
        if (bounds[i] > 0)
            err = state_put_number(out, FRAME_SLOTS + i, bounds[i]);
    if (err == TERSE_OK)
        err = state_put_number(out, FRAME_REVISION,
                               schema_revision(peer->schema));
    return err;
}

enum terse_err terse_peer_pack(struct terse_peer *peer, const void *frame,
                               size_t n, struct terse_work *work,
                               struct terse_buf *out) {
    struct terse_str in = {frame, n};
    if (peer->out && !is_open(in))
        return state_pack(peer->out, in, work, out);
    terse_buf_reset(out);
    enum terse_err err = terse_buf_append(out, frame, n);
    if (err == TERSE_OK && is_open(in) && peer->begins && !peer->said) {
        peer->said = true;
        err = say_bounds(peer, out);
    }
    return err;
}

/* ---- receiver ------------------------------------------------------------ */

static uint32_t at_most(uint64_t said, uint32_t own) {
    return said < own ? (uint32_t)said : own;
}

/* One of the bounds, or what a later version of us says there. */
static enum terse_err hear_bound(struct terse_peer *peer,
                                 const struct wire_field *f,
                                 const uint32_t own[4], uint32_t said[4]) {
    if (f->number > FRAME_REVISION)
        return TERSE_OK;
    if (f->number < FRAME_SLOTS || f->type != WIRE_VARINT)
        return TERSE_EFRAME;
    if (f->number < FRAME_REVISION)
        said[f->number - FRAME_SLOTS] =
            at_most(f->value, own[f->number - FRAME_SLOTS]);
    else
        peer->revision =
            f->value > 0 ? at_most(f->value, schema_revision(peer->schema)) : 1;
    return TERSE_OK;
}

/* A header, and the bounds beside it: the header alone goes on. */
static enum terse_err hear_bounds(struct terse_peer *peer,
                                  struct terse_str frame,
                                  struct terse_buf *out) {
    const uint32_t own[4] = {peer->own.slots, peer->own.slot_bytes,
                             peer->own.templates, peer->own.template_bytes};
    uint32_t said[4] = {0};
    struct wire in = wire_of(frame);
    struct wire_field f;
    if (!wire_next(&in, &f))
        return TERSE_EFRAME;
    size_t header = (size_t)(in.p - (const uint8_t *)frame.p);
    peer->begins = peer->begins || header < frame.n;
    while (in.p != in.end) {
        if (!wire_next(&in, &f) || hear_bound(peer, &f, own, said) != TERSE_OK)
            return TERSE_EFRAME;
    }
    struct terse_state_limits limits = {said[0], said[1], said[2], said[3]};
    enum terse_err err = TERSE_OK;
    if (remembers(&limits) && !peer->out)
        err = state_new(&peer->out, peer->schema, &limits);
    return err == TERSE_OK ? terse_buf_append(out, frame.p, header) : err;
}

enum terse_err terse_peer_unpack(struct terse_peer *peer, const void *frame,
                                 size_t n, struct terse_work *work,
                                 struct terse_buf *out) {
    struct terse_str in = {frame, n};
    terse_buf_reset(out);
    if (n == 0)
        return TERSE_EFRAME;
    if (is_open(in))
        return hear_bounds(peer, in, out);
    if (peer->in)
        return state_unpack(peer->in, in, work, out);
    return terse_buf_append(out, frame, n);
}

uint32_t terse_peer_revision(const struct terse_peer *peer) {
    return peer->revision;
}
