/* Fuzzes state: bytes as a session, both directions. The first three are the
 * bounds; each record behind them is one byte of `enum op`, two of length, and
 * a frame, which goes two ways. As what an end says: packed there, on the way
 * for a while, it comes out of the other end as it was. As what a hostile
 * server says to a client that talks itself: refused or not, nothing crashes
 * and nothing outgrows its bounds. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/codec_util.h"

enum op {
    FROM_SERVER = 1,
    ONLY_HOSTILE = 2,
    ONLY_SAID = 4,
    DELIVER_SHIFT = 4, /* frames that come before it, of each direction */
    DELIVER_MASK = 3,
};
enum { BOUNDS = 3, HEAD = 3, ON_THE_WAY = 24 };

static struct terse_schema *schema;
static struct terse_work work;
static struct terse_buf wire, back;

/* A frame on its way, and what is to come out. */
struct parcel {
    struct terse_buf wire, plain;
};

struct line {
    struct terse_peer *end[2]; /* client, server */
    struct parcel queue[2][ON_THE_WAY];
    unsigned first[2], n[2];
    bool over; /* a frame was too large: the connection has ended */
};

static struct line line;

static void keep(struct terse_buf *out, const void *p, size_t n) {
    terse_buf_reset(out);
    if (terse_buf_append(out, p, n) != TERSE_OK)
        abort();
}

/* A header says bounds, which makes the other end's state. */
static void agree(struct terse_peer *a, struct terse_peer *b) {
    static const uint8_t open[] = {0x6a, 0x03, 0x0a, 0x01, 'x'};
    if (terse_peer_pack(a, open, sizeof(open), &work, &wire) != TERSE_OK ||
        terse_peer_unpack(b, terse_buf_data(&wire), wire.len, &work, &back) !=
            TERSE_OK)
        abort();
}

static void deliver(struct line *l, int from) {
    struct parcel *p = &l->queue[from][l->first[from]];
    if (l->n[from] == 0)
        return;
    if (terse_peer_unpack(l->end[!from], terse_buf_data(&p->wire), p->wire.len,
                          &work, &back) != TERSE_OK ||
        !codec_same(&back, &p->plain))
        abort();
    l->first[from] = (l->first[from] + 1) % ON_THE_WAY;
    l->n[from]--;
}

/* Whether p is what the codec writes: what it can decode. */
static bool is_sound(const uint8_t *p, size_t n) {
    struct terse_buf xml;
    terse_buf_init(&xml, terse_limits_default.stanza_bytes);
    bool sound = terse_decode(schema, &terse_limits_default, p, n,
                              TERSE_IN_STREAM, &xml, NULL) == TERSE_OK;
    terse_buf_fini(&xml);
    return sound;
}

static void say(struct line *l, int from, const uint8_t *p, size_t n) {
    if (l->n[from] == ON_THE_WAY)
        deliver(l, from);
    struct parcel *parcel =
        &l->queue[from][(l->first[from] + l->n[from]) % ON_THE_WAY];
    enum terse_err err = terse_peer_pack(l->end[from], p, n, &work, &wire);
    if (err == TERSE_EFRAME)
        abort(); /* our own frames always fit */
    l->over = err != TERSE_OK;
    if (l->over)
        return;
    keep(&parcel->wire, terse_buf_data(&wire), wire.len);
    keep(&parcel->plain, p, n);
    l->n[from]++;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* ---- seeds: sessions of the frames that frame_fuzz found in XML -----------
 */

enum { PER_SESSION = 24 };

static void put_record(FILE *out, int op, const void *p, size_t n) {
    if (n > UINT16_MAX)
        return;
    fputc(op, out);
    fputc((int)(n & 0xff), out);
    fputc((int)(n >> 8), out);
    fwrite(p, 1, n, out);
}

static const uint8_t seed_bounds[BOUNDS] = {0x60, 0x40, 0x4e};

static struct terse_state_limits limits_of(const uint8_t p[BOUNDS]) {
    return (struct terse_state_limits){p[0] % 193u, p[1] % 129u, p[2] % 47u,
                                       p[2] * 256u};
}

static void pair_new(struct terse_peer *end[2],
                     const struct terse_state_limits *limits) {
    for (int i = 0; i < 2; i++)
        if (terse_peer_new(&end[i], schema, limits, i == 0) != TERSE_OK)
            abort();
    agree(end[0], end[1]);
    agree(end[1], end[0]);
}

static void pair_free(struct terse_peer *end[2]) {
    terse_peer_free(end[0]);
    terse_peer_free(end[1]);
}

/* A frame as what both ends say, and in `hostile` as what the server says on
 * the wire: with all the state that our own sender makes of it. */
static void put_seed(FILE *said, FILE *hostile, struct terse_peer *end[2],
                     unsigned count, const uint8_t *p, size_t n) {
    int from = (int)(count & 1);
    put_record(said, from | ONLY_SAID | (int)(count / 8 % 3) << DELIVER_SHIFT,
               p, n);
    if (!is_sound(p, n) ||
        terse_peer_pack(end[from], p, n, &work, &wire) != TERSE_OK ||
        terse_peer_unpack(end[!from], terse_buf_data(&wire), wire.len, &work,
                          &back) != TERSE_OK)
        return;
    if (from == 1)
        put_record(hostile, ONLY_HOSTILE, terse_buf_data(&wire), wire.len);
    else
        put_record(hostile, 0 | ONLY_SAID, p, n);
}

static FILE *seed_file(const char *to, const char *kind, unsigned count) {
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s-%u", to, kind, count);
    FILE *out = fopen(path, "wb");
    if (!out)
        abort();
    fwrite(seed_bounds, 1, sizeof(seed_bounds), out);
    return out;
}

static void make_seeds(void) {
    const char *from = getenv("SEEDS_FRAME"), *to = getenv("SEEDS_PEER");
    struct terse_state_limits limits = limits_of(seed_bounds);
    DIR *dir = from && to ? opendir(from) : NULL;
    FILE *said = NULL, *hostile = NULL;
    struct terse_peer *end[2] = {NULL, NULL};
    char path[4096];
    unsigned count = 0;
    if (!dir)
        return;
    for (struct dirent *e; (e = readdir(dir));) {
        size_t n;
        snprintf(path, sizeof(path), "%s/%s", from, e->d_name);
        char *frame = e->d_name[0] != '.' ? codec_slurp(path, &n) : NULL;
        if (!frame || n > UINT16_MAX) {
            free(frame);
            continue;
        }
        if (count % PER_SESSION == 0) {
            if (said)
                fclose(said), fclose(hostile);
            said = seed_file(to, "said", count);
            hostile = seed_file(to, "hostile", count);
            pair_free(end);
            pair_new(end, &limits);
        }
        put_seed(said, hostile, end, count++, (const uint8_t *)frame, n);
        free(frame);
    }
    if (said)
        fclose(said), fclose(hostile);
    pair_free(end);
    closedir(dir);
}

int LLVMFuzzerInitialize(int *argc, char ***argv);

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc, (void)argv;
    if (terse_schema_new(&schema) != TERSE_OK)
        abort();
    terse_work_init(&work, &terse_limits_default);
    terse_buf_init(&wire, 2 * terse_limits_default.frame_bytes);
    terse_buf_init(&back, 2 * terse_limits_default.frame_bytes);
    for (int i = 0; i < 2 * ON_THE_WAY; i++) {
        struct parcel *p = &line.queue[i % 2][i / 2];
        terse_buf_init(&p->wire, 2 * terse_limits_default.frame_bytes);
        terse_buf_init(&p->plain, 2 * terse_limits_default.frame_bytes);
    }
    make_seeds();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n) {
    struct terse_peer *victim[2]; /* and the server that it agrees with */
    struct line *l = &line;
    bool alive = true;
    if (n < BOUNDS)
        return 0;
    struct terse_state_limits limits = limits_of(p);
    pair_new(l->end, &limits);
    pair_new(victim, &limits);
    l->over = false;
    l->n[0] = l->n[1] = 0;
    for (p += BOUNDS, n -= BOUNDS; n >= HEAD;) {
        int op = p[0], from = op & FROM_SERVER;
        size_t len = (size_t)(p[1] | p[2] << 8);
        p += HEAD;
        n -= HEAD;
        if (len > n)
            len = n;
        for (int i = op >> DELIVER_SHIFT & DELIVER_MASK; i > 0 && !l->over; i--)
            deliver(l, 0), deliver(l, 1);
        if (!(op & ONLY_HOSTILE) && is_sound(p, len)) {
            if (!l->over)
                say(l, from, p, len);
            if (from == 0 && alive)
                alive = terse_peer_pack(victim[0], p, len, &work, &wire) ==
                        TERSE_OK;
        }
        if (!(op & ONLY_SAID) && alive)
            alive =
                terse_peer_unpack(victim[0], p, len, &work, &back) == TERSE_OK;
        p += len;
        n -= len;
    }
    while (!l->over && l->n[0] + l->n[1] > 0)
        deliver(l, 0), deliver(l, 1);
    pair_free(l->end);
    pair_free(victim);
    return 0;
}
