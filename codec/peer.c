/*
 * peer.c: both directions of a connection at one end, and how the ends agree on
 * bounds. Each end says beside the first header that it sends how much it will
 * remember of what it receives; from then on the other end may use that much.
 * Who hears a header without bounds first says none: a client that knows
 * nothing of state sees nothing of it.
 */
#include <stdlib.h>

#include "parts.h"
#include "state.h"

enum {
    FRAME_SLOTS = 16,    /* beside open: the bounds, see bounds_of */
    FRAME_REVISION = 20, /* of the schemas that who says it knows */
    OPEN_TO = 1,         /* in FRAME_OPEN */
};

struct terse_peer {
    const struct terse_schema *schema;
    struct terse_state_limits own;
    struct state *in;        /* NULL until we have said how much we remember */
    struct state *out;       /* NULL until the peer has */
    bool initiates;          /* sends the first header */
    bool begins;             /* that, or the other end has said its bounds */
    bool said;               /* our bounds */
    uint32_t revision;       /* of the schemas that both ends know */
    struct terse_buf domain; /* that the first header asked for */
};

const struct terse_state_limits terse_state_limits_default = {
    .slots = 48,
    .templates = 64,
    .journal = 32,
    .bytes = 20000,
};

static bool remembers(const struct terse_state_limits *limits) {
    return limits->slots > 0 || limits->templates > 0 || limits->journal > 0 ||
           limits->bytes > 0;
}

/* The bounds in the order of their fields. */
enum { BOUNDS = 4 };
static void bounds_of(const struct terse_state_limits *limits,
                      uint32_t out[BOUNDS]) {
    out[0] = limits->slots;
    out[1] = limits->templates;
    out[2] = limits->journal;
    out[3] = limits->bytes;
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
    peer->initiates = peer->begins = begins;
    peer->revision = 1;
    terse_buf_init(&peer->domain, BOOK_TEXT_MAX);
    *out = peer;
    return TERSE_OK;
}

void terse_peer_free(struct terse_peer *peer) {
    if (!peer)
        return;
    state_free(peer->in);
    state_free(peer->out);
    terse_buf_fini(&peer->domain);
    free(peer);
}

enum { WORKS = 5 };
static void works_of(struct terse_work *work, struct terse_buf *all[WORKS]) {
    all[0] = &work->a;
    all[1] = &work->b;
    all[2] = &work->c;
    all[3] = &work->d;
    all[4] = &work->e;
}

void terse_work_init(struct terse_work *work,
                     const struct terse_limits *limits) {
    struct terse_buf *all[WORKS];
    works_of(work, all);
    for (size_t i = 0; i < WORKS; i++)
        terse_buf_init(all[i], limits->frame_bytes);
}

void terse_work_bound(struct terse_work *work,
                      const struct terse_limits *limits) {
    struct terse_buf *all[WORKS];
    works_of(work, all);
    for (size_t i = 0; i < WORKS; i++)
        all[i]->max = limits->frame_bytes;
}

void terse_work_fini(struct terse_work *work) {
    struct terse_buf *all[WORKS];
    works_of(work, all);
    for (size_t i = 0; i < WORKS; i++)
        terse_buf_fini(all[i]);
}

static bool is_open(struct terse_str frame) {
    return frame.n > 0 && (uint8_t)frame.p[0] == (FRAME_OPEN << 3 | WIRE_BYTES);
}

/* The domain that the first header asked for: both ends' books begin with it.
 * One that is longer than an entry is left out. */
static enum terse_err take_domain(struct terse_peer *peer,
                                  struct terse_str open) {
    struct wire in = wire_of(open);
    struct wire_field f;
    if (!wire_next(&in, &f) || f.type != WIRE_BYTES)
        return TERSE_EFRAME;
    in = wire_of(f.bytes);
    while (in.p != in.end) {
        if (!wire_next(&in, &f))
            return TERSE_EFRAME;
        if (f.number == OPEN_TO && f.type == WIRE_BYTES &&
            f.bytes.n <= BOOK_TEXT_MAX) {
            if (strings_marked(f.bytes))
                return TERSE_EFRAME;
            terse_buf_reset(&peer->domain);
            return terse_buf_append(&peer->domain, f.bytes.p, f.bytes.n);
        }
    }
    return TERSE_OK;
}

/* What a client sends is less, and less of it comes again. */
static void cut(struct terse_state_limits *limits) {
    limits->slots /= 2;
    limits->templates /= 2;
    limits->bytes = limits->bytes / 10 * 3;
}

/* One direction, and what it has to do with the other. */
static enum terse_err make_state(struct terse_peer *peer, struct state **out,
                                 const struct terse_state_limits *limits) {
    struct terse_str domain = {(const char *)terse_buf_data(&peer->domain),
                               peer->domain.len};
    enum terse_err err = state_new(out, peer->schema, limits, domain);
    if (err == TERSE_OK && peer->in && peer->out) {
        peer->in->other = peer->out;
        peer->out->other = peer->in;
        terse_buf_fini(&peer->domain);
    }
    return err;
}

/* ---- sender -------------------------------------------------------------- */

static enum terse_err say_bounds(struct terse_peer *peer,
                                 struct terse_buf *out) {
    enum terse_err err = TERSE_OK;
    struct terse_state_limits says = peer->own;
    uint32_t bounds[BOUNDS];
    if (!peer->initiates)
        cut(&says);
    if (remembers(&says))
        err = make_state(peer, &peer->in, &says);
    bounds_of(&says, bounds);
    for (uint32_t i = 0; i < BOUNDS && err == TERSE_OK; i++)
        if (bounds[i] > 0)
            err = parts_put_number(out, FRAME_SLOTS + i, bounds[i]);
    if (err == TERSE_OK)
        err = parts_put_number(out, FRAME_REVISION,
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
        if (peer->initiates)
            err = take_domain(peer, in);
        if (err == TERSE_OK)
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
                                 uint32_t said[BOUNDS], uint32_t *seen) {
    if (f->number > FRAME_REVISION)
        return TERSE_OK;
    if (f->number < FRAME_SLOTS || f->type != WIRE_VARINT ||
        *seen & 1u << f->number)
        return TERSE_EFRAME;
    *seen |= 1u << f->number;
    if (f->number < FRAME_REVISION)
        said[f->number - FRAME_SLOTS] = at_most(f->value, UINT32_MAX);
    else
        peer->revision =
            f->value > 0 ? at_most(f->value, schema_revision(peer->schema)) : 1;
    return TERSE_OK;
}

/* What this end uses of what the other one said: no more than its own bounds
 * for that direction, so that nobody makes it remember more than it means to.
 */
static struct terse_state_limits use(const struct terse_peer *peer,
                                     const uint32_t said[BOUNDS]) {
    struct terse_state_limits sends = peer->own;
    uint32_t own[BOUNDS], out[BOUNDS];
    if (peer->initiates)
        cut(&sends);
    bounds_of(&sends, own);
    for (uint32_t i = 0; i < BOUNDS; i++)
        out[i] = at_most(said[i], own[i]);
    /* The first entry of the book must be there if the other end has it, which
     * may refer to it unless we said that we remember nothing. */
    if (remembers(&peer->own) && said[3] >= BOOK_BUDGET_MIN &&
        out[3] < BOOK_BUDGET_MIN)
        out[3] = BOOK_BUDGET_MIN;
    return (struct terse_state_limits){out[0], out[1], out[2], out[3]};
}

/* A header, and the bounds beside it: the header alone goes on. */
static enum terse_err hear_bounds(struct terse_peer *peer,
                                  struct terse_str frame,
                                  struct terse_buf *out) {
    uint32_t said[BOUNDS] = {0}, seen = 0;
    struct wire in = wire_of(frame);
    struct wire_field f;
    if (!wire_next(&in, &f))
        return TERSE_EFRAME;
    size_t header = (size_t)(in.p - (const uint8_t *)frame.p);
    peer->begins = peer->begins || header < frame.n;
    while (in.p != in.end) {
        if (!wire_next(&in, &f) ||
            hear_bound(peer, &f, said, &seen) != TERSE_OK)
            return TERSE_EFRAME;
    }
    enum terse_err err = TERSE_OK;
    if (!peer->initiates && !peer->out)
        err = take_domain(peer, (struct terse_str){frame.p, header});
    struct terse_state_limits limits = use(peer, said);
    if (err == TERSE_OK && remembers(&limits) && !peer->out)
        err = make_state(peer, &peer->out, &limits);
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
