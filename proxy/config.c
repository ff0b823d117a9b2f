/* config.c: see config.h. */
#include "proxy/config.h"

#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <ini.h>

#include "bridge/log.h"
#include "proxy/door.h"

enum row_type {
    ROW_STRING,   /* char * */
    ROW_FILE,     /* char *: a path */
    ROW_ADDRESS,  /* char *: host[:port] */
    ROW_ADMIN,    /* char *: 127.x.x.x:port or [::1]:port */
    ROW_LISTEN,   /* into config.listen: one address per line */
    ROW_CHOICE,   /* uint32_t: index into choices */
    ROW_NUMBER,   /* uint32_t */
    ROW_BYTES,    /* uint32_t: with k or M */
    ROW_DURATION, /* uint32_t ms: with ms, s or m */
};

struct config_row {
    const char *name;
    enum row_type type;
    const char *def; /* as it would stand in the file; NULL: none */
    bool reloadable;
    size_t offset;
    uint32_t min, max;
    const char *const *choices;
    const char *help;
};

static const char *const tls_names[] = {"starttls", "direct", "any", NULL};
static const char *const starttls_names[] = {"required", "optional", "off",
                                             NULL};

static const char *const proxy_names[] = {"off", "v1", "v2", NULL};
static const char *const switch_names[] = {"on", "off", NULL};
static const char *const clear_names[] = {"loopback", "on", "off", NULL};

#define AT(member) offsetof(struct config, member)
#define DOMAIN_AT(member) offsetof(struct config_domain, member)
#define MINUTE 60000
#define HOUR (60 * MINUTE)

/* name, type, default, reloadable, where, least, most, choices, help */
static const struct config_row config_rows[] = {
    {"listen", ROW_LISTEN, "127.0.0.1:5333", false, AT(listen), 0, 0, NULL,
     "Address and port for clients, `*:5333` for all addresses; may be given\n"
     "up to 16 times. TLS or not, and the bindings, are told apart on one\n"
     "port."},
    {"certificate", ROW_FILE, NULL, true, AT(certificate), 0, 0, NULL,
     "PEM file of the certificate, with its chain, that is shown to clients;\n"
     "read again on SIGHUP. A domain may have its own; a client that names\n"
     "none of them gets this one, or else that of the first domain."},
    {"key", ROW_FILE, NULL, true, AT(key), 0, 0, NULL,
     "PEM file of its private key; default: in the file of the certificate."},
    {"ticket_secret", ROW_FILE, NULL, true, AT(ticket_secret), 0, 0, NULL,
     "File of 32 random bytes or more, from which the keys of TLS tickets are\n"
     "made: they outlive a restart then, and are good at other proxies with "
     "the\n"
     "same file. Whoever reads it can read the past; give it to nobody, and\n"
     "change it at times. Default: keys in memory."},
    {"clear", ROW_CHOICE, "loopback", true, AT(clear), 0, 0, clear_names,
     "Which clients may do without TLS: those that connect from this\n"
     "machine (loopback; behind a load balancer, whoever its header says),\n"
     "all (on: passwords and texts can be read on the way), or none (off)."},
    {"native", ROW_CHOICE, "on", true, AT(native), 0, 0, switch_names,
     "Native framing, of libterse-client and terse-agent: on or off."},
    {"sp", ROW_CHOICE, "on", true, AT(sp), 0, 0, switch_names,
     "Framing of nng's and nanomsg's pair0 sockets: on or off."},
    {"websocket", ROW_CHOICE, "on", true, AT(websocket), 0, 0, switch_names,
     "WebSocket, subprotocols terse.v1 and pair.sp.nanomsg.org: on or off."},
    {"ws_path", ROW_STRING, "/terse", true, AT(ws_path), 0, 0, NULL,
     "Path of WebSocket's URL."},
    {"ws_origins", ROW_STRING, NULL, true, AT(ws_origins), 0, 0, NULL,
     "Web sites whose pages may connect, separated by blanks, such as\n"
     "`https://chat.example.org`; `*`: all. Default: none. Programs that are\n"
     "no browsers send no origin, and may."},
    {"proxy_protocol_from", ROW_STRING, NULL, true, AT(proxy_protocol_from), 0,
     0, NULL,
     "Addresses of load balancers, `192.0.2.4 2001:db8:1::/48`. A connection\n"
     "from there has to begin with a PROXY protocol header, version 1 or 2,\n"
     "and whom that names is the client, to limits and in the log."},
    {"handshake_timeout", ROW_DURATION, "10s", true, AT(handshake_timeout), 100,
     HOUR, NULL, "Time for TLS and the first bytes of a binding."},
    {"log_level", ROW_CHOICE, "info", true, AT(log_level), 0, 0,
     log_level_names, "What is logged: error, warn, info or debug."},
    {"dns_servers", ROW_STRING, NULL, false, AT(dns_servers), 0, 0, NULL,
     "Name servers for SRV and addresses, `192.0.2.53,[2001:db8::1]:5353`.\n"
     "Default: those of the system."},
    {"max_connections", ROW_NUMBER, "10000", true, AT(max_connections), 1,
     10000000, NULL, "Clients at a time; more are hung up on."},
    {"max_per_address", ROW_NUMBER, "1000", true, AT(max_per_address), 1,
     10000000, NULL,
     "Clients at a time from one address; of IPv6, from one /64."},
    {"connect_rate", ROW_NUMBER, "100", true, AT(connect_rate), 1, 1000000,
     NULL,
     "New clients per second from one address; ten times as many at\n"
     "once. What is over it is hung up on."},
    {"memory", ROW_BYTES, "1024M", true, AT(memory), 1048576, UINT32_MAX, NULL,
     "Bytes that all queues and half-read stanzas may take together. Over\n"
     "it, who holds most is sent away, and new clients are hung up on."},
    {"login_bytes", ROW_BYTES, "64k", true, AT(login_bytes), 1024, 16777216,
     NULL,
     "Bytes that a client may send before it is logged in, and of its frames\n"
     "when they are unpacked."},
    {"login_timeout", ROW_DURATION, "60s", true, AT(login_timeout), 100, HOUR,
     NULL, "Time from connecting to being logged in."},
    {"stanza_rate", ROW_NUMBER, "1000", true, AT(stanza_rate), 1, 1000000, NULL,
     "Stanzas per second from one client. Over it, the client is read more\n"
     "slowly; nothing is lost."},
    {"stanza_burst", ROW_NUMBER, "5000", true, AT(stanza_burst), 1, 10000000,
     NULL, "Stanzas at once, after a while of silence."},
    {"byte_rate", ROW_BYTES, "4M", true, AT(byte_rate), 256, 1073741824, NULL,
     "The same for bytes per second, of frames as they are when unpacked."},
    {"byte_burst", ROW_BYTES, "16M", true, AT(byte_burst), 1024, 1073741824,
     NULL, "Bytes at once, after a while of silence."},
    {"flood_timeout", ROW_DURATION, "5m", true, AT(flood_timeout), 100, HOUR,
     NULL,
     "Time that a client may be slowed down without ever being quiet\n"
     "for as long as its burst takes; then it is refused."},
    {"heartbeat", ROW_DURATION, "5m", true, AT(heartbeat), 100, 24 * HOUR, NULL,
     "Silence after which a client that can answer is asked whether it is\n"
     "still there. A client may ask for less, or for up to four times this.\n"
     "And silence of a server after which it is sent <r/>, or a space."},
    {"heartbeat_timeout", ROW_DURATION, "30s", true, AT(heartbeat_timeout), 100,
     HOUR, NULL, "Time for the answer; then it counts as lost."},
    {"ack_delay", ROW_DURATION, "3s", true, AT(ack_delay), 0, MINUTE, NULL,
     "Time for which an acknowledgement (XEP-0198) waits for a frame that\n"
     "goes to the client anyway. What a client asks for does not wait; what\n"
     "is only for chat states, receipts and markers waits for ack_timeout."},
    {"gather", ROW_DURATION, "20ms", true, AT(gather), 0, 1000, NULL,
     "Time for which receipts, markers, chat states and presence wait for\n"
     "each other, or for anything else, to leave in one packet; to clients\n"
     "that logged in by XEP-0388. 0s: they do not wait."},
    {"ack_timeout", ROW_DURATION, "60s", true, AT(ack_timeout), 100, HOUR, NULL,
     "Silence after which a client that acknowledges by itself is asked to;\n"
     "others are asked after ack_delay."},
    {"sasl2", ROW_CHOICE, "on", true, AT(sasl2), 0, 0, switch_names,
     "Offers XEP-0388, with what goes with it, to clients of servers that do\n"
     "not: on or off. Without it, nothing is held."},
    {"hold", ROW_DURATION, "10m", true, AT(hold), 0, 24 * HOUR, NULL,
     "Time for which the session of a client that was lost is kept for it.\n"
     "Then it is the server's to keep. 0s: not at all."},
    {"hold_stanzas", ROW_NUMBER, "1000", true, AT(hold_stanzas), 1, 1000000,
     NULL,
     "Stanzas that are kept for a client until it has acknowledged them.\n"
     "When it is lost, the server is read no more at that."},
    {"hold_bytes", ROW_BYTES, "256k", true, AT(hold_bytes), 1024, 67108864,
     NULL, "The same in bytes."},
    {"location", ROW_STRING, NULL, true, AT(location), 0, 0, NULL,
     "Where clients reach this very tersed, `one.example.net:5351`, if a load\n"
     "balancer stands before several: they are told so (XEP-0198, "
     "<enabled/>),\n"
     "since it alone holds their sessions and knows their tokens."},
    {"token_lifetime", ROW_DURATION, "1440m", true, AT(token_lifetime), 100,
     24 * HOUR, NULL,
     "Time for which a client may come back by a token (XEP-0484), if its\n"
     "session is still kept. Each is good for one time."},
    {"coalesce", ROW_DURATION, "60s", true, AT(coalesce), 0, HOUR, NULL,
     "Time for which presence, chat states and acknowledgements wait for a\n"
     "frame that may not, while the client is inactive (XEP-0352); 0s: they\n"
     "do not wait. A client may ask for less, never for more."},
    {"coalesce_bytes", ROW_BYTES, "8k", true, AT(coalesce_bytes), 0, 1048576,
     NULL, "Bytes of them that may wait; likewise."},
    {"connect_timeout", ROW_DURATION, "15s", true, AT(connect_timeout), 100,
     HOUR, NULL, "Time to find and reach the XMPP server."},
    {"negotiate_timeout", ROW_DURATION, "15s", true, AT(negotiate_timeout), 100,
     HOUR, NULL, "Time for each step with the server: header, features, TLS."},
    {"stall_timeout", ROW_DURATION, "60s", true, AT(stall_timeout), 100, HOUR,
     NULL, "Time in which a full write queue has to move at all."},
    {"close_timeout", ROW_DURATION, "5s", true, AT(close_timeout), 100, HOUR,
     NULL, "Time for the other side to close, too."},
    {"drain_timeout", ROW_DURATION, "10s", true, AT(drain_timeout), 100, HOUR,
     NULL, "Time for clients to leave after SIGTERM."},
    {"write_queue", ROW_BYTES, "256k", true, AT(write_queue), 4096, 16777216,
     NULL, "Bytes waiting for one side at which the other is no longer read."},
    {"stanza_bytes", ROW_BYTES, "1M", true, AT(limits.stanza_bytes), 1024,
     67108864, NULL, "XML bytes of one stanza."},
    {"frame_bytes", ROW_BYTES, "1M", true, AT(limits.frame_bytes), 1024,
     67108864, NULL, "Bytes of one frame."},
    {"elements", ROW_NUMBER, "20000", true, AT(limits.elements), 16, 1000000,
     NULL, "Elements in one stanza."},
    {"attributes", ROW_NUMBER, "128", true, AT(limits.attributes), 16, 65536,
     NULL, "Attributes of one element."},
    {"depth", ROW_NUMBER, "64", true, AT(limits.depth), 4, 256, NULL,
     "Depth of nesting of one stanza."},
    {"text_bytes", ROW_BYTES, "1M", true, AT(limits.text_bytes), 1024, 67108864,
     NULL, "Bytes of one attribute value or run of text."},
    {"name_bytes", ROW_BYTES, "1024", true, AT(limits.name_bytes), 64, 65536,
     NULL, "Bytes of one name or namespace name."},
    {"admin", ROW_ADMIN, NULL, false, AT(admin), 0, 0, NULL,
     "Loopback address and port for /metrics, /healthz, /readyz, /sessions\n"
     "over HTTP, `127.0.0.1:9333`. Default: none."},
    {"state_slots", ROW_NUMBER, "48", true, AT(state.slots), 0, 192, NULL,
     "Strings in slots that a connection remembers of what the server sends, "
     "so\n"
     "that frames need not repeat them; 0: none. Of what the client sends it\n"
     "remembers less."},
    {"state_templates", ROW_NUMBER, "64", true, AT(state.templates), 0, 128,
     NULL, "Stanzas that it remembers; 0: none."},
    {"state_journal", ROW_NUMBER, "32", true, AT(state.journal), 0, 46, NULL,
     "Ids that it remembers until they are answered; 0: none."},
    {"state_bytes", ROW_BYTES, "20000", true, AT(state.bytes), 0, 1048576, NULL,
     "Bytes of all that it remembers but ids."},
};

static const struct config_row domain_rows[] = {
    {"server", ROW_ADDRESS, NULL, true, DOMAIN_AT(server), 0, 0, NULL,
     "Address of its XMPP server, `host:port` (port 5222 if left out, 5223\n"
     "with tls = direct). Default: what DNS says, SRV _xmpp-client._tcp or\n"
     "_xmpps-client._tcp, then the domain itself."},
    {"tls", ROW_CHOICE, "starttls", true, DOMAIN_AT(tls_how), 0, 0, tls_names,
     "starttls: the stream begins in clear. direct: TLS from the first byte\n"
     "(XEP-0368). any: direct where SRV _xmpps-client._tcp says where and it\n"
     "answers there, else starttls; without `server =` only."},
    {"starttls", ROW_CHOICE, "required", true, DOMAIN_AT(starttls), 0, 0,
     starttls_names,
     "required: TLS, with a certificate for this domain, or nothing.\n"
     "optional: only if the server offers it; whoever is in between can\n"
     "take the offer away. off: plain text, for a server on this machine."},
    {"ca_file", ROW_FILE, NULL, true, DOMAIN_AT(ca_file), 0, 0, NULL,
     "PEM file of the authorities to trust instead of the system's."},
    {"send_proxy", ROW_CHOICE, "off", true, DOMAIN_AT(send_proxy), 0, 0,
     proxy_names,
     "Tells the server the client's address by a PROXY protocol header of\n"
     "this version (v1, v2): its listener has to expect one, in ejabberd by\n"
     "use_proxy_protocol: true."},
    {"certificate", ROW_FILE, NULL, true, DOMAIN_AT(certificate), 0, 0, NULL,
     "PEM file of the certificate for clients that name this domain (SNI)."},
    {"key", ROW_FILE, NULL, true, DOMAIN_AT(key), 0, 0, NULL,
     "PEM file of its private key; default: in the file of the certificate."},
};

#define N_ROWS (sizeof(config_rows) / sizeof(config_rows[0]))
#define N_DOMAIN_ROWS (sizeof(domain_rows) / sizeof(domain_rows[0]))
_Static_assert(N_ROWS <= 64, "a bit of parser.seen for each");

/* ---- life ------------------------------------------------------------------
 */

static void domain_free(struct config_domain *domain) {
    net_tls_rele(domain->tls);
    free(domain->name);
    free(domain->server);
    free(domain->ca_file);
    free(domain->certificate);
    free(domain->key);
    free(domain);
}

void config_hold(struct config *config) { atomic_fetch_add(&config->refs, 1); }

void config_rele(struct config *config) {
    struct config_domain *next;

    if (!config || atomic_fetch_sub(&config->refs, 1) != 1)
        return;
    for (size_t i = 0; i < config->n_listen; i++)
        free(config->listen[i]);
    for (struct config_domain *d = config->domains; d; d = next) {
        next = d->next;
        domain_free(d);
    }
    net_tls_rele(config->tls);
    free(config->certificate);
    free(config->ticket_secret);
    free(config->location);
    free(config->key);
    free(config->ws_path);
    free(config->ws_origins);
    free(config->proxy_protocol_from);
    free(config->balancers);
    free(config->admin);
    free(config->dns_servers);
    free(config);
}

struct config_domain *config_find(const struct config *config,
                                  const char *name) {
    struct config_domain *d = config->domains;

    while (d && strcasecmp(d->name, name) != 0)
        d = d->next;
    return d;
}

/* ---- values ----------------------------------------------------------------
 */

struct parser {
    struct config *config;
    struct config_domain *domain; /* of the section we are in */
    bool in_main, in_unknown;
    const char *path;
    FILE *file, *complaints;
    int line;
    bool midline; /* the last read ended within a line */
    unsigned errors;
    uint64_t seen; /* rows of this section that have a value, a bit each */
};

static bool complain(struct parser *p, const char *what, const char *value) {
    fprintf(p->complaints, "%s:%d: %s%s%s%s\n", p->path, p->line, what,
            value ? " (" : "", value ? value : "", value ? ")" : "");
    p->errors++;
    return false;
}

static bool scale(enum row_type type, const char *unit, uint64_t *by) {
    static const struct {
        enum row_type type;
        const char *unit;
        uint64_t by;
    } units[] = {
        {ROW_NUMBER, "", 1},         {ROW_BYTES, "", 1},
        {ROW_BYTES, "k", 1024},      {ROW_BYTES, "M", 1048576},
        {ROW_DURATION, "ms", 1},     {ROW_DURATION, "s", 1000},
        {ROW_DURATION, "m", MINUTE},
    };

    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
        if (units[i].type == type && strcmp(units[i].unit, unit) == 0) {
            *by = units[i].by;
            return true;
        }
    return false;
}

/* NULL, or what is wrong with the value. */
static const char *parse_number(const struct config_row *row, const char *value,
                                uint32_t *out) {
    uint64_t v, by;
    char *end;

    if (!isdigit((unsigned char)*value))
        return "not a number";
    errno = 0;
    v = strtoull(value, &end, 10);
    if (errno || v > UINT32_MAX)
        return "number too large";
    if (!scale(row->type, end, &by))
        return row->type == ROW_DURATION ? "a time needs a unit: ms, s or m"
               : row->type == ROW_BYTES  ? "unknown unit: use k or M"
                                         : "not a number";
    v *= by;
    if (v < row->min || v > row->max)
        return "out of range";
    *out = (uint32_t)v;
    return NULL;
}

static const char *parse_choice(const struct config_row *row, const char *value,
                                uint32_t *out) {
    for (uint32_t i = 0; row->choices[i]; i++)
        if (strcmp(row->choices[i], value) == 0) {
            *out = i;
            return NULL;
        }
    return "not one of the choices";
}

static const char *set_string(char **out, const char *value) {
    char *copy = strdup(value);

    if (!copy)
        return "out of memory";
    free(*out);
    *out = copy;
    return NULL;
}

static const char *add_listen(struct config *config, const char *value) {
    char host[256];
    uint16_t port;

    if (net_parse_address(value, host, &port, 0))
        return "not an address with a port";
    if (config->n_listen == CONFIG_LISTENS)
        return "too many addresses to listen on";
    config->listen[config->n_listen] = strdup(value);
    return config->listen[config->n_listen++] ? NULL : "out of memory";
}

static const char *set_row(const struct config_row *row, void *base,
                           const char *value) {
    void *at = (char *)base + row->offset;
    char host[256];
    uint16_t port;

    switch (row->type) {
    case ROW_LISTEN:
        return add_listen(base, value);
    case ROW_CHOICE:
        return parse_choice(row, value, at);
    case ROW_NUMBER:
    case ROW_BYTES:
    case ROW_DURATION:
        return parse_number(row, value, at);
    case ROW_ADMIN:
        if (net_parse_address(value, host, &port, 0) ||
            (strncmp(host, "127.", 4) != 0 && strcmp(host, "::1") != 0))
            return "not a loopback address with a port";
        return set_string(at, value);
    case ROW_ADDRESS:
        if (net_parse_address(value, host, &port, 5222) || port == 0)
            return "not an address";
        return set_string(at, value);
    default:
        return *value ? set_string(at, value) : "no value";
    }
}

/* The default of an option is parsed like any other value, so that the rows
 * say it once. False: out of memory. */
static bool set_defaults(const struct config_row *rows, size_t n, void *base) {
    for (size_t i = 0; i < n; i++)
        if (rows[i].def && rows[i].type != ROW_LISTEN &&
            set_row(&rows[i], base, rows[i].def))
            return false;
    return true;
}

/* ---- the file --------------------------------------------------------------
 */

static bool add_domain(struct parser *p, const char *name) {
    struct config_domain *d, **last = &p->config->domains;
    char host[256];
    uint16_t port;

    p->domain = NULL;
    if (net_parse_address(name, host, &port, 1) || strchr(name, ':') ||
        *name == '*')
        return complain(p, "not a domain name", name);
    if (config_find(p->config, name))
        return complain(p, "domain given twice", name);
    d = calloc(1, sizeof(*d));
    if (!d || !(d->name = strdup(name)) ||
        !set_defaults(domain_rows, N_DOMAIN_ROWS, d)) {
        if (d)
            domain_free(d);
        return complain(p, "out of memory", NULL);
    }
    for (char *c = d->name; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    while (*last)
        last = &(*last)->next;
    *last = d;
    p->domain = d;
    return true;
}

/* inih cuts long section names and has no word for a section without options,
 * so sections are read here. */
static void open_section(struct parser *p, char *line) {
    char *name = line + 1, *end = strchr(line, ']');

    p->seen = 0;
    p->domain = NULL;
    p->in_main = p->in_unknown = false;
    if (!end)
        return; /* inih will complain */
    *end = '\0';
    if (strcmp(name, "tersed") == 0)
        p->in_main = true;
    else if (strncmp(name, "domain ", 7) == 0)
        p->in_unknown = !add_domain(p, name + 7 + strspn(name + 7, " \t"));
    else
        p->in_unknown = !complain(p, "unknown section", name);
    *end = ']';
}

/* Reads like fgets for inih; counts lines and looks at sections. */
static char *read_line(char *buf, int n, void *arg) {
    struct parser *p = arg;
    char *got = fgets(buf, n, p->file), *s;
    size_t len;

    if (!got)
        return NULL;
    len = strlen(got);
    if (!p->midline)
        p->line++;
    else
        complain(p, "line too long", NULL);
    p->midline = len > 0 && got[len - 1] != '\n' && !feof(p->file);
    s = got + strspn(got, " \t");
    if (*s == '[' && !isspace((unsigned char)got[0]))
        open_section(p, s);
    return got;
}

static int set_option(void *arg, const char *section, const char *name,
                      const char *value) {
    struct parser *p = arg;
    const struct config_row *rows = p->in_main ? config_rows : domain_rows;
    size_t n = p->in_main ? N_ROWS : N_DOMAIN_ROWS;
    const char *wrong;

    (void)section;
    if (p->in_unknown)
        return 1; /* complained about already */
    if (!p->in_main && !p->domain)
        return complain(p, "option before any section", name);
    for (size_t i = 0; i < n; i++) {
        char what[128];

        if (strcmp(rows[i].name, name) != 0)
            continue;
        if (rows[i].type != ROW_LISTEN && p->seen & (uint64_t)1 << i)
            return complain(p, "option given twice", name);
        p->seen |= (uint64_t)1 << i;
        wrong =
            set_row(&rows[i],
                    p->in_main ? (void *)p->config : (void *)p->domain, value);
        snprintf(what, sizeof(what), "%s: %s", name, wrong ? wrong : "");
        return wrong ? complain(p, what, value) : 1;
    }
    return complain(p, "unknown option", name);
}

/* What only the whole file can tell. */
static void finish(struct parser *p) {
    struct config *config = p->config;
    char text[256], wrong[600];

    p->line = p->line ? p->line : 1;
    if (!config->domains)
        complain(p, "no [domain …] section: nobody could log in", NULL);
    if (config->n_listen == 0 && add_listen(config, config_rows[0].def))
        complain(p, "out of memory", NULL);
    if (!door_load(config, wrong))
        complain(p, wrong, NULL);
    for (struct config_domain *d = config->domains; d; d = d->next) {
        if (d->tls_how == TLS_ANY && d->server)
            complain(p, "tls = any with `server =`: say direct or starttls",
                     d->name);
        if (d->tls_how == TLS_STARTTLS && d->starttls == STARTTLS_OFF)
            continue;
        if (net_tls_client(&d->tls, d->ca_file, text)) {
            char what[300];

            snprintf(what, sizeof(what), "domain %s: ca_file: %s", d->name,
                     text);
            complain(p, what, d->ca_file);
        }
    }
}

struct config *config_load(const char *path, FILE *complaints) {
    struct parser p = {.path = path, .complaints = complaints};
    int bad;

    p.config = calloc(1, sizeof(*p.config));
    if (p.config)
        atomic_init(&p.config->refs, 1);
    p.file = fopen(path, "re");
    if (!p.config || !p.file || !set_defaults(config_rows, N_ROWS, p.config)) {
        fprintf(complaints, "%s: %s\n", path,
                p.file ? "out of memory" : strerror(errno));
        if (p.file)
            fclose(p.file);
        config_rele(p.config);
        return NULL;
    }
    bad = ini_parse_stream(read_line, &p, set_option, &p);
    if (bad && !p.errors) {
        p.line = bad > 0 ? bad : p.line;
        complain(&p, bad > 0 ? "not `name = value`" : "out of memory", NULL);
    }
    fclose(p.file);
    finish(&p);
    if (p.errors) {
        config_rele(p.config);
        return NULL;
    }
    return p.config;
}

/* ---- reload and help
 * --------------------------------------------------------- */

static bool same_string(const char *a, const char *b) {
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_listens(const struct config *a, const struct config *b) {
    bool same = a->n_listen == b->n_listen;

    for (size_t i = 0; same && i < a->n_listen; i++)
        same = same_string(a->listen[i], b->listen[i]);
    return same;
}

bool config_needs_restart(const struct config *old, const struct config *now,
                          FILE *out) {
    bool any = false;

    for (size_t i = 0; i < N_ROWS; i++) {
        const struct config_row *row = &config_rows[i];
        const void *a = (const char *)old + row->offset;
        const void *b = (const char *)now + row->offset;
        bool same;

        if (row->reloadable)
            continue;
        if (row->type == ROW_LISTEN)
            same = same_listens(old, now);
        else
            same = same_string(*(char *const *)a, *(char *const *)b);
        if (!same)
            fprintf(out, "%s: takes effect at the next start\n", row->name);
        any |= !same;
    }
    return any;
}

static void print_help(FILE *out, const char *prefix, const char *help) {
    while (*help) {
        size_t n = strcspn(help, "\n");

        fprintf(out, "%s%.*s\n", prefix, (int)n, help);
        help += n + (help[n] == '\n');
    }
}

static void sample_rows(FILE *out, const struct config_row *rows, size_t n) {
    for (size_t i = 0; i < n; i++) {
        fputc('\n', out);
        print_help(out, "; ", rows[i].help);
        fprintf(out, "; %s =%s%s\n", rows[i].name, rows[i].def ? " " : "",
                rows[i].def ? rows[i].def : "");
    }
}

void config_sample(FILE *out) {
    fputs("; Configuration of tersed; made by `tersed --sample-config`.\n"
          "; Check it with `tersed --check FILE`. Lines that begin with `;`\n"
          "; are comments; what is commented out shows the default.\n\n"
          "[tersed]\n",
          out);
    sample_rows(out, config_rows, N_ROWS);
    fputs("\n; One section for each XMPP domain that clients may open; there\n"
          "; has to be one.\n[domain im.example.net]\n",
          out);
    sample_rows(out, domain_rows, N_DOMAIN_ROWS);
}

static void manual_rows(FILE *out, const struct config_row *rows, size_t n) {
    for (size_t i = 0; i < n; i++) {
        fprintf(out, "  %s", rows[i].name);
        if (rows[i].def)
            fprintf(out, " = %s", rows[i].def);
        fputs(rows[i].reloadable ? "\n" : "    (needs a restart)\n", out);
        print_help(out, "      ", rows[i].help);
    }
}

void config_manual(FILE *out) {
    fputs("Section [tersed]\n", out);
    manual_rows(out, config_rows, N_ROWS);
    fputs("\nSection [domain NAME], once for each domain that clients may "
          "open\n",
          out);
    manual_rows(out, domain_rows, N_DOMAIN_ROWS);
}
