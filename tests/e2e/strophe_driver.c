/*
 * strophe_driver.c: an ordinary libstrophe program, driven over stdin and
 * stdout, one command or event a line (\n, \r, \\ escaped):
 *   strophe_driver HOST PORT
 *   login JID PASSWORD SM  logs in (SM 0: without stream management); the
 *                          arguments are separated by tabs; answers "ready
 *                          FULLJID" or "gone"
 *   open DOMAIN            opens a stream and does not log in; answers "ready"
 *   send XML               sends a stanza
 *   raw XML                sends these bytes
 *   drop                   loses the connection with nothing said
 *   resume                 connects again and resumes; answers "ready" or
 * "gone" Prints "in XML" for each stanza, "failure XML" for a refused login.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strophe.h>
#include <sys/socket.h>
#include <unistd.h>

static xmpp_ctx_t *ctx;
static xmpp_conn_t *conn;
static const char *host;
static unsigned short port;
static char *jid, *password;
static int fd = -1;
static bool raw, without_sm;

static void emit(const char *tag, const char *text) {
    printf("%s ", tag);
    for (; *text; text++) {
        if (*text == '\n' || *text == '\r')
            fputs(*text == '\n' ? "\\n" : "\\r", stdout);
        else if (*text == '\\')
            fputs("\\\\", stdout);
        else
            putchar(*text);
    }
    putchar('\n');
    fflush(stdout);
}

/* libstrophe tells only its log why a login was refused. */
static void on_log(void *arg, xmpp_log_level_t level, const char *area,
                   const char *msg) {
    (void)arg, (void)level, (void)area;
    const char *failure = strstr(msg, "RECV: <failure");
    if (failure)
        emit("failure", failure + strlen("RECV: "));
    if (getenv("STROPHE_DEBUG"))
        fprintf(stderr, "%s\n", msg);
}

static int on_stanza(xmpp_conn_t *from, xmpp_stanza_t *stanza, void *arg) {
    (void)from, (void)arg;
    char *text;
    size_t n;
    if (xmpp_stanza_to_text(stanza, &text, &n) == XMPP_EOK) {
        emit("in", text);
        xmpp_free(ctx, text);
    }
    return 1;
}

static int on_socket(xmpp_conn_t *of, void *sock) {
    (void)of;
    fd = *(int *)sock;
    return 0;
}

static void on_event(xmpp_conn_t *of, xmpp_conn_event_t event, int error,
                     xmpp_stream_error_t *stream_error, void *arg) {
    (void)error, (void)arg;
    const char *bound;
    switch (event) {
    case XMPP_CONN_RAW_CONNECT:
        xmpp_conn_open_stream_default(of);
        emit("ready", "");
        break;
    case XMPP_CONN_CONNECT:
        bound = xmpp_conn_get_bound_jid(of);
        if (!raw)
            emit("ready", bound ? bound : "");
        break;
    default:
        fd = -1;
        emit("gone",
             stream_error && stream_error->text ? stream_error->text : "");
    }
}

/* A new connection object, ready to connect. */
static void new_conn(void) {
    conn = xmpp_conn_new(ctx);
    xmpp_conn_set_jid(conn, jid);
    if (password)
        xmpp_conn_set_pass(conn, password);
    xmpp_conn_set_flags(
        conn, (long)XMPP_CONN_FLAG_DISABLE_TLS |
                  (without_sm ? (long)XMPP_CONN_FLAG_DISABLE_SM : 0L));
    xmpp_conn_set_sockopt_callback(conn, on_socket);
    xmpp_handler_add(conn, on_stanza, NULL, NULL, NULL, NULL);
}

static void login(char *args) {
    char *save, *sm;
    free(jid);
    free(password);
    jid = strdup(strtok_r(args, "\t", &save));
    password = strdup(strtok_r(NULL, "\t", &save));
    sm = strtok_r(NULL, "\t", &save);
    without_sm = sm && strcmp(sm, "0") == 0;
    raw = false;
    if (conn)
        xmpp_conn_release(conn);
    new_conn();
    if (xmpp_connect_client(conn, host, port, on_event, NULL) != XMPP_EOK)
        emit("gone", "cannot connect");
}

static void open_only(const char *domain) {
    free(jid);
    jid = strdup(domain);
    raw = true;
    new_conn();
    if (xmpp_connect_raw(conn, host, port, on_event, NULL) != XMPP_EOK)
        emit("gone", "cannot connect");
}

static void resume(void) {
    xmpp_sm_state_t *state = xmpp_conn_get_sm_state(conn);
    xmpp_conn_release(conn);
    new_conn();
    if (!state || xmpp_conn_set_sm_state(conn, state) != XMPP_EOK)
        emit("bad", "no stream management state");
    else if (xmpp_connect_client(conn, host, port, on_event, NULL) != XMPP_EOK)
        emit("gone", "cannot connect");
}

/* Undoes the escapes in place. */
static void unescape(char *s) {
    char *to = s;
    for (const char *from = s; *from; from++) {
        if (*from == '\\' && from[1]) {
            from++;
            *to++ = (char)(*from == 'n' ? '\n' : *from == 'r' ? '\r' : *from);
        } else {
            *to++ = *from;
        }
    }
    *to = 0;
}

static void send_stanza(const char *xml) {
    xmpp_stanza_t *stanza = xmpp_stanza_new_from_string(ctx, xml);
    if (!stanza) {
        emit("bad", "libstrophe cannot read this stanza");
        return;
    }
    xmpp_send(conn, stanza);
    xmpp_stanza_release(stanza);
}

static void command(char *line) {
    char *args = strchr(line, ' ');
    unescape(line);
    if (args)
        *args++ = 0;
    else
        args = line + strlen(line);
    if (strcmp(line, "login") == 0)
        login(args);
    else if (strcmp(line, "open") == 0)
        open_only(args);
    else if (strcmp(line, "send") == 0)
        send_stanza(args);
    else if (strcmp(line, "raw") == 0)
        xmpp_send_raw(conn, args, strlen(args));
    else if (strcmp(line, "drop") == 0)
        shutdown(fd, SHUT_RDWR);
    else if (strcmp(line, "resume") == 0)
        resume();
    else if (strcmp(line, "close") == 0)
        xmpp_disconnect(conn);
    else
        emit("bad", "unknown command");
}

/* Reads what stdin has; false at its end. */
static bool read_commands(void) {
    static char *buf;
    static size_t len, cap;
    ssize_t n;
    if (cap - len < 65536) {
        cap = cap ? 2 * cap : 131072;
        buf = realloc(buf, cap);
        if (!buf)
            abort();
    }
    n = read(STDIN_FILENO, buf + len, cap - len - 1);
    if (n <= 0)
        return n < 0;
    len += (size_t)n;
    char *start = buf, *end;
    while ((end = memchr(start, '\n', len - (size_t)(start - buf)))) {
        *end = 0;
        command(start);
        start = end + 1;
    }
    len -= (size_t)(start - buf);
    memmove(buf, start, len);
    return true;
}

int main(int argc, char **argv) {
    if (argc != 3)
        return 2;
    host = argv[1];
    port = (unsigned short)atoi(argv[2]);
    xmpp_log_t log = {on_log, NULL};
    signal(SIGPIPE, SIG_IGN); /* libstrophe does not */
    xmpp_initialize();
    ctx = xmpp_ctx_new(NULL, &log);
    fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK);
    for (;;) {
        struct pollfd fds[2] = {{STDIN_FILENO, POLLIN, 0}, {fd, POLLIN, 0}};
        poll(fds, 2, 10);
        if (fds[0].revents && !read_commands())
            break;
        xmpp_run_once(ctx, 1);
    }
    return 0;
}
