/*
 * end.c: one end of a connection, for tests/check/17-grow, which links it with
 * tables of different schemas.
 *
 *   end begin|answer XML LOG
 *
 * XML: a stream, whose elements are sent.
 * Frames go out on stdout and come in on stdin, each behind its length, in
 * turns: one from the end that begins, one from the other. LOG gets a line for
 * each: "sent" and the frame without state, or "got" and the XML, in hex; and
 * "revision" and what the ends agreed upon.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/terse.h"

struct end {
    struct terse_schema *schema;
    struct terse_peer *peer;
    struct terse_work work;
    struct terse_buf plain, wire, xml;
    FILE *log;
    bool begins;
};

/* Whatever goes wrong here fails the test. */
static void must(bool ok, const char *what) {
    if (ok)
        return;
    fprintf(stderr, "end: %s\n", what);
    exit(1);
}

static void must_do(enum terse_err err, const struct terse_error *error,
                    const char *what) {
    if (err != TERSE_OK)
        fprintf(stderr, "end: %s: %s: %s\n", what, terse_err_condition(err),
                error ? error->text : "");
    must(err == TERSE_OK, what);
}

static void write_log(const struct end *end, const char *what,
                      const struct terse_buf *buf) {
    fprintf(end->log, "%s ", what);
    for (size_t i = 0; i < buf->len; i++)
        fprintf(end->log, "%02x", terse_buf_data(buf)[i]);
    putc('\n', end->log);
}

static void send_event(struct end *end, enum terse_event event,
                       const struct terse_node *node) {
    struct terse_limits limits = terse_limits_default;
    struct terse_error error = {0};
    limits.revision = terse_peer_revision(end->peer);
    must_do(
        terse_encode(end->schema, &limits, event, node, &end->plain, &error),
        &error, "encode");
    write_log(end, "sent", &end->plain);
    must_do(terse_peer_pack(end->peer, terse_buf_data(&end->plain),
                            end->plain.len, &end->work, &end->wire),
            NULL, "pack");
    uint32_t n = (uint32_t)end->wire.len;
    must(fwrite(&n, sizeof(n), 1, stdout) == 1 &&
             fwrite(terse_buf_data(&end->wire), 1, n, stdout) == n &&
             fflush(stdout) == 0,
         "the other end is gone");
}

static void receive(struct end *end) {
    struct terse_error error = {0};
    uint32_t n;
    must(fread(&n, sizeof(n), 1, stdin) == 1, "the other end is gone");
    uint8_t *frame = malloc(n + 1u);
    must(frame && fread(frame, 1, n, stdin) == n, "half a frame");
    must_do(terse_peer_unpack(end->peer, frame, n, &end->work, &end->plain),
            NULL, "unpack");
    free(frame);
    terse_buf_reset(&end->xml);
    must_do(terse_decode(end->schema, &terse_limits_default,
                         terse_buf_data(&end->plain), end->plain.len,
                         TERSE_STANDALONE, &end->xml, &error),
            &error, "decode");
    write_log(end, "got", &end->xml);
}

/* The reader's callback. */
static enum terse_err on_event(void *arg, enum terse_event event,
                               struct terse_node *node) {
    struct end *end = arg;
    if (!end->begins)
        receive(end);
    send_event(end, event, node);
    if (end->begins)
        receive(end);
    return TERSE_OK;
}

static void init(struct end *end, const char *role, const char *log) {
    *end = (struct end){.begins = strcmp(role, "begin") == 0};
    terse_buf_init(&end->plain, terse_limits_default.frame_bytes);
    terse_buf_init(&end->wire, terse_limits_default.frame_bytes);
    terse_buf_init(&end->xml, terse_limits_default.stanza_bytes);
    terse_work_init(&end->work, &terse_limits_default);
    end->log = fopen(log, "w");
    must(end->log != NULL, log);
    must_do(terse_schema_new(&end->schema), NULL, "schema");
    must_do(terse_peer_new(&end->peer, end->schema, &terse_state_limits_default,
                           end->begins),
            NULL, "peer");
}

static void fini(struct end *end) {
    must(fclose(end->log) == 0, "the log is not whole");
    terse_peer_free(end->peer);
    terse_schema_free(end->schema);
    terse_work_fini(&end->work);
    terse_buf_fini(&end->plain);
    terse_buf_fini(&end->wire);
    terse_buf_fini(&end->xml);
}

int main(int argc, char **argv) {
    struct end end;
    struct terse_reader *reader;
    char chunk[4096];
    must(argc == 4, "usage: end begin|answer XML LOG");
    init(&end, argv[1], argv[3]);
    FILE *xml = fopen(argv[2], "r");
    must(xml != NULL, argv[2]);
    must_do(terse_reader_new(&reader, end.schema, &terse_limits_default,
                             on_event, &end),
            NULL, "reader");
    for (size_t n; (n = fread(chunk, 1, sizeof(chunk), xml)) > 0;)
        must_do(terse_reader_feed(reader, chunk, n), terse_reader_error(reader),
                "read");
    fprintf(end.log, "revision %" PRIu32 "\n", terse_peer_revision(end.peer));
    fclose(xml);
    terse_reader_free(reader);
    fini(&end);
    return 0;
}
