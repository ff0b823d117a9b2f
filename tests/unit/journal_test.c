/* Tests of codec/journal.c: what both ends keep although frames cross on the
 * way. Entries are kept here anew, all of them, and what must be there is told
 * by the rules of docs/wire.md alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "codec/journal.h"
#include "codec/str.h"
#include "codec_util.h"

enum { ALL = 30000, TEXTS_MAX = 130 };

static struct codec_random randomness = {11};

static uint32_t below(uint32_t n) {
    return (uint32_t)(codec_random(&randomness) % n);
}

/* An entry as it was given. */
struct given {
    bool number;
    uint64_t value;
    char id[TEXTS_MAX], addr[TEXTS_MAX];
    size_t id_n, addr_n;
};

static struct given all[ALL];

static struct wire_field id_of(const struct given *g) {
    struct wire_field f = {.type = g->number ? WIRE_VARINT : WIRE_BYTES};
    if (g->number)
        f.value = g->value;
    else
        f.bytes = (struct terse_str){g->id, g->id_n};
    return f;
}

static struct terse_str addr_of(const struct given *g) {
    return (struct terse_str){g->addr, g->addr_n};
}

/* For what it counts. */
static size_t cost_of(const struct given *g) {
    return (g->number ? 8 : g->id_n) + (g->addr_n <= 120 ? g->addr_n : 0);
}

static struct given text_entry(const char *id, const char *addr) {
    struct given g = {.number = false};
    g.id_n = (size_t)snprintf(g.id, sizeof(g.id), "%s", id);
    g.addr_n = (size_t)snprintf(g.addr, sizeof(g.addr), "%s", addr);
    return g;
}

/* Entries of all sizes: mostly such as come, and some at the edges. */
static struct given any_entry(uint32_t i) {
    static const size_t id_edges[] = {4, 5, 79, 80};
    static const size_t addr_edges[] = {0, 1, 119, 120, 121, 125};
    struct given g = {.number = below(5) == 0,
                      .value = (UINT64_C(1) << 32) +
                               codec_random(&randomness) % 99999};
    g.id_n = below(4) ? 6 + below(20) : id_edges[below(4)];
    g.addr_n = below(4) ? 10 + below(3) : addr_edges[below(6)];
    for (size_t k = 0; k < g.id_n; k++)
        g.id[k] = (char)('a' + below(26));
    /* often the same address as before */
    memset(g.addr, 'A' + (int)(i / 3 % 5), g.addr_n);
    return g;
}

static void check_entry(const struct entry *e, uint32_t index) {
    const struct given *g = &all[index];
    struct wire_field id = id_of(g);
    struct terse_str addr = g->addr_n <= 120 ? addr_of(g) : str_of("");
    assert_int_equal(e->index, index);
    assert_int_equal(e->id.type, id.type);
    if (g->number)
        assert_true(e->id.value == g->value);
    else
        assert_true(str_eq(e->id.bytes, id.bytes));
    assert_true(str_eq(e->addr, addr));
}

/* ---- what stays ----------------------------------------------------------
 */

/* What one end has to know, counted in the simplest way. */
struct window {
    uint32_t first, heard, end;
};

static void window_hear(struct window *w, uint32_t upto) {
    size_t bytes = 0;
    uint32_t first = upto;
    if (upto <= w->heard)
        return;
    w->heard = upto;
    while (first > w->first && upto - first < 16 &&
           bytes + cost_of(&all[first - 1]) <= 900)
        bytes += cost_of(&all[--first]);
    w->first = first;
}

static bool window_has_room(const struct window *w, const struct given *g,
                            uint32_t most) {
    size_t bytes = cost_of(g);
    for (uint32_t i = w->heard; i < w->end; i++)
        bytes += cost_of(&all[i]);
    return w->end - w->heard < most && bytes <= 1500;
}

/* Everything that is there is found, and nothing else. */
static void check_window(const struct journal *j, const struct window *w) {
    struct entry e;
    assert_int_equal(j->end, w->end);
    assert_int_equal(j->heard, w->heard);
    for (int64_t offset = -20; offset <= 50; offset++) {
        int64_t index = (int64_t)w->heard + offset;
        bool there = index >= w->first && index < w->end;
        assert_int_equal(journal_get(j, offset, &e), there);
        if (there)
            check_entry(&e, (uint32_t)index);
    }
    assert_true(j->wait_bytes <= 1500);
    assert_true(j->len <= 900 + 1500 + 3 * (16 + 46));
}

/* ---- two ends ------------------------------------------------------------
 */

enum { ON_THE_WAY = 40 };

/* Frames of one direction: numbers that stand for what they say. */
struct queue {
    struct {
        uint32_t heard, about;
        bool is_about, entered;
    } of[ON_THE_WAY];
    unsigned first, n;
};

struct ends {
    struct journal at[2]; /* of the end that sends entries, of the other one */
    struct window window[2];
    struct queue there, back;
    uint32_t most, full, by_bytes, abouts, old; /* old: heard of before */
};

/* The one end sends a stanza, which enters if it may. */
static void send_entry(struct ends *s) {
    struct queue *q = &s->there;
    struct window *w = &s->window[0];
    if (q->n == ON_THE_WAY || w->end == ALL)
        return;
    struct given *g = &all[w->end];
    *g = any_entry(w->end);
    struct wire_field id = id_of(g);
    bool room = window_has_room(w, g, s->most);
    assert_int_equal(journal_has_room(&s->at[0], &id, addr_of(g), s->most),
                     room);
    s->full += !room;
    s->by_bytes += !room && w->end - w->heard < s->most;
    q->of[(q->first + q->n) % ON_THE_WAY].entered = room;
    q->n++;
    if (!room)
        return;
    assert_int_equal(journal_add(&s->at[0], &id, addr_of(g)), TERSE_OK);
    w->end++;
}

/* The other end gets it: there must be room. */
static void get_entry(struct ends *s) {
    struct queue *q = &s->there;
    struct window *w = &s->window[1];
    if (q->n == 0)
        return;
    bool entered = q->of[q->first].entered;
    q->first = (q->first + 1) % ON_THE_WAY;
    q->n--;
    if (!entered)
        return;
    struct given *g = &all[w->end];
    struct wire_field id = id_of(g);
    assert_true(journal_has_room(&s->at[1], &id, addr_of(g), s->most));
    assert_int_equal(journal_add(&s->at[1], &id, addr_of(g)), TERSE_OK);
    w->end++;
}

/* The other end tells of some of them, or is about one. */
static void answer(struct ends *s) {
    struct queue *q = &s->back;
    struct window *w = &s->window[1];
    struct entry e;
    if (q->n == ON_THE_WAY || w->first == w->end)
        return;
    unsigned at = (q->first + q->n++) % ON_THE_WAY;
    q->of[at].heard = w->heard + below(w->end - w->heard + 1);
    window_hear(w, q->of[at].heard);
    journal_hear(&s->at[1], q->of[at].heard);
    q->of[at].is_about = below(2);
    if (!q->of[at].is_about)
        return;
    uint32_t index = w->first + below(w->end - w->first);
    q->of[at].about = index;
    s->abouts++;
    s->old += index < w->heard;
    assert_true(journal_get(&s->at[1], (int64_t)index - (int64_t)w->heard, &e));
    check_entry(&e, index);
    window_hear(w, index + 1);
    journal_hear(&s->at[1], index + 1);
}

/* The one end reads that: what it is about must be there still. */
static void get_answer(struct ends *s) {
    struct queue *q = &s->back;
    struct window *w = &s->window[0];
    struct entry e;
    if (q->n == 0)
        return;
    unsigned at = q->first;
    q->first = (q->first + 1) % ON_THE_WAY;
    q->n--;
    window_hear(w, q->of[at].heard);
    journal_hear(&s->at[0], q->of[at].heard);
    if (!q->of[at].is_about)
        return;
    uint32_t index = q->of[at].about;
    assert_true(journal_get(&s->at[0], (int64_t)index - (int64_t)w->heard, &e));
    check_entry(&e, index);
    window_hear(w, index + 1);
    journal_hear(&s->at[0], index + 1);
}

/* busy: of 8, how often either end sends; the rest of the time things come. */
static void run(struct ends *s, uint32_t busy[2], unsigned steps) {
    for (unsigned i = 0; i < steps; i++) {
        /* now and then one way is slow, or an end is silent */
        uint32_t slow = i / 500 % 4;
        if (below(8) < busy[0])
            send_entry(s);
        if (below(8) < busy[1])
            answer(s);
        if (slow != 1 || below(16) == 0)
            get_entry(s);
        if (slow != 2 || below(16) == 0)
            get_answer(s);
        if (i % 7 == 0) {
            check_window(&s->at[0], &s->window[0]);
            check_window(&s->at[1], &s->window[1]);
        }
    }
    while (s->there.n > 0)
        get_entry(s);
    while (s->back.n > 0)
        get_answer(s);
    check_window(&s->at[0], &s->window[0]);
    check_window(&s->at[1], &s->window[1]);
    assert_memory_equal(&s->window[0], &s->window[1], sizeof(s->window[0]));
}

static void test_journal_ends_stay_in_step(void **state) {
    (void)state;
    static const uint32_t mosts[] = {1, 2, 15, 16, 17, 32, 45, 46};
    for (size_t i = 0; i < sizeof(mosts) / sizeof(mosts[0]); i++) {
        struct ends s = {.most = mosts[i]};
        run(&s, (uint32_t[]){6, 3}, 6000); /* more than is told of */
        run(&s, (uint32_t[]){2, 6}, 6000); /* told of at once */
        run(&s, (uint32_t[]){8, 8}, 6000);
        assert_true(s.full > 100 && s.abouts > 1000 && s.old > 300);
        if (s.most > 32)
            assert_true(s.by_bytes > 100);
        assert_true(s.window[0].end > 1000);
        journal_fini(&s.at[0]);
        journal_fini(&s.at[1]);
    }
}

/* ---- edges ---------------------------------------------------------------
 */

static void test_journal_takes_ids_of_a_length(void **state) {
    (void)state;
    char text[100] = "";
    struct wire_field f = {.type = WIRE_BYTES, .bytes = {text, 0}};
    for (f.bytes.n = 0; f.bytes.n < 100; f.bytes.n++)
        assert_int_equal(journal_takes(&f), f.bytes.n >= 4 && f.bytes.n <= 80);
    f = (struct wire_field){.type = WIRE_VARINT, .value = UINT32_MAX};
    assert_false(journal_takes(&f));
    f.value++;
    assert_true(journal_takes(&f));
    f.value = UINT64_MAX;
    assert_true(journal_takes(&f));
    f = (struct wire_field){.type = WIRE_VARINT}; /* no id at all */
    assert_false(journal_takes(&f));
}

/* The bytes of what waits, to the last one. */
static void test_journal_room_ends_at_its_bytes(void **state) {
    (void)state;
    struct journal j = {0};
    struct given g = text_entry("", "");
    memset(g.id, 'i', g.id_n = 80);
    memset(g.addr, 'a', g.addr_n = 120);
    struct wire_field id = id_of(&g);
    for (int i = 0; i < 7; i++) {
        assert_true(journal_has_room(&j, &id, addr_of(&g), 46));
        assert_int_equal(journal_add(&j, &id, addr_of(&g)), TERSE_OK);
    }
    assert_false(journal_has_room(&j, &id, addr_of(&g), 46));
    g.addr_n = 20; /* 1400 and 100 */
    assert_true(journal_has_room(&j, &id, addr_of(&g), 46));
    g.addr_n = 21;
    assert_false(journal_has_room(&j, &id, addr_of(&g), 46));
    g.addr_n = 121; /* counts for nothing */
    assert_true(journal_has_room(&j, &id, addr_of(&g), 46));
    assert_false(journal_has_room(&j, &id, addr_of(&g), 7)); /* by number */
    assert_true(journal_has_room(&j, &id, addr_of(&g), 8));
    g.number = true; /* 8 bytes */
    g.value = UINT64_MAX;
    id = id_of(&g);
    g.addr_n = 92;
    assert_true(journal_has_room(&j, &id, addr_of(&g), 46));
    g.addr_n = 93;
    assert_false(journal_has_room(&j, &id, addr_of(&g), 46));
    journal_fini(&j);
}

/* Four of 200 bytes and one of 100 are 900: all stay; one byte more, and the
 * oldest goes. */
static void test_journal_heard_ends_at_its_bytes(void **state) {
    (void)state;
    for (size_t more = 0; more <= 1; more++) {
        struct journal j = {0};
        struct entry e;
        struct given g = text_entry("", "");
        memset(g.id, 'i', g.id_n = 80);
        memset(g.addr, 'a', sizeof(g.addr));
        for (int i = 0; i < 5; i++) {
            g.addr_n = i == 0 ? 20 + more : 120;
            struct wire_field id = id_of(&g);
            assert_int_equal(journal_add(&j, &id, addr_of(&g)), TERSE_OK);
        }
        journal_hear(&j, 5);
        assert_int_equal(journal_get(&j, -5, &e), more == 0);
        assert_true(journal_get(&j, -4, &e));
        assert_int_equal(e.addr.n, 120);
        journal_fini(&j);
    }
}

/* An address is kept once for those that follow each other with the same one,
 * also when the first of them is gone. */
static void test_journal_same_address_outlives_the_first(void **state) {
    (void)state;
    struct journal j = {0};
    struct entry e;
    for (uint32_t i = 0; i < 40; i++) {
        char text[20];
        snprintf(text, sizeof(text), "id-%u", i);
        all[i] = text_entry(text, i < 30 ? "bob@example.org" : "");
        struct wire_field id = id_of(&all[i]);
        assert_int_equal(journal_add(&j, &id, addr_of(&all[i])), TERSE_OK);
    }
    assert_true(j.len < 40 * (3 + 5) + 15 + 1); /* once */
    for (uint32_t upto = 1; upto <= 40; upto++) {
        journal_hear(&j, upto);
        for (int64_t offset = -16; offset < 40; offset++)
            if (journal_get(&j, offset, &e))
                check_entry(&e, (uint32_t)(upto + offset));
        assert_int_equal(journal_get(&j, -16, &e), upto >= 16);
        assert_false(journal_get(&j, -17, &e));
    }
    journal_hear(&j, 3); /* less than before is nothing new */
    assert_int_equal(j.heard, 40);
    journal_fini(&j);
}

/* The latest one of an id; a number is not its bytes. */
static void test_journal_finds_the_latest(void **state) {
    (void)state;
    struct journal j = {0};
    struct entry e;
    struct given g[3] = {text_entry("abcdefgh", "a@x"),
                         text_entry("ijkl", "b@x"),
                         text_entry("abcdefgh", "c@x")};
    struct given number = {.number = true};
    memcpy(&number.value, "abcdefgh", 8);
    struct wire_field id, wanted = id_of(&number);
    for (int i = 0; i < 3; i++) {
        id = id_of(&g[i]);
        assert_int_equal(journal_add(&j, &id, addr_of(&g[i])), TERSE_OK);
    }
    assert_false(journal_find(&j, &wanted, &e));
    id = id_of(&g[0]);
    assert_true(journal_find(&j, &id, &e));
    assert_int_equal(e.index, 2);
    assert_true(str_is(e.addr, "c@x"));
    assert_int_equal(journal_add(&j, &wanted, addr_of(&number)), TERSE_OK);
    assert_true(journal_find(&j, &wanted, &e));
    assert_int_equal(e.index, 3);
    assert_true(journal_find(&j, &id, &e));
    assert_int_equal(e.index, 2);
    id.bytes.n--;
    assert_false(journal_find(&j, &id, &e));
    journal_fini(&j);
    assert_false(journal_find(&j, &wanted, &e));
    assert_false(journal_get(&j, 0, &e));
}

/* However much went through it, it is small when nothing waits. */
static void test_journal_gives_memory_back(void **state) {
    (void)state;
    struct journal j = {0};
    struct given g = text_entry("0123456789", "somebody@example.org");
    struct wire_field id = id_of(&g);
    for (uint32_t i = 0; i < 46; i++)
        assert_int_equal(journal_add(&j, &id, addr_of(&g)), TERSE_OK);
    journal_hear(&j, 46);
    assert_int_equal(j.end - j.first, 16);
    assert_true(j.cap - j.len < 160);
    journal_fini(&j);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_journal_ends_stay_in_step),
        cmocka_unit_test(test_journal_takes_ids_of_a_length),
        cmocka_unit_test(test_journal_room_ends_at_its_bytes),
        cmocka_unit_test(test_journal_heard_ends_at_its_bytes),
        cmocka_unit_test(test_journal_same_address_outlives_the_first),
        cmocka_unit_test(test_journal_finds_the_latest),
        cmocka_unit_test(test_journal_gives_memory_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
