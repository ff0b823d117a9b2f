/* proxy_config_test.c: good files, and the line of each mistake. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "proxy/config.h"

static char path[] = "/tmp/terse-config-XXXXXX";

/* Loads text as a file; what it complains about goes to said[1024], with the
 * path cut off. */
static struct config *load(const char *text, char *said) {
    FILE *file = fopen(path, "we"), *out;
    struct config *config;
    char *raw = NULL, *p;
    size_t n = 0;

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    fclose(file);
    out = open_memstream(&raw, &n);
    assert_non_null(out);
    config = config_load(path, out);
    fclose(out);
    said[0] = '\0';
    for (p = raw; p && *p;) {
        size_t skip = strncmp(p, path, strlen(path)) == 0 ? strlen(path) : 0;
        size_t line = strcspn(p, "\n") + 1;

        strncat(said, p + skip, line - skip);
        p += line;
    }
    free(raw);
    return config;
}

static void test_config_smallest_file_has_defaults(void **state) {
    char said[1024];
    struct config *c = load("[domain im.example.net]\nstarttls = off\n", said);

    (void)state;
    assert_string_equal(said, "");
    assert_non_null(c);
    assert_int_equal(c->n_listen, 1);
    assert_string_equal(c->listen[0], "127.0.0.1:5333");
    assert_int_equal(c->limits.stanza_bytes, 1048576);
    assert_int_equal(c->limits.depth, 64);
    assert_int_equal(c->login_timeout, 60000);
    assert_int_equal(c->login_bytes, 65536);
    assert_null(c->domains->server);
    config_rele(c);
}

static void test_config_values_units_and_sections_read(void **state) {
    char said[1024];
    struct config *c =
        load("; a comment\n[tersed]\nlisten = 127.0.0.1:1\n"
             "listen = [::1]:2\nlog_level = debug\nstanza_bytes = 2M\n"
             "close_timeout = 250ms\nlogin_timeout = 2m\n"
             "[domain IM.Example.NET]\nserver = 127.0.0.1:5299\n"
             "starttls = off\n"
             "[domain a-rather-long-name-for-a-domain.of-somebody.example.org]"
             "\nstarttls=optional ; with a comment\n",
             said);

    (void)state;
    assert_string_equal(said, "");
    assert_non_null(c);
    assert_int_equal(c->n_listen, 2);
    assert_string_equal(c->listen[1], "[::1]:2");
    assert_int_equal(c->limits.stanza_bytes, 2 * 1048576);
    assert_int_equal(c->close_timeout, 250);
    assert_int_equal(c->login_timeout, 120000);
    assert_string_equal(c->domains->name, "im.example.net");
    assert_string_equal(config_find(c, "im.EXAMPLE.net")->server,
                        "127.0.0.1:5299");
    assert_int_equal(config_find(c,
                                 "a-rather-long-name-for-a-domain.of-somebody."
                                 "example.org")
                         ->starttls,
                     STARTTLS_OPTIONAL);
    assert_null(config_find(c, "example.net"));
    config_rele(c);
}

static void test_config_mistakes_named_with_line(void **state) {
#define D "[domain a.example]\nstarttls = off\n"
    static const struct {
        const char *text, *said;
    } rows[] = {
        {"[tersed]\n", ":1: no [domain …] section: nobody could log in\n"},
        {D "[tersed]\nlog_level = loud\n",
         ":4: log_level: not one of the choices (loud)\n"},
        {D "[tersed]\n\nclose_timeout = 5\n",
         ":5: close_timeout: a time needs a unit: ms, s or m (5)\n"},
        {D "[tersed]\nstanza_bytes = 1G\n",
         ":4: stanza_bytes: unknown unit: use k or M (1G)\n"},
        {D "[tersed]\ndepth = 4000\n", ":4: depth: out of range (4000)\n"},
        {D "[tersed]\ndepth = -1\n", ":4: depth: not a number (-1)\n"},
        {D "[tersed]\nmax_connections = 99999999999\n",
         ":4: max_connections: number too large (99999999999)\n"},
        {D "[tersed]\nlisten = nowhere\n",
         ":4: listen: not an address with a port (nowhere)\n"},
        {D "[tersed]\ndepht = 4\n", ":4: unknown option (depht)\n"},
        {D "[tersed]\ndepth = 4\ndepth = 5\n",
         ":5: option given twice (depth)\n"},
        {"depth = 4\n" D, ":1: option before any section (depth)\n"},
        {D "[tresed]\ndepth = 4\n", ":3: unknown section (tresed)\n"},
        {D "[domain A.example]\n", ":3: domain given twice (A.example)\n"},
        {D "[domain a b]\n", ":3: not a domain name (a b)\n"},
        {D "[tersed]\nnonsense\n", ":4: not `name = value`\n"},
        {D "[domain b.example]\nca_file = /nonexistent/ca.pem\n",
         ":4: domain b.example: ca_file: No such file or directory "
         "(/nonexistent/ca.pem)\n"},
        {D "[tersed]\nlisten = *:5333\n",
         ":4: listen: *:5333 needs TLS, and there is no certificate; give one, "
         "or say clear = on\n"},
        {D "[tersed]\nclear = off\n",
         ":4: listen: 127.0.0.1:5333 needs TLS, and there is no certificate; "
         "give one, or say clear = on\n"},
        {D "[tersed]\nkey = /k.pem\n",
         ":4: key: there is no certificate beside it (/k.pem)\n"},
        {D "certificate = /nonexistent/c.pem\n",
         ":3: certificate: /nonexistent/c.pem: No such file or directory\n"},
        {D "[tersed]\nproxy_protocol_from = 127.0.0.1 10.0.0.1/8\n",
         ":4: proxy_protocol_from: neither an address nor a range "
         "(10.0.0.1/8)\n"},
        {D "[tersed]\nws_path = terse\n",
         ":4: ws_path: no path of a URL (terse)\n"},
        {D "[tersed]\nnative = off\nsp = off\nwebsocket = off\n",
         ":6: native, sp, websocket: one has to be on\n"},
        {D "server = a/b\n", ":3: server: not an address (a/b)\n"},
        {D "[tersed]\ndepth = 1\nx = y\n", /* all of them, not the first */
         ":4: depth: out of range (1)\n:5: unknown option (x)\n"},
    };
#undef D

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char said[1024];

        assert_null(load(rows[i].text, said));
        assert_string_equal(said, rows[i].said);
    }
}

static void test_config_line_too_long_refused(void **state) {
    char text[1000] = "[tersed]\ndns_servers = ", said[1024];

    (void)state;
    memset(text + strlen(text), 'x', 500);
    strcat(text, "\n[domain a.example]\nstarttls = off\n");
    assert_null(load(text, said));
    assert_non_null(strstr(said, ":2: line too long\n"));
}

static void test_config_missing_file_named(void **state) {
    char *raw = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&raw, &n);

    (void)state;
    assert_null(config_load("/nonexistent/tersed.conf", out));
    fclose(out);
    assert_string_equal(
        raw, "/nonexistent/tersed.conf: No such file or directory\n");
    free(raw);
}

static char *printed(void (*print)(FILE *)) {
    char *raw = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&raw, &n);

    assert_non_null(out);
    print(out);
    fclose(out);
    return raw;
}

/* The sample is valid as it is, and with every default made explicit. */
static void test_config_sample_is_a_good_file(void **state) {
    char *sample = printed(config_sample), *p, said[1024];
    struct config *c = load(sample, said);

    (void)state;
    assert_string_equal(said, "");
    assert_non_null(c);
    config_rele(c);
    for (p = sample; (p = strstr(p, "\n; ")) != NULL; p++) {
        size_t name = strspn(p + 3, "abcdefghijklmnopqrstuvwxyz_");

        if (strncmp(p + 3 + name, " = ", 3) == 0)
            memmove(p + 1, p + 3, strlen(p + 3) + 1);
    }
    assert_non_null(strstr(sample, "\nlogin_timeout = 60s\n"));
    c = load(sample, said);
    assert_string_equal(said, "");
    assert_non_null(c);
    config_rele(c);
    free(sample);
}

static void test_config_manual_names_every_option(void **state) {
    char *sample = printed(config_sample), *manual = printed(config_manual);
    unsigned options = 0;

    (void)state;
    for (char *p = sample; (p = strstr(p, "\n; ")) != NULL; p++) {
        size_t n = strspn(p + 3, "abcdefghijklmnopqrstuvwxyz_");
        char name[64];

        if (strncmp(p + 3 + n, " =", 2) != 0 || n >= sizeof(name) - 3)
            continue;
        snprintf(name, sizeof(name), "\n  %.*s", (int)n, p + 3);
        assert_non_null(strstr(manual, name));
        options++;
    }
    assert_true(options >= 20);
    free(sample);
    free(manual);
}

static void test_config_restart_needed_only_for_fixed_options(void **state) {
    static const char base[] = "[domain a.example]\nstarttls = off\n[tersed]\n";
    char text[256], said[1024];
    struct config *old = load(base, said), *now;
    FILE *null = fopen("/dev/null", "we");

    (void)state;
    assert_non_null(old);
    snprintf(text, sizeof(text), "%sdepth = 5\n", base);
    now = load(text, said);
    assert_false(config_needs_restart(old, now, null));
    config_rele(now);
    snprintf(text, sizeof(text), "%slisten = 127.0.0.1:7\n", base);
    now = load(text, said);
    assert_true(config_needs_restart(old, now, null));
    config_rele(now);
    config_rele(old);
    fclose(null);
}

static int make_file(void **state) {
    int fd = mkstemp(path);

    (void)state;
    return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state) {
    (void)state;
    return unlink(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_config_smallest_file_has_defaults),
        cmocka_unit_test(test_config_values_units_and_sections_read),
        cmocka_unit_test(test_config_mistakes_named_with_line),
        cmocka_unit_test(test_config_line_too_long_refused),
        cmocka_unit_test(test_config_missing_file_named),
        cmocka_unit_test(test_config_sample_is_a_good_file),
        cmocka_unit_test(test_config_manual_names_every_option),
        cmocka_unit_test(test_config_restart_needed_only_for_fixed_options),
    };

    return cmocka_run_group_tests_name("proxy_config", tests, make_file,
                                       remove_file);
}
