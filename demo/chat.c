/*
 * chat.c: Alice's side of the demonstration, with libterse-client. Makes
 * friends with Bob, talks with him in several languages with receipts and chat
 * states, and meets him in a room. Each step waits for what must come of it;
 * if it does not, this says what was missing and ends with 1.
 *
 *   TERSE_PASSWORD=… demo-chat HOST PORT alice@example.net bob@example.net
 */
#include "client/terse_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { WAIT_MS = 10000, PAUSE_MS = 80 };

struct chat {
    struct terse_client *client;
    char *bob; /* bare */
    char bob_full[256];
    char room[256];
    char me[64];
};

/* What Alice's program can do (XEP-0030), and the hash of that which she puts
 * into her presence (XEP-0115 section 5.1), so that it need be asked once. */
#define CAPS_NODE "https://demo.example/chat"
#define CAPS_VER "hqPZw+IiJtddUL4kHV2jxgWvUzA="
#define CAPS                                                                   \
    "<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='" CAPS_NODE \
    "' ver='" CAPS_VER "'/>"
static const char abilities[] =
    "<identity category='client' type='phone' name='demo-chat'/>"
    "<feature var='http://jabber.org/protocol/caps'/>"
    "<feature var='http://jabber.org/protocol/chatstates'/>"
    "<feature var='http://jabber.org/protocol/disco#info'/>"
    "<feature var='http://jabber.org/protocol/muc'/>"
    "<feature var='urn:xmpp:receipts'/>";

/* ---- steps and what they wait for
 * --------------------------------------------- */

/* So that one can watch. */
static void pause_a_little(void) {
    struct timespec ts = {0, PAUSE_MS * 1000000L};

    nanosleep(&ts, NULL);
}

static bool failed(const struct chat *chat, const char *what,
                   enum terse_client_err err) {
    struct terse_client_error why;

    terse_client_why(chat->client, &why);
    fprintf(stderr, "demo-chat: %s: %s %s %s\n", what,
            terse_client_strerror(err), why.condition, why.text);
    return false;
}

static bool has(const char *text, const char *part) {
    return text && strstr(text, part);
}

/* Requests that come meanwhile: roster pushes are taken, questions about our
 * abilities answered, others refused. */
static void serve(struct chat *chat, struct terse_stanza *stanza) {
    const char *xml = terse_stanza_xml(stanza, NULL);
    char reply[1024];

    snprintf(reply, sizeof(reply),
             "<query xmlns='http://jabber.org/protocol/disco#info'%s>%s"
             "</query>",
             has(xml, CAPS_NODE) ? " node='" CAPS_NODE "#" CAPS_VER "'" : "",
             abilities);
    if (has(xml, "jabber:iq:roster"))
        (void)!terse_client_reply(chat->client, stanza, NULL, -1);
    else if (has(xml, "type='get'") && has(xml, "/disco#info"))
        (void)!terse_client_reply(chat->client, stanza, reply, -1);
    else
        (void)!terse_client_refuse(chat->client, stanza, "cancel",
                                   "service-unavailable", -1);
}

/* Waits for a stanza called `name` whose XML holds both parts. The caller frees
 * it; NULL has said what is missing. */
static struct terse_stanza *await(struct chat *chat, const char *name,
                                  const char *part, const char *other) {
    struct terse_stanza *stanza;
    enum terse_client_err err;

    while (!(err = terse_client_recv(chat->client, WAIT_MS, &stanza))) {
        const char *is = terse_stanza_name(stanza, NULL);
        const char *xml = terse_stanza_xml(stanza, NULL);

        if (is && strcmp(is, "iq") == 0)
            serve(chat, stanza);
        else if (is && strcmp(is, name) == 0 && has(xml, part) &&
                 has(xml, other))
            return stanza;
        terse_stanza_free(stanza);
    }
    failed(chat, part, err);
    return NULL;
}

static bool expect(struct chat *chat, const char *name, const char *part,
                   const char *other) {
    struct terse_stanza *stanza = await(chat, name, part, other);

    terse_stanza_free(stanza);
    return stanza != NULL;
}

static bool send_xml(struct chat *chat, const char *format, const char *a,
                     const char *b) {
    char xml[1024];
    enum terse_client_err err;

    snprintf(xml, sizeof(xml), format, a, b);
    err = terse_client_send_xml(chat->client, xml, SIZE_MAX, -1, NULL);
    pause_a_little();
    return !err || failed(chat, xml, err);
}

static bool ask(struct chat *chat, const char *type, const char *to,
                const char *payload) {
    struct terse_stanza *answer;
    enum terse_client_err err =
        terse_client_iq_xml(chat->client, type, to, payload, WAIT_MS, &answer);

    terse_stanza_free(answer);
    pause_a_little();
    return !err || failed(chat, payload, err);
}

/* ---- contacts
 * -------------------------------------------------------------------- */

static bool add_bob(struct chat *chat) {
    char payload[512];

    snprintf(payload, sizeof(payload),
             "<query xmlns='jabber:iq:roster'><item jid='%s' name='Bob'>"
             "<group>Friends</group></item></query>",
             chat->bob);
    return ask(chat, "set", NULL, payload);
}

/* Bob's consent, his own request and his presence, in whatever order they come.
 */
static bool await_bob(struct chat *chat) {
    bool subscribed = false, subscribe = false;

    while (!subscribed || !subscribe || !chat->bob_full[0]) {
        struct terse_stanza *stanza = await(chat, "presence", chat->bob, "");
        const char *type = stanza ? terse_stanza_attr(stanza, "type") : NULL;
        const char *from = stanza ? terse_stanza_attr(stanza, "from") : NULL;

        subscribed = subscribed || has(type, "subscribed");
        subscribe = subscribe || (type && strcmp(type, "subscribe") == 0);
        if (!type && has(from, "/"))
            snprintf(chat->bob_full, sizeof(chat->bob_full), "%s", from);
        terse_stanza_free(stanza);
        if (!stanza)
            return false;
    }
    return true;
}

static bool make_friends(struct chat *chat) {
    return ask(chat, "get", NULL, "<query xmlns='jabber:iq:roster'/>") &&
           send_xml(chat,
                    "<presence><priority>5</priority>"
                    "<status>Trying Terse</status>%s</presence>%s",
                    CAPS, "") &&
           add_bob(chat) &&
           send_xml(chat, "<presence to='%s' type='subscribe'/>%s", chat->bob,
                    "") &&
           await_bob(chat) &&
           send_xml(chat, "<presence to='%s' type='subscribed'/>%s", chat->bob,
                    "");
}

static bool ask_about_bob(struct chat *chat) {
    return ask(chat, "get", chat->bob_full,
               "<query xmlns='http://jabber.org/protocol/disco#info'/>") &&
           ask(chat, "get", chat->bob_full,
               "<query xmlns='jabber:iq:version'/>") &&
           ask(chat, "get", chat->bob_full, "<ping xmlns='urn:xmpp:ping'/>");
}

/* ---- talking
 * ------------------------------------------------------------------------ */

/* bot.py answers each of these in the same language. */
static const struct {
    char *lang, *text;
} lines[] = {
    {(char[]){"en"}, (char[]){"Hi Bob! Is this thing really so small?"}},
    {(char[]){"de"}, (char[]){"Schön, dass du da bist. Hörst du mich gut?"}},
    {(char[]){"fr"}, (char[]){"Ça marche même dans le métro ?"}},
    {(char[]){"el"}, (char[]){"Καλημέρα! Τι κάνεις;"}},
    {(char[]){"ru"}, (char[]){"Как дела? Давно не виделись."}},
    {(char[]){"ar"}, (char[]){"مرحبا، كيف حالك؟"}},
    {(char[]){"hi"}, (char[]){"नमस्ते! आज शाम मिलते हैं?"}},
    {(char[]){"zh"}, (char[]){"今天天气真好，去公园吗？"}},
    {(char[]){"ja"}, (char[]){"おはよう！朝ごはんは食べた？"}},
    {(char[]){"sw"}, (char[]){"Habari za asubuhi, rafiki? 😀👍🏽"}},
};
enum { LINES = sizeof(lines) / sizeof(lines[0]) };

static bool send_state(struct chat *chat, const char *state) {
    return send_xml(chat,
                    "<message to='%s' type='chat'><%s "
                    "xmlns='http://jabber.org/protocol/chatstates'/></message>",
                    chat->bob_full, state);
}

/* A message as a typed struct: body, language, chat state and the wish for a
 * receipt. */
static bool say(struct chat *chat, char *lang, char *text, uint64_t id) {
    Terse__Message message = TERSE__MESSAGE__INIT;
    Terse__Frame frame = TERSE__FRAME__INIT;
    enum terse_client_err err;

    frame.message = &message;
    message.to = chat->bob_full;
    message.has_type = 1;
    message.type = TERSE__MESSAGE_TYPE__CHAT;
    message.has_id_decimal = 1;
    message.id_decimal = id;
    message.lang = lang;
    message.body = text;
    message.has_chat_state = 1;
    message.chat_state = TERSE__CHAT_STATE__STATE_ACTIVE;
    message.has_receipt_request = 1;
    message.receipt_request = 1;
    err = terse_client_send(chat->client, &frame, -1, NULL);
    pause_a_little();
    return !err || failed(chat, text, err);
}

/* Tells Bob that his message has arrived (XEP-0184). */
static bool confirm(struct chat *chat, struct terse_stanza *message) {
    const char *id = terse_stanza_attr(message, "id");

    return send_xml(chat,
                    "<message to='%s'><received xmlns='urn:xmpp:receipts' "
                    "id='%s'/></message>",
                    chat->bob_full, id ? id : "");
}

/* Bob's receipt for our message `id`, his composing and his answer, in whatever
 * order they come. */
static bool await_answer(struct chat *chat, const char *id, const char *lang) {
    bool receipt = false, composing = false, answer = false, ok = true;

    while (ok && !(receipt && composing && answer)) {
        struct terse_stanza *stanza = await(chat, "message", chat->bob, "");
        const char *xml = stanza ? terse_stanza_xml(stanza, NULL) : NULL;

        receipt = receipt || (has(xml, "<received") && has(xml, id));
        composing = composing || has(xml, "<composing");
        if (!answer && has(xml, "<body") && has(xml, lang)) {
            answer = true;
            ok = confirm(chat, stanza);
        }
        ok = ok && stanza;
        terse_stanza_free(stanza);
    }
    return ok;
}

static bool talk_once(struct chat *chat, size_t i) {
    char id[32], lang[32];

    snprintf(id, sizeof(id), "id='%zu'", i + 1);
    snprintf(lang, sizeof(lang), "xml:lang='%s'", lines[i].lang);
    return send_state(chat, "composing") &&
           say(chat, lines[i].lang, lines[i].text, i + 1) &&
           await_answer(chat, id, lang);
}

static bool talk(struct chat *chat) {
    for (size_t i = 0; i < LINES; i++)
        if (!talk_once(chat, i))
            return false;
    return send_state(chat, "gone") &&
           send_xml(chat,
                    "<presence><show>away</show>"
                    "<status xml:lang='fr'>à table</status>%s</presence>%s",
                    CAPS, "") &&
           expect(chat, "presence", "<show>dnd</show>", chat->bob);
}

/* ---- a room
 * ---------------------------------------------------------------------------
 */

static bool open_room(struct chat *chat) {
    return send_xml(chat,
                    "<presence to='%s/alice'>"
                    "<x xmlns='http://jabber.org/protocol/muc'/></presence>%s",
                    chat->room, "") &&
           expect(chat, "presence", "code='110'", "alice") &&
           ask(chat, "set", chat->room,
               "<query xmlns='http://jabber.org/protocol/muc#owner'>"
               "<x xmlns='jabber:x:data' type='submit'/></query>") &&
           send_xml(chat,
                    "<message to='%s'><x xmlns='jabber:x:conference' "
                    "jid='%s' reason='Tea'/></message>",
                    chat->bob_full, chat->room);
}

static bool meet(struct chat *chat) {
    return open_room(chat) && expect(chat, "presence", "/bob'", chat->room) &&
           send_xml(chat,
                    "<message to='%s' type='groupchat'>"
                    "<subject>%s</subject></message>",
                    chat->room, "Tea / お茶 / чай") &&
           send_xml(chat,
                    "<message to='%s' type='groupchat' id='tea'>"
                    "<body>%s</body></message>",
                    chat->room, "Shall we put the kettle on? ☕") &&
           expect(chat, "message", "/bob'", "<body") &&
           send_xml(chat,
                    "<message to='%s' type='groupchat' id='bye'>"
                    "<body>%s</body></message>",
                    chat->room, "Bye!") &&
           expect(chat, "presence", "type='unavailable'", "/bob'") &&
           send_xml(chat, "<presence to='%s/alice' type='unavailable'/>%s",
                    chat->room, "") &&
           expect(chat, "presence", "type='unavailable'", "/alice'");
}

/* ---- all of it
 * -------------------------------------------------------------------------- */

static bool perform(struct chat *chat) {
    enum terse_client_err err = terse_client_connect(chat->client);

    if (err)
        return failed(chat, "connecting", err);
    return make_friends(chat) && ask_about_bob(chat) && talk(chat) &&
           meet(chat) &&
           send_xml(chat, "<presence type='unavailable'/>%s%s", "", "") &&
           (!(err = terse_client_close(chat->client)) ||
            failed(chat, "closing", err));
}

int main(int argc, char **argv) {
    struct terse_client_options options;
    struct chat chat = {0};
    const char *domain = argc == 5 ? strchr(argv[4], '@') : NULL;
    bool ok;

    if (!domain) {
        fprintf(stderr, "usage: %s HOST PORT OUR-JID THEIR-JID\n", argv[0]);
        return 2;
    }
    chat.bob = argv[4];
    snprintf(chat.room, sizeof(chat.room), "tea@conference.%s", domain + 1);
    terse_client_options_init(&options);
    options.host = argv[1];
    options.port = (uint16_t)atoi(argv[2]);
    options.jid = argv[3];
    options.password = getenv("TERSE_PASSWORD");
    options.ca_file = getenv("TERSE_CA"); /* NULL: as the system trusts */
    options.clear = getenv("TERSE_CLEAR") != NULL;
    options.reconnect = TERSE_CLIENT_ON; /* a phone's network breaks */
    if (terse_client_new(&chat.client, &options)) {
        fprintf(stderr, "no password, or arguments that cannot be\n");
        return 2;
    }
    ok = perform(&chat);
    terse_client_free(chat.client);
    return !ok;
}
