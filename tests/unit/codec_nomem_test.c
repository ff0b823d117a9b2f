/*
 * codec_nomem_test.c: each allocation of a translation and of state fails once,
 * ours and libxml2's. The result is TERSE_ENOMEM or as if nothing had happened;
 * nothing leaks, and what failed can be used again.
 */
/* link: -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=free */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <libxml/parser.h>
#include <libxml/xmlerror.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/terse.h"
#include "codec_util.h"

/* ---- an allocator that fails once ---------------------------------------- */

static unsigned long countdown; /* 0: never fails */
static unsigned long made;      /* allocations since armed */
static long live;
static bool failed;

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void __real_free(void *p);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
void __wrap_free(void *p);

static bool fails(void) {
    made++;
    if (countdown == 0 || --countdown > 0)
        return false;
    failed = true;
    return true;
}

void *__wrap_malloc(size_t n) {
    void *p = fails() ? NULL : __real_malloc(n);
    live += p != NULL;
    return p;
}

void *__wrap_calloc(size_t n, size_t size) {
    void *p = fails() ? NULL : __real_calloc(n, size);
    live += p != NULL;
    return p;
}

void *__wrap_realloc(void *old, size_t n) {
    void *p = fails() ? NULL : __real_realloc(old, n);
    live += p != NULL && old == NULL;
    return p;
}

void __wrap_free(void *p) {
    live -= p != NULL;
    __real_free(p);
}

static char *own_strdup(const char *s) {
    char *p = __wrap_malloc(strlen(s) + 1);
    return p ? strcpy(p, s) : NULL;
}

static void silent(void *arg, const char *fmt, ...) { (void)arg, (void)fmt; }

/* ---- what is swept ------------------------------------------------------- */

struct trip {
    struct terse_schema *schema;
    struct terse_reader *reader;
    struct terse_buf frame, xml;
    unsigned events;
};

static enum terse_err on_event(void *arg, enum terse_event event,
                               struct terse_node *node) {
    struct trip *t = arg;
    struct terse_error error;
    if (event == TERSE_REFUSED) {
        t->events++;
        return TERSE_OK;
    }
    enum terse_err err = terse_encode(t->schema, &terse_limits_default, event,
                                      node, &t->frame, &error);
    if (err != TERSE_OK) {
        assert_int_equal(error.code, err);
        assert_int_equal(t->frame.len, 0);
        return err;
    }
    size_t before = t->xml.len;
    err = terse_decode(t->schema, &terse_limits_default,
                       terse_buf_data(&t->frame), t->frame.len, TERSE_IN_STREAM,
                       &t->xml, &error);
    if (err != TERSE_OK)
        assert_int_equal(t->xml.len, before);
    else
        t->events++;
    return err;
}

static char *stream;

/* A stream with a bit of all: attributes, long text, and more unknown names
 * than a parser keeps. */
static char *make_stream(void) {
    static char p[80000];
    char *to = p;
    to +=
        sprintf(to, "<?xml version='1.0'?><stream:stream xmlns='jabber:client'"
                    " xmlns:stream='" TERSE_NS_STREAM "' to='a' n='1'>");
    to += sprintf(to, "<message to='a' b='c' xmlns:p='u' p:d='e'><body>");
    memset(to, 'x', 20000);
    to += 20000;
    to += sprintf(to, "</body><x xmlns='urn:x'>t<y/>&lt;<![CDATA[z]]></x>"
                      "</message><many>");
    for (int i = 0; i < 1100; i++)
        to += sprintf(to, "<u%d/>", i);
    to += sprintf(to, "</many><message to='a' id='b'><x xmlns='c d'/>"
                      "</message><message id='e' xmlns:p='f g' p:h=''/>");
    sprintf(to, "<iq/></stream:stream>");
    return p;
}

enum { EVENTS = 7 };

static enum terse_err run(struct trip *t) {
    enum terse_err err = terse_schema_new(&t->schema);
    if (err != TERSE_OK)
        return err;
    err = terse_reader_new(&t->reader, t->schema, &terse_limits_default,
                           on_event, t);
    if (err != TERSE_OK)
        return err;
    terse_reader_spare(t->reader);
    err = terse_reader_feed(t->reader, stream, strlen(stream));
    if (err != TERSE_OK || failed) {
        /* No event is lost silently. */
        if (err == TERSE_OK && t->events != EVENTS)
            fail_msg("%u events and no error", t->events);
        if (err != TERSE_OK)
            assert_int_equal(terse_reader_feed(t->reader, " ", 1), err);
        countdown = 0;
        t->events = 0;
        terse_reader_restart(t->reader);
        assert_int_equal(terse_reader_feed(t->reader, stream, strlen(stream)),
                         TERSE_OK);
        assert_int_equal(t->events, EVENTS);
    }
    return err;
}

static bool warm; /* libxml2 has allocated what it never frees */

static enum terse_err sweep_one(unsigned long nth) {
    struct trip t = {.events = 0};
    terse_buf_init(&t.frame, 1 << 20);
    terse_buf_init(&t.xml, 1 << 20);
    long before = live;
    failed = false;
    made = 0;
    countdown = nth;
    enum terse_err err = run(&t);
    countdown = 0;
    terse_reader_free(t.reader);
    terse_schema_free(t.schema);
    terse_buf_fini(&t.frame);
    terse_buf_fini(&t.xml);
    xmlResetLastError();
    if (live != before && warm)
        fail_msg("allocation %lu: %ld blocks leaked", nth, live - before);
    return err;
}

static void test_codec_nomem_each_allocation_fails_cleanly(void **state) {
    unsigned long nth = 1;
    unsigned refused = 0;
    (void)state;
    stream = make_stream();
    assert_int_equal(sweep_one(0), TERSE_OK);
    warm = true;
    assert_int_equal(sweep_one(0), TERSE_OK);
    for (;; nth++) {
        enum terse_err err = sweep_one(nth);
        if (!failed) {
            assert_int_equal(err, TERSE_OK);
            break;
        }
        if (err != TERSE_OK && err != TERSE_ENOMEM)
            fail_msg("allocation %lu: error %d", nth, (int)err);
        refused += err == TERSE_ENOMEM;
    }
    assert_true(nth > 50);
    assert_true(refused > 50);
}

/* ---- state ---------------------------------------------------------------
 */

/* What makes use of all of it: slots, books, templates, journals, deflate. */
static const char *const talk[] = {
    "<iq type='get' id='abcd-1'><query xmlns='jabber:iq:roster'/></iq>",
    "<iq type='result' id='abcd-1'><query xmlns='jabber:iq:roster'>"
    "<item jid='a@example.org'/><item jid='b@example.org'/>"
    "<item jid='c@example.org'/><item jid='d@example.org'/>"
    "<item jid='e@example.org'/><item jid='f@example.org'/>"
    "<item jid='g@example.org' subscription='both' name='x y z x y z x y z'/>"
    "<item jid='h@example.org' subscription='both' name='x y z x y z x y z'/>"
    "<item jid='i@example.org' subscription='both' name='x y z x y z x y z'/>"
    "<item jid='j@example.org' subscription='both' name='x y z x y z x y z'/>"
    "<item jid='k@example.org' subscription='both' name='x y z x y z x y z'/>"
    "<item jid='l@example.org' subscription='both' name='x y z x y z x y z'/>"
    "</query></iq>",
    "<message to='a@example.org/phone.1' id='abcd-2'><body>x</body>"
    "<request xmlns='urn:xmpp:receipts'/></message>",
    "<message from='a@example.org/phone.1' id='efgh-1'>"
    "<received xmlns='urn:xmpp:receipts' id='abcd-2'/></message>",
    "<message to='b@example.org/phone.2' id='abcd-3'><body>y</body>"
    "<request xmlns='urn:xmpp:receipts'/></message>",
    "<message from='b@example.org/phone.2' id='efgh-2'>"
    "<received xmlns='urn:xmpp:receipts' id='abcd-3'/></message>",
    "<presence><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' "
    "node='http://client.example.org/' ver='q07IKJEyjvHSyhy//CH0CxmKi8w='/>"
    "</presence>",
    "<presence from='a@example.org/phone.1'><c hash='sha-1' "
    "xmlns='http://jabber.org/protocol/caps' "
    "node='http://client.example.org/' ver='q07IKJEyjvHSyhy//CH0CxmKi8w='/>"
    "</presence>",
};
enum { TALK = sizeof(talk) / sizeof(talk[0]), ROUNDS = 2 };

static struct terse_buf talk_frames[TALK];
static struct terse_schema *talk_schema;

struct ends {
    struct terse_peer *end[2];
    struct terse_work work;
    struct terse_buf wire, back;
    unsigned passed;
};

static enum terse_err pass(struct ends *e, int from, const void *p, size_t n) {
    enum terse_err err =
        terse_peer_pack(e->end[from], p, n, &e->work, &e->wire);
    if (err == TERSE_OK)
        err = terse_peer_unpack(e->end[!from], terse_buf_data(&e->wire),
                                e->wire.len, &e->work, &e->back);
    if (err != TERSE_OK)
        return err;
    assert_int_equal(e->back.len, n);
    assert_memory_equal(terse_buf_data(&e->back), p, n);
    e->passed++;
    return TERSE_OK;
}

static enum terse_err run_talk(struct ends *e) {
    static const uint8_t open[] = {0x6a, 0x0d, 0x0a, 0x0b, 'e', 'x', 'a', 'm',
                                   'p',  'l',  'e',  '.',  'o', 'r', 'g'};
    enum terse_err err = TERSE_OK;
    for (int i = 0; i < 2 && err == TERSE_OK; i++)
        err = terse_peer_new(&e->end[i], talk_schema,
                             &terse_state_limits_default, i == 0);
    for (int i = 0; i < 2 && err == TERSE_OK; i++)
        err = pass(e, i, open, sizeof(open));
    for (int i = 0; i < ROUNDS * TALK && err == TERSE_OK; i++)
        err = pass(e, i % 2, terse_buf_data(&talk_frames[i % TALK]),
                   talk_frames[i % TALK].len);
    return err;
}

static enum terse_err sweep_talk(unsigned long nth) {
    struct ends e = {.passed = 0};
    long before = live;
    terse_work_init(&e.work, &terse_limits_default);
    terse_buf_init(&e.wire, 1 << 20);
    terse_buf_init(&e.back, 1 << 20);
    failed = false;
    made = 0;
    countdown = nth;
    enum terse_err err = run_talk(&e);
    countdown = 0;
    terse_peer_free(e.end[0]);
    terse_peer_free(e.end[1]);
    terse_work_fini(&e.work);
    terse_buf_fini(&e.wire);
    terse_buf_fini(&e.back);
    if (live != before)
        fail_msg("allocation %lu: %ld blocks leaked", nth, live - before);
    if (err == TERSE_OK && e.passed != 2 + ROUNDS * TALK)
        fail_msg("%u frames and no error", e.passed);
    return err;
}

/* A frame passes whole, or the end says that it has no memory. */
static void test_state_nomem_each_allocation_fails_cleanly(void **state) {
    unsigned long nth = 1;
    unsigned refused = 0;
    (void)state;
    assert_int_equal(terse_schema_new(&talk_schema), TERSE_OK);
    for (int i = 0; i < TALK; i++) {
        struct terse_error error;
        terse_buf_init(&talk_frames[i], 1 << 20);
        assert_int_equal(codec_encode(talk_schema, &terse_limits_default,
                                      talk[i], strlen(talk[i]), &talk_frames[i],
                                      &error),
                         TERSE_OK);
    }
    assert_int_equal(sweep_talk(0), TERSE_OK);
    for (;; nth++) {
        enum terse_err err = sweep_talk(nth);
        if (!failed) {
            assert_int_equal(err, TERSE_OK);
            break;
        }
        if (err != TERSE_OK && err != TERSE_ENOMEM)
            fail_msg("allocation %lu: error %d", nth, (int)err);
        refused += err == TERSE_ENOMEM;
    }
    assert_true(nth > 50);
    assert_true(refused > 50);
    for (int i = 0; i < TALK; i++)
        terse_buf_fini(&talk_frames[i]);
    terse_schema_free(talk_schema);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_codec_nomem_each_allocation_fails_cleanly),
        cmocka_unit_test(test_state_nomem_each_allocation_fails_cleanly),
    };
    /* Before libxml2 allocates anything. */
    xmlMemSetup(__wrap_free, __wrap_malloc, __wrap_realloc, own_strdup);
    xmlSetGenericErrorFunc(NULL, silent);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
