/* Fuzzes state: bytes as a session. Each frame, two bytes of length before it,
 * goes two ways. As what a hostile peer says: refused or not, nothing crashes
 * and nothing outgrows its bounds. As what we say: packed by one end, it comes
 * out of the other as it was. The first bytes are the bounds. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/codec_util.h"

static struct terse_schema *schema;
static struct terse_work work;
static struct terse_buf wire, back;

/* A header says bounds, which makes the other end's state. */
static void agree(struct terse_peer *a, struct terse_peer *b) {
    static const uint8_t open[] = {0x6a, 0x00};
    if (terse_peer_pack(a, open, sizeof(open), &work, &wire) != TERSE_OK ||
        terse_peer_unpack(b, terse_buf_data(&wire), wire.len, &work, &back) !=
            TERSE_OK)
        abort();
}

static void say(struct terse_peer *from, struct terse_peer *to,
                const uint8_t *p, size_t n) {
    struct terse_buf xml;
    terse_buf_init(&xml, terse_limits_default.stanza_bytes);
    /* Only what the codec writes is ever packed: what it can decode. */
    bool sound = terse_decode(schema, &terse_limits_default, p, n,
                              TERSE_IN_STREAM, &xml, NULL) == TERSE_OK;
    terse_buf_fini(&xml);
    if (!sound)
        return;
    if (terse_peer_pack(from, p, n, &work, &wire) != TERSE_OK)
        return; /* over a bound: the connection would end */
    if (terse_peer_unpack(to, terse_buf_data(&wire), wire.len, &work, &back) !=
            TERSE_OK ||
        back.len != n || memcmp(terse_buf_data(&back), p, n) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* ---- seeds: sessions of the frames that frame_fuzz found in XML -----------
 */

enum { PER_SESSION = 16 };

static void make_seeds(void) {
    const char *from = getenv("SEEDS_FRAME"), *to = getenv("SEEDS_PEER");
    DIR *dir = from && to ? opendir(from) : NULL;
    FILE *out = NULL;
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
        if (count++ % PER_SESSION == 0) {
            if (out)
                fclose(out);
            snprintf(path, sizeof(path), "%s/%u", to, count);
            if (!(out = fopen(path, "wb")))
                abort();
            fputs("\x60\x40", out);
        }
        fputc((int)(n & 0xff), out);
        fputc((int)(n >> 8), out);
        fwrite(frame, 1, n, out);
        free(frame);
    }
    if (out)
        fclose(out);
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
    make_seeds();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n) {
    struct terse_peer *us, *them, *hostile;
    if (n < 2)
        return 0;
    struct terse_state_limits limits = {p[0] % 193u, p[0] * 32u, p[1] % 129u,
                                        p[1] * 64u};
    if (terse_peer_new(&us, schema, &limits, true) != TERSE_OK ||
        terse_peer_new(&them, schema, &limits, false) != TERSE_OK ||
        terse_peer_new(&hostile, schema, &limits, true) != TERSE_OK)
        abort();
    agree(us, them);
    agree(them, us);
    agree(hostile, them);
    bool alive = true;
    for (p += 2, n -= 2; n >= 2;) {
        size_t len = (size_t)(p[0] | p[1] << 8);
        p += 2;
        n -= 2;
        if (len > n)
            len = n;
        say(us, them, p, len);
        alive = alive &&
                terse_peer_unpack(hostile, p, len, &work, &back) == TERSE_OK;
        p += len;
        n -= len;
    }
    terse_peer_free(us);
    terse_peer_free(them);
    terse_peer_free(hostile);
    return 0;
}
