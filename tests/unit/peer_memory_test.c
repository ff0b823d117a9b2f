/*
 * peer_memory_test.c: what an end of a connection holds, whatever the other one
 * does. Senders that keep to all that was agreed, and fill each thing to the
 * brim: slots, book, templates and journals, in both directions at once.
 */
/* link: -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=free */
#include <stddef.h>

/* bench/lib/allocs.c, but of what libterse itself asks for. */
#define bytes bytes_of_owners /* a name that headers have, too */
#define malloc __wrap_malloc
#define calloc __wrap_calloc
#define realloc __wrap_realloc
#define free __wrap_free
#define __libc_malloc __real_malloc
#define __libc_calloc __real_calloc
#define __libc_realloc __real_realloc
#define __libc_free __real_free
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
void __wrap_free(void *p);
#include "bench/lib/allocs.c"
#undef bytes
#undef malloc
#undef calloc
#undef realloc
#undef free

#include <glob.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "codec/parts.h"
#include "codec/state.h"
#include "codec_util.h"

enum { MOST = 32768, FRAMES_MAX = 20000 };

static struct terse_schema *schema;
static struct terse_work work;

/* What the end itself says: all that was recorded, of both directions, so that
 * its own tables are full too. */
static struct terse_buf frames[FRAMES_MAX];
static size_t n_frames;

static void put(struct terse_buf *out, const void *p, size_t n) {
    assert_int_equal(terse_buf_append(out, p, n), TERSE_OK);
}

static void put_field(struct terse_buf *out, uint32_t number, const void *p,
                      size_t n) {
    uint8_t head[2 * WIRE_VARINT_MAX];
    size_t len = wire_put_varint(head, (uint64_t)number << 3 | WIRE_BYTES);
    len += wire_put_varint(head + len, n);
    put(out, head, len);
    put(out, p, n);
}

static void put_number(struct terse_buf *out, uint32_t number, uint64_t v) {
    assert_int_equal(parts_put_number(out, number, v), TERSE_OK);
}

static void read_recording(const char *path) {
    FILE *file = fopen(path, "r");
    char *line = NULL;
    size_t cap = 0;
    struct terse_error error;
    assert_non_null(file);
    while (getline(&line, &cap, file) > 0) {
        json_t *record = json_loads(line, 0, NULL);
        assert_non_null(record);
        const char *kind = json_string_value(json_object_get(record, "kind"));
        const char *xml = json_string_value(json_object_get(record, "xml"));
        if (strcmp(kind, "stanza") == 0) {
            assert_true(n_frames < FRAMES_MAX);
            struct terse_buf *frame = &frames[n_frames++];
            terse_buf_init(frame, codec_wide.frame_bytes);
            assert_int_equal(codec_encode(schema, &codec_wide, xml, strlen(xml),
                                          frame, &error),
                             TERSE_OK);
        }
        json_decref(record);
    }
    free(line);
    fclose(file);
}

/* ---- the end that is weighed ---------------------------------------------
 */

struct victim {
    struct terse_peer *peer;
    struct terse_buf frame, content, out;
    size_t most;
    uint32_t next;    /* numbers make things different */
    size_t said_next; /* of frames */
};

static void weigh(struct victim *v) {
    allocs_own(0);
    if (allocs_bytes(1) > v->most)
        v->most = allocs_bytes(1);
}

static enum terse_err victim_gets(struct victim *v) {
    allocs_own(1);
    enum terse_err err = terse_peer_unpack(v->peer, terse_buf_data(&v->frame),
                                           v->frame.len, &work, &v->out);
    weigh(v);
    return err;
}

static void victim_says(struct victim *v, const void *p, size_t n) {
    allocs_own(1);
    enum terse_err err = terse_peer_pack(v->peer, p, n, &work, &v->out);
    weigh(v);
    assert_int_equal(err, TERSE_OK);
}

/* A client or a server with the default bounds, whose peer says that it will
 * remember all there is. */
static void victim_init(struct victim *v, bool client) {
    static const uint8_t open[] = {0x6a, 0x03, 0x0a, 0x01, 'x'};
    *v = (struct victim){.next = 100000};
    struct terse_buf *bufs[] = {&v->frame, &v->content, &v->out};
    for (size_t i = 0; i < 3; i++) {
        terse_buf_init(bufs[i], codec_wide.frame_bytes);
        put(bufs[i], "", 1); /* it is ours, whoever makes it grow */
    }
    allocs_own(1);
    assert_int_equal(
        terse_peer_new(&v->peer, schema, &terse_state_limits_default, client),
        TERSE_OK);
    weigh(v);
    if (client)
        victim_says(v, open, sizeof(open));
    terse_buf_reset(&v->frame);
    put(&v->frame, open, sizeof(open));
    put_number(&v->frame, 16, 192);
    put_number(&v->frame, 17, 128);
    put_number(&v->frame, 18, 46);
    put_number(&v->frame, 19, 1000000);
    assert_int_equal(victim_gets(v), TERSE_OK);
    if (!client)
        victim_says(v, open, sizeof(open));
}

/* All is given back, and it never was more than may be. */
static size_t victim_fini(struct victim *v) {
    terse_peer_free(v->peer);
    struct terse_buf *bufs[] = {&v->frame, &v->content, &v->out};
    for (size_t i = 0; i < 3; i++)
        terse_buf_fini(bufs[i]);
    assert_int_equal(allocs_bytes(1), 0);
    assert_false(allocs_lost());
    return v->most;
}

/* ---- what fills it --------------------------------------------------------
 */

/* A message whose `to` is text. */
static bool send_to(struct victim *v, const void *text, size_t n) {
    terse_buf_reset(&v->frame);
    terse_buf_reset(&v->content);
    put_field(&v->content, 1, text, n);
    put_field(&v->frame, 1, terse_buf_data(&v->content), v->content.len);
    return victim_gets(v) == TERSE_OK;
}

/* Makes slot i n bytes long. */
static bool fill_slot(struct victim *v, unsigned i, size_t n) {
    char text[2 + SLOT_BYTES_MAX];
    memset(text, 'a' + (int)(v->next++ % 26), sizeof(text));
    text[0] = (char)(i < 96 ? 0x1c : 0x1d);
    text[1] = (char)(0x20 + i % 96);
    return send_to(v, text, 2 + n);
}

static bool fill_book(struct victim *v, size_t n) {
    char text[1 + BOOK_TEXT_MAX];
    memset(text, 'a' + (int)(v->next++ % 26), sizeof(text));
    text[0] = 0x19;
    return send_to(v, text, 1 + n);
}

/* Makes template i one of about n bytes, of strings that no book has. */
static bool fill_template(struct victim *v, unsigned i, size_t n) {
    char text[4000];
    memset(text, 'a' + (int)(v->next++ % 26), sizeof(text));
    terse_buf_reset(&v->frame);
    terse_buf_reset(&v->content);
    for (size_t left = n; left > 0;) {
        size_t some = left < 60 ? left : 60;
        put_field(&v->content, 22, text, some > 3 ? some - 3 : 0);
        left -= some;
    }
    put_number(&v->frame, FRAME_KEEP, i);
    put_field(&v->frame, 1, terse_buf_data(&v->content), v->content.len);
    return victim_gets(v) == TERSE_OK;
}

/* An id of n bytes with another address each time. */
static bool fill_journal(struct victim *v, size_t id_n, size_t addr_n) {
    char id[81], addr[121];
    snprintf(id, sizeof(id), "%080u", v->next++);
    snprintf(addr, sizeof(addr), "%0120u", v->next++);
    terse_buf_reset(&v->frame);
    terse_buf_reset(&v->content);
    put_field(&v->content, 1, addr + 120 - addr_n, addr_n);
    put_field(&v->content, 6, id + 80 - id_n, id_n);
    put_number(&v->frame, FRAME_ENTER, 1);
    put_field(&v->frame, 1, terse_buf_data(&v->content), v->content.len);
    return victim_gets(v) == TERSE_OK;
}

/* It says the next n recorded stanzas. */
static void talk(struct victim *v, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const struct terse_buf *f = &frames[v->said_next++ % n_frames];
        victim_says(v, terse_buf_data(f), f->len);
    }
}

/* It says n stanzas with ids of its own. */
static void talk_ids(struct victim *v, size_t n) {
    char id[41], addr[61];
    for (size_t i = 0; i < n; i++) {
        snprintf(id, sizeof(id), "%040u", v->next++);
        snprintf(addr, sizeof(addr), "%060u", v->next++);
        terse_buf_reset(&v->frame);
        terse_buf_reset(&v->content);
        put_field(&v->content, 1, addr + 60 - 15, 15);
        put_field(&v->content, 6, id + 40 - 29, 29);
        put_field(&v->frame, 1, terse_buf_data(&v->content), v->content.len);
        victim_says(v, terse_buf_data(&v->frame), v->frame.len);
    }
}

/* Tells it of n of its ids. */
static bool hear(struct victim *v, unsigned n) {
    terse_buf_reset(&v->frame);
    put_number(&v->frame, FRAME_HEARD, n);
    put(&v->frame, "\x20\x01", 2);
    return victim_gets(v) == TERSE_OK;
}

/* Both journals: 16 that were heard of and all that may wait behind them. */
static void fill_journals(struct victim *v) {
    for (int i = 0; i < 16; i++)
        assert_true(fill_journal(v, 28, 28));
    talk_ids(v, 1); /* tells of those */
    for (int i = 0; i < 31; i++)
        assert_true(fill_journal(v, 24, 24));
    talk_ids(v, 15);
    assert_true(hear(v, 16));
    talk_ids(v, 31);
}

static unsigned slots_of(bool client) {
    return terse_state_limits_default.slots / (client ? 1 : 2);
}

static unsigned templates_of(bool client) {
    return terse_state_limits_default.templates / (client ? 1 : 2);
}

/* Each fills the rest of its bytes with entries of the book, up to the first
 * that is refused, which is the end of the connection. */
enum how { SLOTS, TEMPLATES, LONG_ENTRIES, SHORT_ENTRIES, FAR, ALL, HOWS };

static void fill(struct victim *v, enum how how, bool client) {
    unsigned slots = slots_of(client), templates = templates_of(client);
    size_t bytes = client ? terse_state_limits_default.bytes
                          : terse_state_limits_default.bytes / 10 * 3;
    if (how == SLOTS)
        for (unsigned i = 0; i < slots; i++)
            assert_true(fill_slot(v, i, (bytes - 100) / slots - SLOT_COST));
    if (how == TEMPLATES)
        for (unsigned i = 0; i < templates; i++)
            assert_true(
                fill_template(v, i, (bytes - 100) / templates - TEMPLATE_COST));
    /* Arrays are reached by their last element alone. */
    if (how == FAR || how == ALL) {
        assert_true(fill_slot(v, slots - 1, 0));
        assert_true(fill_template(v, templates - 1, 0));
    }
    if (how == ALL) {
        for (unsigned i = 0; i + 1 < slots; i++)
            assert_true(fill_slot(v, i, 8));
        for (unsigned i = 0; i + 1 < templates; i++)
            assert_true(fill_template(v, i, 8));
    }
    if (how == LONG_ENTRIES)
        while (fill_book(v, 255))
            ;
    else
        while (fill_book(v, 3))
            ;
}

static void
test_peer_memory_is_bounded_whatever_the_other_end_does(void **state) {
    (void)state;
    for (int client = 0; client <= 1; client++) {
        for (int how = 0; how < HOWS; how++) {
            struct victim v;
            victim_init(&v, client);
            talk(&v, n_frames); /* its own direction is full now */
            talk_ids(&v, 20);
            fill(&v, (enum how)how, client);
            size_t most = victim_fini(&v);
            if (most > MOST)
                fail_msg("%s, %d: %zu bytes", client ? "client" : "server", how,
                         most);
        }
    }
}

/* The same with the journals of both directions full. */
static void test_peer_memory_with_journals_is_bounded(void **state) {
    (void)state;
    for (int client = 0; client <= 1; client++) {
        for (int how = 0; how < HOWS; how++) {
            struct victim v;
            victim_init(&v, client);
            fill_journals(&v);
            talk(&v, n_frames);
            fill(&v, (enum how)how, client);
            size_t most = victim_fini(&v);
            if (most > MOST)
                fail_msg("%s, %d: %zu bytes", client ? "client" : "server", how,
                         most);
        }
    }
}

/* Nothing leaks where a frame is refused in the middle. */
static void test_peer_memory_of_refused_frames_is_given_back(void **state) {
    (void)state;
    struct codec_random random = {3};
    for (int i = 0; i < 300; i++) {
        struct victim v;
        victim_init(&v, i & 1);
        talk(&v, 30);
        for (int j = 0; j < 40; j++) {
            const struct terse_buf *f =
                &frames[codec_random(&random) % n_frames];
            terse_buf_reset(&v.frame);
            put_number(&v.frame, FRAME_KEEP, (uint64_t)j % 8);
            put(&v.frame, terse_buf_data(f), f->len);
            if (codec_random(&random) % 4 == 0)
                v.frame
                    .data[v.frame.off + codec_random(&random) % v.frame.len] ^=
                    (uint8_t)(1 << codec_random(&random) % 8);
            if (victim_gets(&v) != TERSE_OK)
                break;
        }
        assert_true(victim_fini(&v) <= MOST);
    }
}

static int setup(void **state) {
    (void)state;
    glob_t found;
    struct terse_buf *bufs[] = {&work.a, &work.b, &work.c, &work.d, &work.e};
    assert_int_equal(terse_schema_new(&schema), TERSE_OK);
    terse_work_init(&work, &codec_wide);
    for (size_t i = 0; i < 5; i++)
        put(bufs[i], "", 1);
    assert_int_equal(glob("tests/corpus/*.jsonl", 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++)
        read_recording(found.gl_pathv[i]);
    globfree(&found);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    for (size_t i = 0; i < n_frames; i++)
        terse_buf_fini(&frames[i]);
    terse_work_fini(&work);
    terse_schema_free(schema);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            test_peer_memory_is_bounded_whatever_the_other_end_does),
        cmocka_unit_test(test_peer_memory_with_journals_is_bounded),
        cmocka_unit_test(test_peer_memory_of_refused_frames_is_given_back),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
