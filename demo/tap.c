/*
 * tap.c: stands on the wire between clients and tersed, passes every byte on as
 * it is, and shows each frame that passes beside the XML that it stands for.
 * At SIGTERM: a table per kind of stanza, against XML and against zlib.
 *
 *   demo-tap HOST:PORT-OF-TERSED NAME=PORT...   one port for each client
 *
 * XML bytes are those of the element as tersed writes it to the server; zlib is
 * one stream of that XML for each client and direction, at level 9, with a sync
 * flush after each element, as XEP-0138 does it.
 */
#include "codec/terse.h"

#include <errno.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <wchar.h>
#include <zlib.h>

#define NS_SASL "urn:ietf:params:xml:ns:xmpp-sasl"
#define NS_SASL2 "urn:xmpp:sasl:2"
#define NS_SM "urn:xmpp:sm:3"
#define NS_MUC "http://jabber.org/protocol/muc"
#define NS_MUC_USER "http://jabber.org/protocol/muc#user"
#define NS_STATES "http://jabber.org/protocol/chatstates"
#define NS_RECEIPTS "urn:xmpp:receipts"
#define NS_INVITE "jabber:x:conference"

enum { CLIENTS = 8, READ = 16384, PREFACE = 4, XML_MAX = 8 << 20 };

enum kind {
    KIND_STREAM,
    KIND_LOGIN,
    KIND_BIND,
    KIND_ROSTER,
    KIND_DISCO,
    KIND_PRESENCE,
    KIND_ROOM,
    KIND_CHAT,
    KIND_STATE,
    KIND_RECEIPT,
    KIND_GROUP,
    KIND_MESSAGE,
    KIND_IQ,
    KIND_ACK,
    KIND_OTHER,
    KINDS
};

static const char *const kind_names[KINDS] = {
    [KIND_STREAM] = "stream, features",
    [KIND_LOGIN] = "login (SASL)",
    [KIND_BIND] = "bind, session",
    [KIND_ROSTER] = "roster",
    [KIND_DISCO] = "discovery",
    [KIND_PRESENCE] = "presence",
    [KIND_ROOM] = "presence in room",
    [KIND_CHAT] = "chat",
    [KIND_STATE] = "chat state",
    [KIND_RECEIPT] = "receipt",
    [KIND_GROUP] = "group chat",
    [KIND_MESSAGE] = "other message",
    [KIND_IQ] = "other iq",
    [KIND_ACK] = "acknowledgement",
    [KIND_OTHER] = "other",
};

struct sums {
    size_t n, xml, frame, zlib;
};

/* One direction of one connection. */
struct flow {
    const char *name;
    bool out; /* from the client */
    int from, to;
    size_t skip; /* of the preface, still to come */
    uint8_t *data;
    size_t len, cap;
    bool opened;
    /* The end that sends here, and the one that hears: both remember what the
     * real ones do, since they see the same frames. */
    struct terse_peer *sender, *hearer;
    struct terse_reader *reader;
    z_stream z;
    /* Of the frame at hand. */
    enum kind kind;
    char summary[256];
};

struct client {
    const char *name;
    int listener;
    bool live;
    struct terse_peer *ends[2]; /* the client's, tersed's */
    struct flow flows[2];
};

static struct client clients[CLIENTS];
static size_t n_clients;
static struct terse_schema *schema;
static struct sums sums[KINDS];
static size_t framing_bytes;
static bool color, broken;
static int columns = 88;
static volatile sig_atomic_t stopping;

static void die(const char *what) {
    fprintf(stderr, "demo-tap: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* ---- what an element says, in a few words ---------------------------------
 */

static bool eq(struct terse_str s, const char *text) {
    return s.n == strlen(text) && memcmp(s.p, text, s.n) == 0;
}

static struct terse_str attr(const struct terse_node *node, const char *name) {
    struct terse_str s = {"", 0};

    (void)terse_node_attr(node, "", name, &s);
    return s;
}

/* The first child {ns}name; of any name if that is NULL. */
static struct terse_node *child(const struct terse_node *node, const char *ns,
                                const char *name) {
    struct terse_node *c = terse_node_child(node);

    for (; c; c = terse_node_next(c))
        if (eq(terse_node_ns(c), ns) && (!name || eq(terse_node_name(c), name)))
            return c;
    return NULL;
}

/* Adds a word to the summary: before, s, after. */
static void say(struct flow *flow, const char *before, struct terse_str s,
                const char *after) {
    size_t have = strlen(flow->summary);

    snprintf(flow->summary + have, sizeof(flow->summary) - have, "%s%s%.*s%s",
             have ? " " : "", before, (int)s.n, s.n ? s.p : "", after);
}

static void word(struct flow *flow, const char *text) {
    say(flow, text, (struct terse_str){"", 0}, "");
}

/* "alice" of alice@example.net/phone and of room@conference.…/alice. */
static struct terse_str nick(struct terse_str jid) {
    static const char room[] = "@conference.";
    const char *at = jid.n ? memchr(jid.p, '@', jid.n) : NULL;
    const char *slash = jid.n ? memchr(jid.p, '/', jid.n) : NULL;

    if (slash && memmem(jid.p, jid.n, room, strlen(room)))
        return (struct terse_str){slash + 1,
                                  jid.n - (size_t)(slash + 1 - jid.p)};
    if (at)
        jid.n = (size_t)(at - jid.p);
    return jid;
}

static void see_text(struct flow *flow, const struct terse_node *node,
                     const char *name) {
    struct terse_node *c = child(node, TERSE_NS_CLIENT, name);
    struct terse_str text;

    if (c && terse_node_text(c, &text) && text.n)
        say(flow, "“", text, "”");
}

static void see_message(struct flow *flow, const struct terse_node *node) {
    bool body = child(node, TERSE_NS_CLIENT, "body");
    struct terse_node *state = child(node, NS_STATES, NULL);
    bool receipt = child(node, NS_RECEIPTS, "received");
    struct terse_str lang;

    flow->kind = body ? KIND_CHAT : state ? KIND_STATE : KIND_MESSAGE;
    if (receipt)
        flow->kind = KIND_RECEIPT;
    if (eq(attr(node, "type"), "groupchat") || child(node, NS_INVITE, NULL) ||
        child(node, NS_MUC_USER, NULL))
        flow->kind = KIND_GROUP;
    if (body && terse_node_attr(node, TERSE_NS_XML, "lang", &lang))
        say(flow, "", lang, "");
    see_text(flow, node, "subject");
    see_text(flow, node, "body");
    if (state && !body)
        say(flow, "", terse_node_name(state), "");
    if (receipt)
        word(flow, "delivered");
    if (child(node, NS_INVITE, NULL))
        word(flow, "invitation");
}

static void see_presence(struct flow *flow, const struct terse_node *node) {
    struct terse_node *show = child(node, TERSE_NS_CLIENT, "show");
    struct terse_str who = attr(node, flow->out ? "to" : "from");
    struct terse_str text = attr(node, "type");

    flow->kind = child(node, NS_MUC, NULL) || child(node, NS_MUC_USER, NULL)
                     ? KIND_ROOM
                     : KIND_PRESENCE;
    if (who.n)
        say(flow, flow->out ? "to " : "", nick(who), ":");
    if (text.n)
        say(flow, "", text, "");
    else
        word(flow, "available");
    if (show && terse_node_text(show, &text))
        say(flow, "", text, "");
    see_text(flow, node, "status");
}

/* What is peculiar about a namespace. */
static struct terse_str last_part(struct terse_str ns) {
    static const char *const heads[] = {
        "http://jabber.org/protocol/",
        "urn:ietf:params:xml:ns:", "urn:xmpp:", "jabber:iq:"};

    for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
        size_t n = strlen(heads[i]);

        if (ns.n > n && memcmp(ns.p, heads[i], n) == 0)
            return (struct terse_str){ns.p + n, ns.n - n};
    }
    return ns;
}

static void see_iq(struct flow *flow, const struct terse_node *node) {
    static const struct {
        const char *in; /* part of the namespace */
        enum kind kind;
    } kinds[] = {{"xmpp-bind", KIND_BIND},
                 {"xmpp-session", KIND_BIND},
                 {"jabber:iq:roster", KIND_ROSTER},
                 {"/disco#", KIND_DISCO},
                 {NS_MUC, KIND_GROUP}};
    const struct terse_node *payload = terse_node_child(node);
    struct terse_str ns;

    flow->kind = KIND_IQ;
    say(flow, "", attr(node, "type"), "");
    if (!payload)
        return;
    if (terse_node_is(payload, TERSE_NS_CLIENT, "error")) {
        payload = terse_node_child(payload);
        say(flow, "", payload ? terse_node_name(payload) : attr(node, ""), "");
        return;
    }
    ns = terse_node_ns(payload);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (memmem(ns.p, ns.n, kinds[i].in, strlen(kinds[i].in)))
            flow->kind = kinds[i].kind;
    say(flow, "", last_part(ns), "");
}

static void see_other(struct flow *flow, const struct terse_node *node) {
    struct terse_str ns = terse_node_ns(node);

    flow->kind = eq(ns, NS_SASL) || eq(ns, NS_SASL2) ? KIND_LOGIN
                 : eq(ns, NS_SM)                     ? KIND_ACK
                 : eq(ns, TERSE_NS_STREAM)           ? KIND_STREAM
                                                     : KIND_OTHER;
    say(flow, "", terse_node_name(node), "");
    if (attr(node, "mechanism").n)
        say(flow, "", attr(node, "mechanism"), "");
}

static enum terse_err on_event(void *arg, enum terse_event event,
                               struct terse_node *node) {
    struct flow *flow = arg;

    flow->kind = KIND_STREAM;
    if (event == TERSE_OPEN)
        word(flow, "open");
    else if (terse_node_is(node, TERSE_NS_CLIENT, "message"))
        see_message(flow, node);
    else if (terse_node_is(node, TERSE_NS_CLIENT, "presence"))
        see_presence(flow, node);
    else if (terse_node_is(node, TERSE_NS_CLIENT, "iq"))
        see_iq(flow, node);
    else
        see_other(flow, node);
    return TERSE_OK;
}

/* ---- one frame
 * --------------------------------------------------------------- */

static size_t deflated(struct flow *flow, const struct terse_buf *xml) {
    uint8_t out[READ];
    size_t total = 0;

    flow->z.next_in = (Bytef *)(uintptr_t)terse_buf_data(xml);
    flow->z.avail_in = (uInt)xml->len;
    do {
        flow->z.next_out = out;
        flow->z.avail_out = sizeof(out);
        deflate(&flow->z, Z_SYNC_FLUSH);
        total += sizeof(out) - flow->z.avail_out;
    } while (flow->z.avail_out == 0);
    return total;
}

/* Prints as much of s as fits into width columns, on one line. */
static void print_cut(const char *s, int width) {
    mbstate_t state = {0};
    wchar_t c;

    while (*s) {
        size_t n = mbrtowc(&c, s, strlen(s), &state);
        int w;

        if (n == 0 || n > 4)
            return; /* cut within a character, by summary's size */
        w = wcwidth(c);
        if (w > width - 1) {
            fputs("…", stdout);
            return;
        }
        if (w >= 0)
            fwrite(s, 1, n, stdout);
        width -= w > 0 ? w : 0;
        s += n;
    }
}

static void print_line(const struct flow *flow, size_t xml, size_t frame) {
    const char *on = flow->out ? "\033[36m" : "\033[33m";

    printf("%s%-6.6s%s %-17s%6zu%7zu%5.0f%%%s  ", color ? on : "", flow->name,
           flow->out ? "→" : "←", kind_names[flow->kind], xml, frame,
           100.0 * (double)frame / (double)(xml ? xml : 1),
           color ? "\033[0m" : "");
    print_cut(flow->summary, columns - 45);
    putchar('\n');
    fflush(stdout);
}

static void complain(const struct flow *flow, const char *text) {
    fprintf(stderr, "demo-tap: %s %s: %s\n", flow->name, flow->out ? "→" : "←",
            text);
    broken = true;
}

/* Decodes the frame and reads the XML of it into flow->kind and summary. */
static bool understand(struct flow *flow, const uint8_t *frame, size_t n,
                       struct terse_buf *xml) {
    struct terse_frame_info info;

    flow->summary[0] = '\0';
    if (terse_frame_info(schema, frame, n, &info) ||
        terse_decode(schema, &terse_limits_default, frame, n, TERSE_IN_STREAM,
                     xml, NULL)) {
        complain(flow, "a frame that cannot be decoded");
        return false;
    }
    if (info.kind == TERSE_CLOSE) {
        flow->kind = KIND_STREAM;
        word(flow, "close");
        return true;
    }
    if (info.kind == TERSE_OPEN && flow->opened)
        terse_reader_restart(flow->reader);
    flow->opened = flow->opened || info.kind == TERSE_OPEN;
    if (terse_reader_feed(flow->reader, (const char *)terse_buf_data(xml),
                          xml->len)) {
        complain(flow, terse_reader_error(flow->reader)->text);
        return false;
    }
    return true;
}

/* What the frame is without state. */
static bool unpack(struct flow *flow, const uint8_t *frame, size_t n,
                   struct terse_buf *plain) {
    struct terse_buf again;
    struct terse_work work;
    bool ok;

    terse_work_init(&work, &terse_limits_default);
    terse_buf_init(&again, terse_limits_default.frame_bytes);
    ok = !terse_peer_unpack(flow->hearer, frame, n, &work, plain) &&
         !terse_peer_pack(flow->sender, terse_buf_data(plain), plain->len,
                          &work, &again);
    terse_buf_fini(&again);
    terse_work_fini(&work);
    if (!ok)
        complain(flow, "a frame with state that was not agreed");
    return ok;
}

static void on_frame(struct flow *flow, const uint8_t *frame, size_t n,
                     size_t header) {
    struct terse_buf xml, plain;
    struct sums *sum;

    terse_buf_init(&xml, XML_MAX);
    terse_buf_init(&plain, terse_limits_default.frame_bytes);
    if (unpack(flow, frame, n, &plain) &&
        understand(flow, terse_buf_data(&plain), plain.len, &xml)) {
        sum = &sums[flow->kind];
        sum->n++;
        sum->xml += xml.len;
        sum->frame += n;
        sum->zlib += deflated(flow, &xml);
        framing_bytes += header;
        print_line(flow, xml.len, n);
    }
    terse_buf_fini(&plain);
    terse_buf_fini(&xml);
}

/* Cuts what has come into frames: each is its length as a varint, then itself.
 */
static void cut(struct flow *flow) {
    size_t at = 0;

    for (;;) {
        size_t length = 0, i = 0;
        bool whole = false;

        while (!whole && at + i < flow->len && i < 5) {
            length |= (size_t)(flow->data[at + i] & 0x7f) << (7 * i);
            whole = !(flow->data[at + i] & 0x80);
            i++;
        }
        if (!whole || flow->len - at - i < length)
            break;
        on_frame(flow, flow->data + at + i, length, i);
        at += i + length;
    }
    if (at)
        memmove(flow->data, flow->data + at, flow->len - at);
    flow->len -= at;
}

static void keep(struct flow *flow, const uint8_t *p, size_t n) {
    size_t skip = n < flow->skip ? n : flow->skip;

    flow->skip -= skip;
    framing_bytes += skip;
    n -= skip;
    if (flow->cap - flow->len < n) {
        flow->cap = flow->len + n + READ;
        flow->data = realloc(flow->data, flow->cap);
        if (!flow->data)
            die("memory");
    }
    if (n)
        memcpy(flow->data + flow->len, p + skip, n);
    flow->len += n;
    cut(flow);
}

/* ---- the relay
 * ------------------------------------------------------------------ */

static void set_flow(struct flow *flow, const char *name, bool out, int from,
                     int to) {
    memset(flow, 0, sizeof(*flow));
    flow->name = name;
    flow->out = out;
    flow->from = from;
    flow->to = to;
    flow->skip = out ? PREFACE : 0;
    if (deflateInit(&flow->z, 9) != Z_OK ||
        terse_reader_new(&flow->reader, schema, &terse_limits_default, on_event,
                         flow))
        die("memory");
}

static void end_flow(struct flow *flow) {
    deflateEnd(&flow->z);
    terse_reader_free(flow->reader);
    free(flow->data);
    close(flow->from);
}

static void end_client(struct client *client) {
    if (!client->live)
        return;
    end_flow(&client->flows[0]);
    end_flow(&client->flows[1]);
    terse_peer_free(client->ends[0]);
    terse_peer_free(client->ends[1]);
    client->live = false;
}

static void on_client(struct client *client, const struct sockaddr_in *tersed) {
    int fd = accept(client->listener, NULL, NULL);
    int up = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || up < 0 || client->live || /* one at a time */
        connect(up, (const void *)tersed, sizeof(*tersed))) {
        close(fd);
        close(up);
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    setsockopt(up, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    client->live = true;
    for (int i = 0; i < 2; i++)
        if (terse_peer_new(&client->ends[i], schema,
                           &terse_state_limits_default, i == 0))
            die("memory");
    set_flow(&client->flows[0], client->name, true, fd, up);
    set_flow(&client->flows[1], client->name, false, up, fd);
    client->flows[0].sender = client->flows[1].hearer = client->ends[0];
    client->flows[0].hearer = client->flows[1].sender = client->ends[1];
}

/* False: the connection is over. */
static bool on_bytes(struct flow *flow) {
    uint8_t bytes[READ];
    ssize_t n = recv(flow->from, bytes, sizeof(bytes), 0);

    if (n <= 0)
        return false;
    keep(flow, bytes, (size_t)n);
    for (ssize_t at = 0, sent; at < n; at += sent) {
        sent = send(flow->to, bytes + at, (size_t)(n - at), MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
    }
    return true;
}

static void serve(struct client *client, const struct pollfd *fds,
                  const struct sockaddr_in *tersed) {
    for (int i = 0; i < 2 && client->live; i++)
        if (fds[1 + i].revents && !on_bytes(&client->flows[i]))
            end_client(client);
    if (fds[0].revents)
        on_client(client, tersed);
}

static void relay(const struct sockaddr_in *tersed) {
    struct pollfd fds[3 * CLIENTS];
    sigset_t none;

    sigemptyset(&none);
    while (!stopping) {
        for (size_t i = 0; i < n_clients; i++) {
            struct client *c = &clients[i];

            fds[3 * i] = (struct pollfd){c->listener, POLLIN, 0};
            for (size_t k = 0; k < 2; k++)
                fds[3 * i + 1 + k] =
                    (struct pollfd){c->live ? c->flows[k].from : -1, POLLIN, 0};
        }
        if (ppoll(fds, 3 * n_clients, NULL, &none) < 0)
            continue;
        for (size_t i = 0; i < n_clients; i++)
            serve(&clients[i], fds + 3 * i, tersed);
    }
}

/* ---- the table
 * --------------------------------------------------------------------- */

static void print_row(const char *name, const struct sums *s) {
    printf("  %-18s%6zu%9zu%9zu%9zu%9.0f%%%9.0f%%\n", name, s->n, s->xml,
           s->zlib, s->frame, 100.0 * (double)s->frame / (double)s->xml,
           100.0 * (double)s->frame / (double)s->zlib);
}

static void print_table(void) {
    struct sums all = {0};

    printf("\n  %-18s%6s%9s%9s%9s%10s%10s\n", "", "number", "XML", "zlib -9",
           "frames", "of XML", "of zlib");
    for (int k = 0; k < KINDS; k++) {
        if (!sums[k].n)
            continue;
        print_row(kind_names[k], &sums[k]);
        all.n += sums[k].n;
        all.xml += sums[k].xml;
        all.zlib += sums[k].zlib;
        all.frame += sums[k].frame;
    }
    if (!all.n) {
        fprintf(stderr, "demo-tap: nothing passed\n");
        broken = true;
        return;
    }
    printf("%s", color ? "\033[1m" : "");
    print_row("total", &all);
    printf(
        "%s\n  Bytes. Lengths around the frames add %zu to them, %.1f each.\n",
        color ? "\033[0m" : "", framing_bytes,
        (double)framing_bytes / (double)all.n);
}

/* ---- start
 * -------------------------------------------------------------------------- */

static void on_signal(int sig) {
    (void)sig;
    stopping = 1;
}

static void add_client(char *argument) {
    struct sockaddr_in sa = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char *port = strchr(argument, '=');
    struct client *c = &clients[n_clients];

    if (!port || ++n_clients > CLIENTS) {
        fprintf(stderr, "demo-tap: NAME=PORT, up to %d\n", CLIENTS);
        exit(2);
    }
    *port++ = '\0';
    c->name = argument;
    sa.sin_port = htons((uint16_t)atoi(port));
    c->listener =
        socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    setsockopt(c->listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (c->listener < 0 || bind(c->listener, (void *)&sa, sizeof(sa)) ||
        listen(c->listener, 4))
        die(port);
}

static void prepare(void) {
    struct sigaction action = {.sa_handler = on_signal};
    struct winsize size;
    sigset_t set;

    setlocale(LC_CTYPE, "C.UTF-8");
    color = isatty(STDOUT_FILENO) && !getenv("NO_COLOR");
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col)
        columns = size.ws_col < 80 ? 80 : size.ws_col > 100 ? 100 : size.ws_col;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL); /* but for ppoll */
    sigaction(SIGTERM, &action, NULL);
    if (terse_schema_new(&schema))
        die("schema");
}

int main(int argc, char **argv) {
    struct sockaddr_in tersed = {.sin_family = AF_INET};
    char *port = argc > 2 ? strchr(argv[1], ':') : NULL;

    if (!port) {
        fprintf(stderr, "usage: demo-tap HOST:PORT NAME=PORT...\n");
        return 2;
    }
    *port++ = '\0';
    tersed.sin_port = htons((uint16_t)atoi(port));
    if (inet_pton(AF_INET, argv[1], &tersed.sin_addr) != 1)
        die(argv[1]);
    prepare();
    for (int i = 2; i < argc; i++)
        add_client(argv[i]);
    printf("%-25s%6s%7s\n", "", "XML", "frame");
    fflush(stdout);
    fprintf(stderr, "listening\n");
    relay(&tersed);
    print_table();
    for (size_t i = 0; i < n_clients; i++) {
        end_client(&clients[i]);
        close(clients[i].listener);
    }
    terse_schema_free(schema);
    return broken;
}
