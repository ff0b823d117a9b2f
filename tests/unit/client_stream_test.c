/* What passes once the client is logged in. */
#include "tests/unit/client_fake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { WAIT = 8000 };

/* What a script and its test tell each other, beside the wire. */
static atomic_bool flag;

static void await_flag(void) {
    for (int i = 0; i < 2000 && !atomic_load(&flag); i++)
        fake_sleep(5);
}

static void fill(struct terse_client_options *options,
                 const struct fake *fake) {
    terse_client_options_init(options);
    options->clear = true;
    options->host = "localhost";
    options->port = fake->port;
    options->jid = FAKE_JID;
    options->password = FAKE_PASSWORD;
    /* One connection, by RFC 6120: client_session_test.c has the rest. */
    options->sasl2 = TERSE_CLIENT_OFF;
    options->reconnect = TERSE_CLIENT_OFF;
    options->close_ms = 3000;
}

/* A client that is logged in. */
static struct terse_client *begin(struct fake *fake,
                                  void (*script)(struct fake *fake)) {
    struct terse_client_options options;
    struct terse_client *client;

    atomic_store(&flag, false);
    fake_start(fake, script, NULL);
    fill(&options, fake);
    assert_int_equal(terse_client_new(&client, &options), TERSE_CLIENT_OK);
    assert_int_equal(terse_client_connect(client), TERSE_CLIENT_OK);
    return client;
}

static void end(struct fake *fake, struct terse_client *client) {
    assert_int_equal(terse_client_close(client), TERSE_CLIENT_OK);
    terse_client_free(client);
    fake_stop(fake);
}

static void bye(struct fake *fake) {
    fake_expect(fake, "<close");
    fake_send_close(fake);
}

static void expect_why(struct terse_client *client, enum terse_client_err code,
                       const char *condition) {
    struct terse_client_error why;

    terse_client_why(client, &why);
    assert_int_equal(why.code, code);
    assert_string_equal(why.condition, condition);
}

/* ---- stanzas
 * ------------------------------------------------------------------ */

static void swap_stanzas(struct fake *fake) {
    fake_login(fake);
    fake_expect(fake, "<body>Grüße &amp; &lt;3</body>");
    fake_expect(fake, "<show>away</show>");
    fake_send(fake,
              "<message from='juliet@example.net/balcony' id='a-b'"
              " type='error' xml:lang='it'><body>ciao</body>"
              "<error type='cancel'><item-not-found xmlns='" CLIENT_NS_STANZAS
              "'/></error></message>");
    fake_send(fake, "<unknown xmlns='urn:x'><thing/></unknown>");
    bye(fake);
}

#define ENGLISH "I will be there at eight, is that all right with you?"

static void send_english(struct fake *fake) {
    fake_login(fake);
    fake_send(fake, "<message id='fs9fybo9qa'><subject>" ENGLISH "</subject>"
                    "<body>" ENGLISH "</body></message>");
    bye(fake);
}

/* Text comes packed, the id as a number; who reads the struct sees strings all
 * the same. */
static void test_recv_packed_text_and_id_are_strings(void **state) {
    struct fake fake;
    struct terse_client *client = begin(&fake, send_english);
    struct terse_stanza *stanza;
    const Terse__Frame *frame;
    const uint8_t *bytes;
    size_t n;

    (void)state;
    assert_int_equal(terse_client_recv(client, WAIT, &stanza), TERSE_CLIENT_OK);
    bytes = terse_stanza_frame(stanza, &n);
    assert_true(n < 2 * strlen(ENGLISH));
    assert_null(memmem(bytes, n, "fs9fybo9qa", 10));
    frame = terse_stanza_typed(stanza);
    assert_non_null(frame);
    assert_string_equal(frame->message->body, ENGLISH);
    assert_string_equal(frame->message->subject, ENGLISH);
    assert_string_equal(frame->message->id, "fs9fybo9qa");
    terse_stanza_free(stanza);
    end(&fake, client);
}

static void test_stanzas_pass_both_ways(void **state) {
    struct fake fake;
    struct terse_client *client = begin(&fake, swap_stanzas);
    struct terse_stanza *stanza;
    const char *condition, *ns;
    Terse__Frame frame = TERSE__FRAME__INIT;
    Terse__Message message = TERSE__MESSAGE__INIT;
    size_t n;

    (void)state;
    message.to = (char[]){"juliet@example.net"};
    message.body = (char[]){"Grüße & <3"};
    frame.message = &message;
    assert_int_equal(terse_client_send(client, &frame, 0, NULL),
                     TERSE_CLIENT_OK);
    assert_int_equal(terse_client_send_xml(
                         client, " <presence><show>away</show></presence>\n",
                         SIZE_MAX, 0, NULL),
                     TERSE_CLIENT_OK);
    assert_int_equal(terse_client_recv(client, WAIT, &stanza), TERSE_CLIENT_OK);
    assert_string_equal(terse_stanza_name(stanza, &ns), "message");
    assert_string_equal(ns, TERSE_NS_CLIENT);
    assert_string_equal(terse_stanza_attr(stanza, "from"),
                        "juliet@example.net/balcony");
    assert_string_equal(terse_stanza_attr(stanza, "id"), "a-b");
    assert_string_equal(terse_stanza_attr(stanza, "xml:lang"), "it");
    assert_null(terse_stanza_attr(stanza, "to"));
    assert_ptr_equal(terse_stanza_attr(stanza, "id"),
                     terse_stanza_attr(stanza, "id"));
    assert_true(terse_stanza_is_error(stanza, &condition));
    assert_string_equal(condition, "item-not-found");
    assert_string_equal(terse_stanza_typed(stanza)->message->body, "ciao");
    assert_int_equal(terse_stanza_typed(stanza)->message->error->condition,
                     TERSE__STANZA_CONDITION__ITEM_NOT_FOUND);
    assert_non_null(strstr(terse_stanza_xml(stanza, &n), ">ciao<"));
    assert_int_equal(n, strlen(terse_stanza_xml(stanza, NULL)));
    terse_stanza_free(stanza);

    assert_int_equal(terse_client_recv(client, WAIT, &stanza), TERSE_CLIENT_OK);
    assert_string_equal(terse_stanza_name(stanza, &ns), "unknown");
    assert_string_equal(ns, "urn:x");
    assert_false(terse_stanza_is_error(stanza, &condition));
    assert_int_equal(terse_client_close(client), TERSE_CLIENT_OK);
    terse_client_free(client);
    /* A stanza may outlive its client. */
    assert_non_null(strstr(terse_stanza_xml(stanza, &n), "thing"));
    terse_stanza_free(stanza);
    fake_stop(&fake);
}

static void only_close(struct fake *fake) {
    fake_login(fake);
    fake_expect_eof(fake); /* the first thing after the login is the Close */
}

static void test_send_what_is_no_element_is_refused(void **state) {
    static const char *const bad[] = {
        "",
        "text",
        "<a",
        "<a>",
        "<a/><b/>",
        "<a/>text",
        "</stream:stream>",
        "<a/></stream:stream>",
        "<x:a/>",
        "<a/><!-- c -->",
        "<a b='1' b='2'/>",
    };
    struct fake fake;
    struct terse_client *client;
    struct terse_error error;
    Terse__Frame frame = TERSE__FRAME__INIT;
    Terse__Close footer = TERSE__CLOSE__INIT;
    struct terse_client_options options;

    (void)state;
    fake_start(&fake, only_close, NULL);
    fill(&options, &fake);
    assert_int_equal(terse_client_new(&client, &options), TERSE_CLIENT_OK);
    assert_int_equal(
        terse_client_send_xml(client, "<presence/>", SIZE_MAX, 0, &error),
        TERSE_CLIENT_ESTATE);
    assert_int_equal(terse_client_connect(client), TERSE_CLIENT_OK);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        error.code = TERSE_OK;
        assert_int_equal(
            terse_client_send_xml(client, bad[i], SIZE_MAX, 0, &error),
            TERSE_CLIENT_EXML);
        assert_int_not_equal(error.code, TERSE_OK);
        assert_string_not_equal(error.text, "");
    }
    assert_int_equal(terse_client_send(client, &frame, 0, &error),
                     TERSE_CLIENT_EXML);
    frame.close = &footer;
    assert_int_equal(terse_client_send(client, &frame, 0, &error),
                     TERSE_CLIENT_EXML);
    assert_int_equal(error.code, TERSE_EFRAME);
    terse_client_free(client); /* cuts the connection: no Close */
    fake_stop(&fake);
}

static void nest(struct fake *fake) {
    uint8_t frame[1024];
    size_t n = sizeof(frame);

    fake_login(fake);
    /* Element in Element, from the inside out: 300 levels. */
    for (int i = 0; i < 300 && n > 8; i++) {
        size_t inner = sizeof(frame) - n;

        if (inner >= 128)
            frame[--n] = (uint8_t)(inner >> 7);
        frame[--n] = (uint8_t)(inner >= 128 ? (inner & 0x7f) | 0x80 : inner);
        frame[--n] = 7 << 3 | 2;
    }
    {
        size_t inner = sizeof(frame) - n;
        uint8_t name[] = {(uint8_t)(((inner + 3) & 0x7f) | 0x80),
                          (uint8_t)((inner + 3) >> 7), 2 << 3 | 2, 1, 'a'};
        uint8_t tag = 15 << 3 | 2;
        size_t whole = inner + sizeof(name) + 1;
        uint8_t header[] = {(uint8_t)((whole & 0x7f) | 0x80),
                            (uint8_t)(whole >> 7)};

        fake_send_raw(fake, header, sizeof(header));
        fake_send_raw(fake, &tag, 1);
        fake_send_raw(fake, name, sizeof(name));
        fake_send_raw(fake, frame + n, inner);
    }
    bye(fake);
}

static void test_recv_nested_too_deep_is_not_unpacked(void **state) {
    struct fake fake;
    struct terse_client *client = begin(&fake, nest);
    struct terse_stanza *stanza;

    (void)state;
    assert_int_equal(terse_client_recv(client, WAIT, &stanza), TERSE_CLIENT_OK);
    assert_null(terse_stanza_xml(stanza, NULL));
    assert_null(terse_stanza_typed(stanza));
    terse_stanza_free(stanza);
    end(&fake, client);
}

/* ---- iq
 * ------------------------------------------------------------------------- */

static void answer_iqs(struct fake *fake) {
    fake_login(fake);
    fake_expect(fake, "type='get'");
    /* An id alone is no answer. */
    fake_answer(fake, "<iq type='result' id='%s' from='evil@example.net'/>");
    fake_answer(fake, "<iq type='result' id='%s' from='EXAMPLE.net'>"
                      "<query xmlns='jabber:iq:version'><name>x</name></query>"
                      "</iq>");
    fake_expect(fake, "<ping");
    fake_answer(
        fake,
        "<iq type='error' id='%s' from='a@b/c'>"
        "<error type='cancel'><service-unavailable xmlns='" CLIENT_NS_STANZAS
        "'/></error></iq>");
    fake_expect(fake, "jabber:iq:roster");
    fake_answer(fake, "<iq type='result' id='%s' from='" FAKE_USER
                      "@" FAKE_DOMAIN "'/>");
    fake_expect(fake, "<ping"); /* no answer */
    bye(fake);
}

static void test_iq_answer_is_given_to_its_request(void **state) {
    struct fake fake;
    struct terse_client *client = begin(&fake, answer_iqs);
    struct terse_stanza *answer;
    Terse__Iq iq = TERSE__IQ__INIT;
    Terse__Roster roster = TERSE__ROSTER__INIT;
    const char *condition;

    (void)state;
    assert_int_equal(terse_client_iq_xml(client, "get", "example.net",
                                         "<query xmlns='jabber:iq:version'/>",
                                         WAIT, &answer),
                     TERSE_CLIENT_OK);
    assert_string_equal(terse_stanza_typed(answer)->iq->from, "EXAMPLE.net");
    terse_stanza_free(answer);
    assert_int_equal(terse_client_iq_xml(client, "get", "a@b/c",
                                         "<ping xmlns='urn:xmpp:ping'/>", WAIT,
                                         &answer),
                     TERSE_CLIENT_ESTANZA);
    assert_true(terse_stanza_is_error(answer, &condition));
    assert_string_equal(condition, "service-unavailable");
    terse_stanza_free(answer);
    iq.has_type = true;
    iq.type = TERSE__IQ_TYPE__GET;
    iq.roster = &roster;
    assert_int_equal(terse_client_iq(client, &iq, WAIT, &answer),
                     TERSE_CLIENT_OK);
    assert_false(iq.has_id_decimal); /* ours is not changed */
    terse_stanza_free(answer);
    assert_int_equal(terse_client_iq_xml(client, "get", NULL,
                                         "<ping xmlns='urn:xmpp:ping'/>", 50,
                                         &answer),
                     TERSE_CLIENT_ETIMEOUT);
    assert_null(answer);
    assert_null(client->iqs);
    assert_int_equal(client->n_iqs, 0);
    /* The one that was none is a stanza like others. */
    assert_int_equal(terse_client_recv(client, 0, &answer), TERSE_CLIENT_OK);
    assert_string_equal(terse_stanza_attr(answer, "from"), "evil@example.net");
    terse_stanza_free(answer);
    assert_int_equal(terse_client_recv(client, 0, &answer),
                     TERSE_CLIENT_ETIMEOUT);
    end(&fake, client);
}

static void test_iq_that_cannot_be_is_refused(void **state) {
    struct fake fake;
    struct terse_client *client = begin(&fake, only_close);
    struct terse_stanza *answer;
    Terse__Iq iq = TERSE__IQ__INIT;

    (void)state;
    assert_int_equal(terse_client_iq(client, &iq, WAIT, &answer),
                     TERSE_CLIENT_EARG);
    iq.has_type = true;
    iq.type = TERSE__IQ_TYPE__RESULT;
    assert_int_equal(terse_client_iq(client, &iq, WAIT, &answer),
                     TERSE_CLIENT_EARG);
    iq.type = TERSE__IQ_TYPE__SET;
    assert_int_equal(terse_client_iq(client, &iq, 0, &answer),
                     TERSE_CLIENT_EARG);
    iq.id = (char[]){"mine"};
    assert_int_equal(terse_client_iq(client, &iq, WAIT, &answer),
                     TERSE_CLIENT_EARG);
    assert_int_equal(
        terse_client_iq_xml(client, "result", NULL, "<a/>", WAIT, &answer),
        TERSE_CLIENT_EARG);
    assert_int_equal(
        terse_client_iq_xml(client, "get", NULL, "</iq><iq>", WAIT, &answer),
        TERSE_CLIENT_EXML);
    terse_client_free(client);
    fake_stop(&fake);
}

struct outcome {
    unsigned calls;
    enum terse_client_err err;
    bool answered;
};

static void on_answer(void *arg, struct terse_client *client,
                      enum terse_client_err err, struct terse_stanza *answer) {
    struct outcome *o = arg;

    (void)client;
    o->calls++;
    o->err = err;
    o->answered = answer != NULL;
}

static void answer_one(struct fake *fake) {
    fake_login(fake);
    fake_expect(fake, "<ping");
    fake_answer(fake, "<iq type='result' id='%s'/>");
    fake_expect(fake, "<ping");
    fake_expect(fake, "<ping");
    await_flag();
}

static void test_iq_async_is_called_from_recv(void **state) {
    static const char ping[] = "<ping xmlns='urn:xmpp:ping'/>";
    struct fake fake;
    struct terse_client *client = begin(&fake, answer_one);
    struct terse_stanza *stanza;
    struct outcome a = {0}, late = {0}, lost = {0};

    (void)state;
    assert_int_equal(terse_client_iq_xml_async(client, "get", NULL, ping, WAIT,
                                               on_answer, &a),
                     TERSE_CLIENT_OK);
    assert_int_equal(terse_client_iq_xml_async(client, "get", NULL, ping, 50,
                                               on_answer, &late),
                     TERSE_CLIENT_OK);
    assert_int_equal(terse_client_iq_xml_async(client, "get", NULL, ping, WAIT,
                                               on_answer, &lost),
                     TERSE_CLIENT_OK);
    assert_int_equal(terse_client_recv(client, 300, &stanza),
                     TERSE_CLIENT_ETIMEOUT);
    assert_int_equal(a.calls, 1);
    assert_int_equal(a.err, TERSE_CLIENT_OK);
    assert_true(a.answered);
    assert_int_equal(late.calls, 1);
    assert_int_equal(late.err, TERSE_CLIENT_ETIMEOUT);
    assert_false(late.answered);
    assert_int_equal(lost.calls, 0);
    atomic_store(&flag, true); /* the server goes away */
    assert_int_equal(terse_client_recv(client, WAIT, &stanza),
                     TERSE_CLIENT_ELOST);
    assert_int_equal(lost.calls, 1);
    assert_int_equal(lost.err, TERSE_CLIENT_ELOST);
    terse_client_free(client);
    fake_stop(&fake);
}

static void test_iq_too_many_is_full(void **state) {
    static const char ping[] = "<ping xmlns='urn:xmpp:ping'/>";
    struct fake fake;
    struct terse_client *client;
    struct terse_client_options options;
    struct outcome o = {0};

    (void)state;
    atomic_store(&flag, false);
    fake_start(&fake, answer_one, NULL);
    fill(&options, &fake);
    options.iqs = 2;
    assert_int_equal(terse_client_new(&client, &options), TERSE_CLIENT_OK);
    assert_int_equal(terse_client_connect(client), TERSE_CLIENT_OK);
    net_lock(&client->owner); /* no answer comes in */
    client->n_iqs = 2;
    net_unlock(&client->owner);
    assert_int_equal(terse_client_iq_xml_async(client, "get", NULL, ping, WAIT,
                                               on_answer, &o),
                     TERSE_CLIENT_EFULL);
    net_lock(&client->owner);
    client->n_iqs = 0;
    net_unlock(&client->owner);
    for (int i = 0; i < 3; i++) {
        struct terse_stanza *answer;

        assert_int_equal(
            terse_client_iq_xml(client, "get", NULL, ping, 100, &answer),
            i == 0 ? TERSE_CLIENT_OK : TERSE_CLIENT_ETIMEOUT);
        terse_stanza_free(answer);
    }
    atomic_store(&flag, true);
    terse_client_free(client);
    fake_stop(&fake);
    assert_int_equal(o.calls, 0);
}

static void ask_client(struct fake *fake) {
    fake_login(fake);
    fake_send(fake, "<iq type='get' id='v&apos;1' from='example.net'>"
                    "<query xmlns='jabber:iq:version'/></iq>");
    fake_expect(fake, "<name>test</name>");
    if (!strstr(fake->last, "to='example.net'"))
        fake_fail(fake, "the reply is not for us");
    fake_send(fake, "<iq type='set' id='2'><x xmlns='urn:x'/></iq>");
    fake_expect(fake, "<service-unavailable");
    fake_send(fake, "<message/>");
    bye(fake);
}

static void test_requests_are_replied_or_refused(void **state) {
    struct fake fake;
    struct terse_client *client = begin(&fake, ask_client);
    struct terse_stanza *stanza;

    (void)state;
    assert_int_equal(terse_client_recv(client, WAIT, &stanza), TERSE_CLIENT_OK);
    assert_int_equal(terse_client_reply(client, stanza,
                                        "<query xmlns='jabber:iq:version'>"
                                        "<name>test</name></query>",
                                        0),
                     TERSE_CLIENT_OK);
    terse_stanza_free(stanza);
    assert_int_equal(terse_client_recv(client, WAIT, &stanza), TERSE_CLIENT_OK);
    assert_int_equal(
        terse_client_refuse(client, stanza, "cancel", "service-unavailable", 0),
        TERSE_CLIENT_OK);
    terse_stanza_free(stanza);
    assert_int_equal(terse_client_recv(client, WAIT, &stanza), TERSE_CLIENT_OK);
    assert_int_equal(terse_client_reply(client, stanza, NULL, 0),
                     TERSE_CLIENT_EARG);
    terse_stanza_free(stanza);
    end(&fake, client);
}

/* ---- the end
 * ----------------------------------------------------------------------- */

static void say_conflict(struct fake *fake) {
    fake_login(fake);
    fake_send(fake, "<message/>");
    fake_send(fake, "<stream:error><conflict xmlns='" CLIENT_NS_STREAMS
                    "'/></stream:error>");
    fake_expect(fake, "<close");
}

static void say_close(struct fake *fake) {
    fake_login(fake);
    fake_send(fake, "<message/>");
    fake_send_close(fake);
    fake_expect(fake, "<close");
    fake_expect_eof(fake);
}

static void say_garbage(struct fake *fake) {
    fake_login(fake);
    fake_send(fake, "<message/>");
    fake_send_raw(fake, "\x02\xff\xff", 3);
    fake_expect(fake, "<close");
}

static void test_end_by_server_comes_after_its_stanzas(void **state) {
    static const struct {
        void (*script)(struct fake *fake);
        enum terse_client_err code;
        const char *condition;
    } cases[] = {{say_conflict, TERSE_CLIENT_ESTREAM, "conflict"},
                 {say_close, TERSE_CLIENT_ECLOSED, ""},
                 {say_garbage, TERSE_CLIENT_EPROTO, ""}};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fake fake;
        struct terse_client *client = begin(&fake, cases[i].script);
        struct terse_stanza *stanza;

        assert_int_equal(terse_client_recv(client, WAIT, &stanza),
                         TERSE_CLIENT_OK);
        terse_stanza_free(stanza);
        assert_int_equal(terse_client_recv(client, WAIT, &stanza),
                         cases[i].code);
        assert_int_equal(
            terse_client_send_xml(client, "<presence/>", SIZE_MAX, 0, NULL),
            cases[i].code);
        expect_why(client, cases[i].code, cases[i].condition);
        end(&fake, client);
    }
}

static void never_close(struct fake *fake) {
    fake_login(fake);
    fake_expect(fake, "<close");
    fake_expect_eof(fake);
}

static void test_close_without_answer_times_out(void **state) {
    struct fake fake;
    struct terse_client *client;
    struct terse_client_options options;

    (void)state;
    fake_start(&fake, never_close, NULL);
    fill(&options, &fake);
    options.close_ms = 100;
    assert_int_equal(terse_client_new(&client, &options), TERSE_CLIENT_OK);
    assert_int_equal(terse_client_connect(client), TERSE_CLIENT_OK);
    assert_int_equal(terse_client_close(client), TERSE_CLIENT_ETIMEOUT);
    expect_why(client, TERSE_CLIENT_ETIMEOUT, "");
    terse_client_free(client);
    fake_stop(&fake);
}

/* ---- queues
 * ---------------------------------------------------------------------------
 */

enum { FLOOD = 20000, QUEUE = 10 };

static void flood(struct fake *fake) {
    char xml[64];

    fake_login(fake);
    for (int i = 0; i < FLOOD; i++) {
        snprintf(xml, sizeof(xml), "<message id='%d'/>", i);
        fake_send(fake, xml);
    }
    atomic_store(&flag, true);
    bye(fake);
}

static void test_recv_queue_is_bounded_and_loses_nothing(void **state) {
    struct fake fake;
    struct terse_client *client;
    struct terse_client_options options;
    struct terse_stanza *stanza;
    char id[16];

    (void)state;
    atomic_store(&flag, false);
    fake_start(&fake, flood, NULL);
    fill(&options, &fake);
    options.recv_frames = QUEUE;
    assert_int_equal(terse_client_new(&client, &options), TERSE_CLIENT_OK);
    assert_int_equal(terse_client_connect(client), TERSE_CLIENT_OK);
    for (int i = 0; i < FLOOD; i++) {
        if (i % 1000 == 0)
            fake_sleep(10);
        net_lock(&client->owner);
        assert_in_range(client->queue.frames, 0, QUEUE);
        assert_true(client->paused || client->queue.frames < QUEUE);
        net_unlock(&client->owner);
        assert_int_equal(terse_client_recv(client, WAIT, &stanza),
                         TERSE_CLIENT_OK);
        snprintf(id, sizeof(id), "%d", i);
        assert_string_equal(terse_stanza_attr(stanza, "id"), id);
        terse_stanza_free(stanza);
    }
    end(&fake, client);
}

static void test_close_with_full_queue_ends(void **state) {
    struct fake fake;
    struct terse_client *client;
    struct terse_client_options options;
    struct terse_stanza *stanza;
    unsigned n = 0;

    (void)state;
    atomic_store(&flag, false);
    fake_start(&fake, flood, NULL);
    fill(&options, &fake);
    options.recv_bytes = 100;
    assert_int_equal(terse_client_new(&client, &options), TERSE_CLIENT_OK);
    assert_int_equal(terse_client_connect(client), TERSE_CLIENT_OK);
    await_flag();
    assert_int_equal(terse_client_close(client), TERSE_CLIENT_OK);
    while (terse_client_recv(client, 0, &stanza) == TERSE_CLIENT_OK) {
        terse_stanza_free(stanza);
        n++;
    }
    assert_in_range(n, 1, 100);
    terse_client_free(client);
    fake_stop(&fake);
}

static void read_late(struct fake *fake) {
    fake_login(fake);
    await_flag();
    do
        fake_expect(fake, "");
    while (!fake->failure[0] && !strstr(fake->last, "<presence"));
    bye(fake);
}

static void test_send_queue_full_waits_or_says_so(void **state) {
    struct fake fake;
    struct terse_client *client;
    struct terse_client_options options;
    enum terse_client_err err = TERSE_CLIENT_OK;
    char *xml = malloc(50100);
    unsigned n = 0;

    (void)state;
    assert_non_null(xml);
    strcpy(xml, "<message><body>");
    memset(xml + 15, 'x', 50000);
    strcpy(xml + 50015, "</body></message>");
    atomic_store(&flag, false);
    fake_start(&fake, read_late, NULL);
    fill(&options, &fake);
    options.send_bytes = 100000;
    assert_int_equal(terse_client_new(&client, &options), TERSE_CLIENT_OK);
    assert_int_equal(terse_client_connect(client), TERSE_CLIENT_OK);
    /* Until the kernel takes no more. */
    while (!err && ++n < 10000)
        err = terse_client_send_xml(client, xml, SIZE_MAX, 200, NULL);
    assert_int_equal(err, TERSE_CLIENT_ETIMEOUT);
    assert_int_equal(terse_client_send_xml(client, xml, SIZE_MAX, 0, NULL),
                     TERSE_CLIENT_EFULL);
    net_lock(&client->owner);
    assert_in_range(net_conn_queued(client->conn), 100000, 151000);
    net_unlock(&client->owner);
    atomic_store(&flag, true);
    assert_int_equal(terse_client_send_xml(client, xml, SIZE_MAX, -1, NULL),
                     TERSE_CLIENT_OK);
    assert_int_equal(
        terse_client_send_xml(client, "<presence/>", SIZE_MAX, WAIT, NULL),
        TERSE_CLIENT_OK);
    end(&fake, client);
    free(xml);
}

/* ---- callbacks
 * -------------------------------------------------------------------------- */

struct log {
    pthread_mutex_t lock;
    unsigned ready, stanzas, closed, answers;
    enum terse_client_err why, iq;
    size_t sent, received, bytes_in, bytes_out;
    char moves[2048];
};

static void on_ready(void *arg, struct terse_client *client) {
    struct log *log = arg;
    struct terse_stanza *answer;

    log->ready++;
    /* A callback may wait for an answer. */
    log->iq = terse_client_iq_xml(
        client, "get", NULL, "<ping xmlns='urn:xmpp:ping'/>", WAIT, &answer);
    terse_stanza_free(answer);
}

static void on_pong(void *arg, struct terse_client *client,
                    enum terse_client_err err, struct terse_stanza *answer) {
    struct log *log = arg;

    (void)client;
    if (!err && answer)
        log->answers++;
}

static void on_stanza(void *arg, struct terse_client *client,
                      struct terse_stanza *stanza) {
    struct log *log = arg;

    log->stanzas++;
    assert_string_equal(terse_stanza_name(stanza, NULL), "message");
    if (terse_client_iq_xml_async(client, "get", NULL,
                                  "<ping xmlns='urn:xmpp:ping'/>", WAIT,
                                  on_pong, log))
        log->iq = TERSE_CLIENT_EPROTO;
}

static void on_closed(void *arg, struct terse_client *client,
                      const struct terse_client_error *why) {
    struct log *log = arg;

    (void)client;
    log->closed++;
    log->why = why->code;
    atomic_store(&flag, true);
}

static void on_traffic(void *arg, const struct terse_client_traffic *traffic) {
    struct log *log = arg;

    pthread_mutex_lock(&log->lock);
    if (traffic->sent) {
        log->sent++;
        log->bytes_out += traffic->wire;
    } else {
        log->received++;
        log->bytes_in += traffic->wire;
    }
    pthread_mutex_unlock(&log->lock);
}

static void on_trace(void *arg, const char *line) {
    struct log *log = arg;
    size_t have = strlen(log->moves);

    snprintf(log->moves + have, sizeof(log->moves) - have, "%s\n", line);
}

static void chat(struct fake *fake) {
    fake_login(fake);
    fake_expect(fake, "<ping");
    fake_send(fake, "<message/>");
    fake_answer(fake, "<iq type='result' id='%s'/>");
    fake_expect(fake, "<ping");
    fake_answer(fake, "<iq type='result' id='%s'/>");
    fake_send_close(fake);
    fake_expect(fake, "<close");
}

static void test_callbacks_come_in_order_and_closed_once(void **state) {
    struct fake fake;
    struct log log = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct terse_client *client;
    struct terse_client_options options;
    struct terse_stanza *stanza;

    (void)state;
    atomic_store(&flag, false);
    fake_start(&fake, chat, NULL);
    fill(&options, &fake);
    options.on.ready = on_ready;
    options.on.stanza = on_stanza;
    options.on.closed = on_closed;
    options.on.arg = &log;
    options.traffic = on_traffic;
    options.traffic_arg = &log;
    options.trace = on_trace;
    options.trace_arg = &log;
    assert_int_equal(terse_client_new(&client, &options), TERSE_CLIENT_OK);
    assert_int_equal(terse_client_connect(client), TERSE_CLIENT_OK);
    assert_int_equal(terse_client_recv(client, 0, &stanza),
                     TERSE_CLIENT_ESTATE);
    await_flag();
    terse_client_free(client);
    fake_stop(&fake);
    assert_int_equal(log.ready, 1);
    assert_int_equal(log.iq, TERSE_CLIENT_OK);
    assert_int_equal(log.stanzas, 1);
    assert_int_equal(log.answers, 1);
    assert_int_equal(log.closed, 1);
    assert_int_equal(log.why, TERSE_CLIENT_ECLOSED);
    /* Open, auth, response, Open, bind, 2 pings, Close; and what came: Open,
     * features, challenge, success, Open, features, bind, message, 2 pongs,
     * Close. */
    assert_int_equal(log.sent, 8);
    assert_int_equal(log.received, 11);
    assert_true(log.bytes_in > 200 && log.bytes_out > 100);
    assert_non_null(strstr(log.moves, "state=new event=connect to=dialling"));
    assert_non_null(strstr(log.moves, "state=binding event=ready to=ready"));
    assert_non_null(strstr(log.moves, "state=ready event=end to=closed"));
    assert_null(strstr(log.moves, "refused"));
    assert_null(strstr(log.moves, FAKE_PASSWORD));
}

static void test_callbacks_refused_login_is_closed(void **state) {
    struct fake fake = {.port = 1};
    struct log log = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct terse_client *client;
    struct terse_client_options options;

    (void)state;
    atomic_store(&flag, false);
    fill(&options, &fake);
    options.on.ready = on_ready;
    options.on.stanza = on_stanza;
    options.on.closed = on_closed;
    options.on.arg = &log;
    assert_int_equal(terse_client_new(&client, &options), TERSE_CLIENT_OK);
    assert_int_equal(terse_client_connect(client), TERSE_CLIENT_OK);
    await_flag();
    terse_client_free(client);
    assert_int_equal(log.ready, 0);
    assert_int_equal(log.closed, 1);
    assert_int_equal(log.why, TERSE_CLIENT_ECONNECT);
}

/* ---- threads
 * -----------------------------------------------------------------------------
 */

enum { THREADS = 4, EACH = 50 };

static void answer_many(struct fake *fake) {
    fake_login(fake);
    for (int i = 0; i < THREADS * EACH; i++) {
        fake_expect(fake, "<ping");
        fake_answer(fake, "<iq type='result' id='%s'/>");
        fake_send(fake, "<message/>");
    }
    bye(fake);
}

static void *ask_many(void *arg) {
    struct terse_client *client = arg;
    uintptr_t good = 0;

    for (int i = 0; i < EACH; i++) {
        struct terse_stanza *answer, *stanza;

        if (terse_client_iq_xml(client, "get", NULL,
                                "<ping xmlns='urn:xmpp:ping'/>", WAIT,
                                &answer) == TERSE_CLIENT_OK &&
            terse_client_recv(client, WAIT, &stanza) == TERSE_CLIENT_OK) {
            good++;
            terse_stanza_free(stanza);
        }
        terse_stanza_free(answer);
    }
    return (void *)good;
}

static void test_threads_share_a_client(void **state) {
    struct fake fake;
    struct terse_client *client = begin(&fake, answer_many);
    pthread_t threads[THREADS];
    uintptr_t good = 0;

    (void)state;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask_many, client),
                         0);
    for (int i = 0; i < THREADS; i++) {
        void *result;

        pthread_join(threads[i], &result);
        good += (uintptr_t)result;
    }
    assert_int_equal(good, THREADS * EACH);
    end(&fake, client);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recv_packed_text_and_id_are_strings),
        cmocka_unit_test(test_stanzas_pass_both_ways),
        cmocka_unit_test(test_send_what_is_no_element_is_refused),
        cmocka_unit_test(test_recv_nested_too_deep_is_not_unpacked),
        cmocka_unit_test(test_iq_answer_is_given_to_its_request),
        cmocka_unit_test(test_iq_that_cannot_be_is_refused),
        cmocka_unit_test(test_iq_async_is_called_from_recv),
        cmocka_unit_test(test_iq_too_many_is_full),
        cmocka_unit_test(test_requests_are_replied_or_refused),
        cmocka_unit_test(test_end_by_server_comes_after_its_stanzas),
        cmocka_unit_test(test_close_without_answer_times_out),
        cmocka_unit_test(test_recv_queue_is_bounded_and_loses_nothing),
        cmocka_unit_test(test_close_with_full_queue_ends),
        cmocka_unit_test(test_send_queue_full_waits_or_says_so),
        cmocka_unit_test(test_callbacks_come_in_order_and_closed_once),
        cmocka_unit_test(test_callbacks_refused_login_is_closed),
        cmocka_unit_test(test_threads_share_a_client),
    };

    return cmocka_run_group_tests_name("client_stream", tests, NULL, NULL);
}
