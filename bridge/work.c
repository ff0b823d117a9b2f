/* work.c: see work.h. */
#include "bridge/work.h"

#include <pthread.h>
#include <stdlib.h>

/* What is kept of a thread's buffer between callbacks, and how many parsers
 * rest here at most. */
enum { WORK_KEEP = 65536, POOL_PARSERS = 64 };

/* ---- buffers of a thread ----------------------------------------------------
 */

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static bool have_key;

static void work_free(void *arg) {
    struct work *work = arg;

    terse_buf_fini(&work->frame);
    terse_buf_fini(&work->wire);
    terse_buf_fini(&work->plain);
    terse_buf_fini(&work->xml);
    terse_work_fini(&work->codec);
    free(work);
}

static void make_key(void) { have_key = !pthread_key_create(&key, work_free); }

struct work *work_of_thread(const struct bridge *bridge) {
    uint32_t most = bridge->limits->frame_bytes;
    struct work *work;

    pthread_once(&once, make_key);
    work = have_key ? pthread_getspecific(key) : NULL;
    if (!work) {
        work = have_key ? calloc(1, sizeof(*work)) : NULL;
        if (!work || pthread_setspecific(key, work)) {
            free(work);
            return NULL;
        }
    }
    work->frame.max = work->wire.max = work->plain.max = most;
    terse_work_bound(&work->codec, bridge->limits);
    work->xml.max = (size_t)bridge->limits->stanza_bytes + 4096;
    return work;
}

void work_trim(struct terse_buf *buf) {
    if (buf->cap > WORK_KEEP)
        terse_buf_fini(buf);
    else
        terse_buf_reset(buf);
}

/* ---- parsers that rest ------------------------------------------------------
 */

struct bridge_pool {
    pthread_mutex_t lock;
    struct terse_parser *at[POOL_PARSERS]; /* the latest at the end */
    size_t n;
};

struct bridge_pool *bridge_pool_new(void) {
    struct bridge_pool *pool = calloc(1, sizeof(*pool));

    if (pool && pthread_mutex_init(&pool->lock, NULL)) {
        free(pool);
        return NULL;
    }
    return pool;
}

void bridge_pool_free(struct bridge_pool *pool) {
    if (!pool)
        return;
    for (size_t i = 0; i < pool->n; i++)
        terse_parser_free(pool->at[i]);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}

/* With the lock: takes one out. */
static struct terse_parser *take(struct bridge_pool *pool, size_t at) {
    struct terse_parser *parser = pool->at[at];

    pool->n--;
    for (; at < pool->n; at++)
        pool->at[at] = pool->at[at + 1];
    return parser;
}

void pool_borrow(struct bridge_pool *pool, struct terse_reader *reader) {
    struct terse_parser *found = NULL;

    if (!pool)
        return;
    pthread_mutex_lock(&pool->lock);
    for (size_t i = pool->n; i > 0 && !found; i--)
        if (terse_reader_wants(reader, pool->at[i - 1]))
            found = take(pool, i - 1);
    pthread_mutex_unlock(&pool->lock);
    if (found)
        terse_reader_borrow(reader, found);
}

void pool_lend(struct bridge_pool *pool, struct terse_reader *reader) {
    struct terse_parser *parser, *oldest = NULL;

    if (!pool)
        return;
    parser = terse_reader_lend(reader);
    if (!parser)
        return;
    pthread_mutex_lock(&pool->lock);
    if (pool->n == POOL_PARSERS)
        oldest = take(pool, 0);
    pool->at[pool->n++] = parser;
    pthread_mutex_unlock(&pool->lock);
    terse_parser_free(oldest);
}
