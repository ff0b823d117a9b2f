/* link: -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc */
/*
 * Each allocation of the library fails in turn, from the first frame on: the
 * login, a send, an iq and what is received either work or say why not; nothing
 * hangs, crashes or leaks (make sanitize sees the latter).
 */
#include "tests/unit/client_fake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { WAIT = 3000, CLOSELY = 40, STRIDE = 17 };

static atomic_int left = -1; /* allocations that succeed before one fails */
static atomic_bool hit;      /* one has failed */
static _Thread_local bool exempt;

static bool refuse(void) {
    if (exempt || atomic_load(&left) < 0)
        return false;
    if (atomic_fetch_sub(&left, 1) != 0)
        return false;
    atomic_store(&hit, true);
    return true;
}

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);

void *__wrap_malloc(size_t n) { return refuse() ? NULL : __real_malloc(n); }

void *__wrap_calloc(size_t n, size_t size) {
    return refuse() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n) {
    return refuse() ? NULL : __real_realloc(p, n);
}

/* The client may leave at any point: what the fake misses is no failure. */
static void serve(struct fake *fake) {
    const bool *sasl2 = fake->arg;

    exempt = true;
    if (*sasl2)
        fake_login2(fake, "<bound xmlns='" PHONE_NS_BIND2
                          "'><enabled xmlns='" PHONE_NS_SM
                          "' id='one' resume='true'/></bound>");
    else
        fake_login(fake);
    fake_send(fake, "<message from='a@b'><body>hello</body></message>");
    fake_expect(fake, "<presence");
    if (*sasl2)
        fake_expect(fake, " h='1'"); /* rides on it */
    fake_expect(fake, "<ping");
    fake_answer(fake, "<iq type='result' id='%s'/>");
    fake_expect(fake, "<close");
    fake_send_close(fake);
    fake->failure[0] = '\0';
}

static void arm(void *arg, const struct terse_client_traffic *traffic) {
    (void)traffic;
    if (atomic_load(&left) == -1 && !atomic_load(&hit))
        atomic_store(&left, *(int *)arg);
}

/* True if all went well. */
static bool use(struct terse_client *client) {
    struct terse_stanza *stanza = NULL, *answer = NULL;
    enum terse_client_err err = terse_client_connect(client);

    if (!err)
        err = terse_client_recv(client, WAIT, &stanza);
    if (!err && !terse_stanza_typed(stanza))
        err = TERSE_CLIENT_ENOMEM;
    if (!err)
        err =
            terse_client_send_xml(client, "<presence/>", SIZE_MAX, WAIT, NULL);
    if (!err)
        err =
            terse_client_iq_xml(client, "get", NULL,
                                "<ping xmlns='urn:xmpp:ping'/>", WAIT, &answer);
    terse_stanza_free(stanza);
    terse_stanza_free(answer);
    return !err;
}

/* True if an allocation has failed. */
static bool fail_at(int n, bool sasl2) {
    struct fake fake;
    struct terse_client *client;
    struct terse_client_options options;
    bool good;

    atomic_store(&left, -1);
    atomic_store(&hit, false);
    fake_start(&fake, serve, &sasl2);
    terse_client_options_init(&options);
    options.clear = true;
    options.host = "127.0.0.1";
    options.port = fake.port;
    options.jid = FAKE_JID;
    options.password = FAKE_PASSWORD;
    options.sasl2 = sasl2 ? TERSE_CLIENT_ON : TERSE_CLIENT_OFF;
    options.login_ms = WAIT;
    options.close_ms = 200;
    options.traffic = arm;
    options.traffic_arg = &n;
    assert_int_equal(terse_client_new(&client, &options), TERSE_CLIENT_OK);
    good = use(client);
    atomic_store(&left, -2); /* enough */
    terse_client_close(client);
    terse_client_free(client);
    fake_stop(&fake);
    assert_true(good || atomic_load(&hit));
    return atomic_load(&hit);
}

static void sweep(bool sasl2) {
    int n = 0;

    while (fail_at(n, sasl2))
        n += n < CLOSELY ? 1 : STRIDE;
    assert_true(n > CLOSELY);
}

static void test_no_memory_is_survived(void **state) {
    (void)state;
    sweep(false);
}

static void test_no_memory_is_survived_with_sasl2(void **state) {
    (void)state;
    sweep(true);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_memory_is_survived),
        cmocka_unit_test(test_no_memory_is_survived_with_sasl2),
    };

    return cmocka_run_group_tests_name("client_memory", tests, NULL, NULL);
}
