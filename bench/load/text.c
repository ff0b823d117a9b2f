/* text.c: see text.h. */
#include "bench/load/text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "bench/load/io.h"

#define USER_MARK "#####" /* five digits */
#define ID_MARK "0123456789abcdef"
#define BOTH_NS "xmlns='" TERSE_NS_CLIENT "' xmlns:stream='" TERSE_NS_STREAM "'"

static const char *const bodies[TEXT_CANNED] = {
    "Hey! Are you up already?",
    "barely, coffee first, then words",
    "Fair. I just saw the train to Gdańsk on Friday is almost sold out",
    "oh no. how many seats are left?",
    "Eleven, and two of them are next to each other",
    "take them, I'll pay you back tonight",
    "Done! 14:20 from the main station, coach 7",
    "you are the best 🎉",
    "I know. Did you hear back from the landlord?",
    "not yet, he said he would call after lunch but you know him",
    "Then let's not wait for it. Dinner at eight?",
    "ok",
    "Should I bring something? I could make the salad with the pears again",
    "yes please, and bread if the bakery is still open",
    "It closes at six, I'll be there before that. See you!",
    "see you later :)",
};

void text_add(struct terse_buf *out, const void *p, size_t n) {
    if (terse_buf_append(out, p, n))
        die("out of memory");
}

void text_put(struct terse_buf *out, const char *format, ...) {
    char text[2048];
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (n < 0 || (size_t)n >= sizeof(text))
        die("a text is too long");
    text_add(out, text, (size_t)n);
}

/* A number that looks like none (splitmix64). */
static uint64_t mixed(uint64_t n) {
    n = (n + 1) * 0x9e3779b97f4a7c15u;
    n = (n ^ n >> 30) * 0xbf58476d1ce4e5b9u;
    n = (n ^ n >> 27) * 0x94d049bb133111ebu;
    return n ^ n >> 31;
}

/* ---- the client's part ----------------------------------------------------
 */

void text_client_header(struct terse_buf *out) {
    text_put(out, "<?xml version='1.0'?><stream:stream to='" TEXT_DOMAIN
                  "' version='1.0' xml:lang='en' " BOTH_NS ">");
}

static void base64(char *out, const uint8_t *p, size_t n) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                 "abcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t i = 0; i < n; i += 3) {
        uint32_t v = (uint32_t)p[i] << 16;

        v |= i + 1 < n ? (uint32_t)p[i + 1] << 8 : 0;
        v |= i + 2 < n ? p[i + 2] : 0;
        *out++ = digits[v >> 18];
        *out++ = digits[v >> 12 & 63];
        *out++ = i + 1 < n ? digits[v >> 6 & 63] : '=';
        *out++ = i + 2 < n ? digits[v & 63] : '=';
    }
    *out = '\0';
}

void text_auth(struct terse_buf *out, unsigned user) {
    uint8_t plain[64] = {0};
    char coded[96];
    int n, m;

    n = snprintf((char *)plain + 1, sizeof(plain) - 1, "bench%05u", user);
    m = snprintf((char *)plain + n + 2, sizeof(plain) - 32, "pw-bench%05u",
                 user);
    base64(coded, plain, (size_t)(n + m + 2));
    text_put(out,
             "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' "
             "mechanism='PLAIN'>%s</auth>",
             coded);
}

void text_bind(struct terse_buf *out) {
    text_put(out,
             "<iq type='set' id='b1'><bind "
             "xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>" TEXT_RESOURCE
             "</resource></bind></iq>");
}

void text_online(struct terse_buf *out) {
    text_put(out, "<iq type='get' id='r1'><query xmlns='jabber:iq:roster'/>"
                  "</iq><presence><c xmlns='http://jabber.org/protocol/caps' "
                  "hash='sha-1' node='http://conversations.im' "
                  "ver='q07IKJEyjvHSyhy//CH0CxmKi8w='/></presence>");
    text_message(out, 1, 0);
}

void text_no_archive(struct terse_buf *out) {
    text_put(out, "<iq type='set' id='p1'><prefs xmlns='urn:xmpp:mam:2' "
                  "default='never'><always/><never/></prefs></iq>");
}

void text_message(struct terse_buf *out, unsigned to, uint64_t n) {
    uint64_t a = mixed(2 * n), b = mixed(2 * n + 1);
    char id[40];

    snprintf(id, sizeof(id), "%08x-%04x-4%03x-a%03x-%012" PRIx64,
             (unsigned)(a >> 32), (unsigned)(a >> 16 & 0xffff),
             (unsigned)(a & 0xfff), (unsigned)(b >> 52), b & 0xffffffffffffu);
    text_put(out,
             "<message type='chat' to='bench%05u@" TEXT_DOMAIN "/" TEXT_RESOURCE
             "' id='%s'><body>%s</body>"
             "<active xmlns='http://jabber.org/protocol/chatstates'/>"
             "<request xmlns='urn:xmpp:receipts'/>"
             "<markable xmlns='urn:xmpp:chat-markers:0'/>"
             "<origin-id xmlns='urn:xmpp:sid:0' id='%s'/></message>",
             to, id, bodies[n % TEXT_CANNED], id);
}

/* ---- the server's part ----------------------------------------------------
 */

void text_server_header(struct terse_buf *out, const char *features) {
    text_put(out,
             "<?xml version='1.0'?><stream:stream from='" TEXT_DOMAIN
             "' id='15728640' version='1.0' xml:lang='en' " BOTH_NS
             "><stream:features>%s</stream:features>",
             features);
}

void text_roster(struct terse_buf *out, unsigned user) {
    struct text_canned message;

    text_put(out,
             "<iq type='result' id='r1' to='bench%05u@" TEXT_DOMAIN
             "/" TEXT_RESOURCE "'><query xmlns='jabber:iq:roster'>",
             user);
    for (unsigned i = 0; i < TEXT_CONTACTS; i++)
        text_put(out,
                 "<item jid='contact%u@" TEXT_DOMAIN "' subscription='both'/>",
                 i);
    text_put(out, "</query></iq>");
    for (unsigned i = 0; i < TEXT_CONTACTS; i++)
        text_put(out,
                 "<presence from='contact%u@" TEXT_DOMAIN
                 "/phone' to='bench%05u@" TEXT_DOMAIN "/" TEXT_RESOURCE
                 "'><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' "
                 "node='http://conversations.im' "
                 "ver='%02uPJvkCyYyTGXD4lkLTwKmXPaY='/></presence>",
                 i, user, i);
    text_can(&message, user % TEXT_CANNED);
    text_serve(out, &message, user, user);
    terse_buf_fini(&message.xml);
}

static size_t find_all(const struct terse_buf *xml, const char *mark,
                       size_t *at, size_t most) {
    const char *p = (const char *)terse_buf_data(xml), *hit = p;
    size_t n = 0;

    while ((hit = strstr(hit, mark))) {
        if (n == most)
            die("a canned message has too many marks");
        at[n++] = (size_t)(hit - p);
        hit += strlen(mark);
    }
    return n;
}

void text_can(struct text_canned *canned, unsigned i) {
    *canned = (struct text_canned){0};
    terse_buf_init(&canned->xml, 4096);
    text_put(&canned->xml,
             "<message xml:lang='en' to='bench" USER_MARK "@" TEXT_DOMAIN
             "/" TEXT_RESOURCE "' from='friend" USER_MARK "@" TEXT_DOMAIN
             "/phone.a3' type='chat' id='a1b2c3d4" ID_MARK "e5f60718'>"
             "<archived by='bench" USER_MARK "@" TEXT_DOMAIN
             "' id='1795327750820596' xmlns='urn:xmpp:mam:tmp'/>"
             "<stanza-id by='bench" USER_MARK "@" TEXT_DOMAIN
             "' id='1795327750820596' xmlns='urn:xmpp:sid:0'/>"
             "<request xmlns='urn:xmpp:receipts'/>"
             "<markable xmlns='urn:xmpp:chat-markers:0'/>"
             "<origin-id xmlns='urn:xmpp:sid:0' id='a1b2c3d4" ID_MARK
             "e5f60718'/>"
             "<active xmlns='http://jabber.org/protocol/chatstates'/>"
             "<body>%s</body></message>",
             bodies[i]);
    text_add(&canned->xml, "", 1); /* ends the string for strstr */
    canned->n_ids = find_all(&canned->xml, ID_MARK, canned->ids, 4);
    canned->n_users = find_all(&canned->xml, USER_MARK, canned->users, 8);
    canned->xml.len--;
}

static void digits(uint8_t *p, size_t n, uint64_t v, unsigned base) {
    while (n-- > 0) {
        p[n] = (uint8_t) "0123456789abcdef"[v % base];
        v /= base;
    }
}

void text_serve(struct terse_buf *out, const struct text_canned *canned,
                unsigned user, uint64_t n) {
    uint8_t *p;
    uint64_t id = mixed(n);

    text_add(out, terse_buf_data(&canned->xml), canned->xml.len);
    p = out->data + out->off + out->len - canned->xml.len;
    for (size_t i = 0; i < canned->n_users; i++)
        digits(p + canned->users[i], sizeof(USER_MARK) - 1, user, 10);
    for (size_t i = 0; i < canned->n_ids; i++)
        digits(p + canned->ids[i], sizeof(ID_MARK) - 1, id, 16);
}
