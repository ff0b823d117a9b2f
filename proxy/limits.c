/* limits.c: see limits.h. */
#include "proxy/limits.h"

#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>

enum { SECOND = 1000000, FIRST_BUCKETS = 64, CONNECT_BURST = 10 };

/* ---- a rate -----------------------------------------------------------------
 */

uint64_t bucket_spend(struct bucket *bucket, uint64_t now, uint64_t n,
                      uint32_t rate, uint32_t burst) {
    uint64_t depth = (uint64_t)burst * SECOND / rate;
    uint64_t from = bucket->full_at > now ? bucket->full_at : now;

    bucket->full_at = from + n * SECOND / rate;
    return bucket->full_at - now > depth ? bucket->full_at - now - depth : 0;
}

bool bucket_take(struct bucket *bucket, uint64_t now, uint32_t rate,
                 uint32_t burst) {
    struct bucket after = *bucket;

    if (bucket_spend(&after, now, 1, rate, burst))
        return false;
    *bucket = after;
    return true;
}

bool bucket_full(const struct bucket *bucket, uint64_t now) {
    return bucket->full_at <= now;
}

/* ---- addresses
 * --------------------------------------------------------------- */

struct address {
    struct address *next;
    uint8_t key[9]; /* 4 or 6, then IPv4's 4 bytes or IPv6's first 8 */
    uint32_t n;
    struct bucket rate;
};

struct addresses {
    struct address **rows;
    size_t n_rows, n; /* n_rows is a power of two */
};

static void make_key(const char *peer, uint8_t key[9]) {
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    uint8_t raw[16] = {0};

    memset(key, 0, 9);
    if (inet_pton(AF_INET, peer, raw) == 1) {
        key[0] = 4;
        memcpy(key + 1, raw, 4);
    } else if (inet_pton(AF_INET6, peer, raw) == 1) {
        bool four = memcmp(raw, mapped, sizeof(mapped)) == 0;

        key[0] = four ? 4 : 6;
        memcpy(key + 1, raw + (four ? 12 : 0), four ? 4 : 8);
    }
}

/* FNV-1a. Who owns a /32 of IPv6 could fill one row; what it costs is a walk
 * over entries that are bounded by max_connections and the rate. */
static size_t row_of(const uint8_t key[9], size_t n_rows) {
    uint64_t h = 14695981039346656037U;

    for (size_t i = 0; i < 9; i++)
        h = (h ^ key[i]) * 1099511628211U;
    return (size_t)(h ^ h >> 32) & (n_rows - 1);
}

struct addresses *addresses_new(void) {
    struct addresses *a = calloc(1, sizeof(*a));

    if (!a)
        return NULL;
    a->n_rows = FIRST_BUCKETS;
    a->rows = calloc(a->n_rows, sizeof(struct address *));
    if (!a->rows) {
        free(a);
        return NULL;
    }
    return a;
}

void addresses_free(struct addresses *a) {
    for (size_t i = 0; a && i < a->n_rows; i++)
        while (a->rows[i]) {
            struct address *next = a->rows[i]->next;

            free(a->rows[i]);
            a->rows[i] = next;
        }
    if (a)
        free(a->rows);
    free(a);
}

size_t addresses_count(const struct addresses *a) { return a->n; }

/* Drops the entries of a row that say nothing. */
static void sweep(struct addresses *a, struct address **at, uint64_t now) {
    while (*at) {
        struct address *e = *at;

        if (e->n > 0 || !bucket_full(&e->rate, now)) {
            at = &e->next;
            continue;
        }
        *at = e->next;
        free(e);
        a->n--;
    }
}

/* Twice the rows; where there is no memory, the old ones do. */
static void grow(struct addresses *a, uint64_t now) {
    struct address **rows;

    for (size_t i = 0; i < a->n_rows; i++)
        sweep(a, &a->rows[i], now);
    if (a->n < a->n_rows)
        return;
    rows = calloc(a->n_rows * 2, sizeof(struct address *));
    if (!rows)
        return;
    for (size_t i = 0; i < a->n_rows; i++)
        while (a->rows[i]) {
            struct address *e = a->rows[i];
            size_t to = row_of(e->key, a->n_rows * 2);

            a->rows[i] = e->next;
            e->next = rows[to];
            rows[to] = e;
        }
    free(a->rows);
    a->rows = rows;
    a->n_rows *= 2;
}

static struct address *find(const struct addresses *a, const uint8_t key[9]) {
    struct address *e = a->rows[row_of(key, a->n_rows)];

    while (e && memcmp(e->key, key, 9) != 0)
        e = e->next;
    return e;
}

static struct address *add(struct addresses *a, const uint8_t key[9],
                           uint64_t now) {
    struct address *e = calloc(1, sizeof(*e));
    size_t row;

    if (!e)
        return NULL;
    if (a->n >= a->n_rows)
        grow(a, now);
    row = row_of(key, a->n_rows);
    sweep(a, &a->rows[row], now);
    memcpy(e->key, key, 9);
    e->next = a->rows[row];
    a->rows[row] = e;
    a->n++;
    return e;
}

enum admission addresses_enter(struct addresses *a, const char *peer,
                               uint64_t now, uint32_t most, uint32_t rate) {
    uint64_t burst = (uint64_t)rate * CONNECT_BURST;
    struct address *e;
    uint8_t key[9];

    make_key(peer, key);
    e = find(a, key);
    if (!e)
        e = add(a, key, now);
    if (!e)
        return ADMIT_ENOMEM;
    if (e->n >= most)
        return ADMIT_TOO_MANY;
    if (!bucket_take(&e->rate, now, rate,
                     burst > UINT32_MAX ? UINT32_MAX : (uint32_t)burst))
        return ADMIT_TOO_FAST;
    e->n++;
    return ADMIT_YES;
}

void addresses_leave(struct addresses *a, const char *peer, uint64_t now) {
    struct address *e;
    uint8_t key[9];

    make_key(peer, key);
    e = find(a, key);
    if (!e)
        return;
    e->n--;
    if (e->n == 0)
        sweep(a, &a->rows[row_of(key, a->n_rows)], now);
}
