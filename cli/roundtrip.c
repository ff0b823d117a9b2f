/*
 * roundtrip.c: `terse roundtrip`: records to frames and back, compared.
 */
#include "cli.h"
#include "records.h"
#include "tap.h"
#include "trip.h"

#include <errno.h>
#include <string.h>

struct roundtrip {
    const struct cli_command *command;
    struct trip trip;
    struct records records; /* of the file being read */
    FILE *out, *frames;     /* NULL where not asked for */
    unsigned long passed, failed, refused;
    bool io_failed;
};

/* Writes one line of --out: {"xml"} of item, or {"error"}. */
static void write_line(struct roundtrip *rt, const struct trip_item *item,
                       const char *error) {
    json_t *line = json_object();
    json_t *text;
    if (!rt->out) {
        json_decref(line);
        return;
    }
    if (!error && item->verdict == TRIP_SAME)
        text = json_stringn(item->xml.p, item->xml.n);
    else
        text = json_string(error ? error : item->diff.text);
    const char *key = !error && item->verdict == TRIP_SAME ? "xml" : "error";
    if (json_object_set_new(line, key, text) != 0 ||
        json_dumpf(line, rt->out, JSON_COMPACT | JSON_ENSURE_ASCII) != 0 ||
        fputc('\n', rt->out) == EOF)
        rt->io_failed = true;
    json_decref(line);
}

/* Writes one frame as the native framing does: its length, then itself. */
static void write_frame(struct roundtrip *rt, struct terse_str frame) {
    if (rt->frames && frame.n > 0 && !tap_frame(rt->frames, frame.p, frame.n))
        rt->io_failed = true;
}

static void complain(const struct roundtrip *rt, const struct trip_item *item) {
    printf("%s:%lu: %s%s%s\n", rt->records.name, rt->records.line,
           item->diff.path, item->diff.path[0] ? ": " : "", item->diff.text);
}

/* A header or footer counts only where it fails, and has no line in --out. */
static void on_item(void *arg, const struct trip_item *item) {
    struct roundtrip *rt = arg;
    bool element = item->event == TERSE_ELEMENT;
    if (item->verdict == TRIP_FAILED) {
        rt->failed++;
        complain(rt, item);
    } else if (element) {
        rt->passed++;
        rt->refused += item->verdict == TRIP_REFUSED;
    }
    if (element)
        write_line(rt, item, NULL);
    write_frame(rt, item->frame);
}

/* A line that is no record still stands for an element that did not pass. */
static void on_bad_line(struct roundtrip *rt) {
    printf("%s:%lu: %s\n", rt->records.name, rt->records.line,
           rt->records.error);
    rt->failed++;
    write_line(rt, NULL, rt->records.error);
}

/* An XML text that holds no element at all, though it should. */
static void on_empty(struct roundtrip *rt) {
    struct trip_item item = {.verdict = TRIP_FAILED, .event = TERSE_ELEMENT};
    snprintf(item.diff.text, sizeof(item.diff.text), "no element in \"xml\"");
    on_item(rt, &item);
}

static int run_record(struct roundtrip *rt, const struct record *record) {
    enum terse_err err =
        trip_run(&rt->trip, record->header, record->xml, on_item, rt);
    if (err != TERSE_OK)
        return cli_complain(rt->command, "out of memory");
    if (rt->trip.events == 0 && record->kind == RECORD_ELEMENTS &&
        record->xml.n == 0)
        on_empty(rt);
    return CLI_OK;
}

static int run_file(struct roundtrip *rt, const char *name) {
    enum records_result result = RECORDS_IO;
    struct record record;
    int code = CLI_OK;
    if (records_init(&rt->records, name)) {
        while (code == CLI_OK) {
            result = records_next(&rt->records, &record);
            if (result == RECORDS_ONE)
                code = run_record(rt, &record);
            else if (result == RECORDS_BAD)
                on_bad_line(rt);
            else
                break;
        }
    }
    if (result == RECORDS_IO)
        code = cli_complain(rt->command, "%s: %s", name, rt->records.error);
    records_fini(&rt->records);
    return code;
}

/* Opens the file that option `name` asks for, if it does. */
static int open_out(const struct cli_args *args, const char *name, FILE **out) {
    const char *path = cli_value(args, name);
    if (!path)
        return CLI_OK;
    *out = fopen(path, "wb");
    if (!*out)
        return cli_complain(args->command, "%s: %s", path, strerror(errno));
    return CLI_OK;
}

static int close_out(struct roundtrip *rt, FILE *file) {
    if (file && fclose(file) != 0)
        rt->io_failed = true;
    return rt->io_failed ? cli_complain(rt->command, "cannot write a file")
                         : CLI_OK;
}

static int summary(const struct roundtrip *rt) {
    if (rt->refused)
        printf("%lu of those passed were refused by name, as RFC 6120 section "
               "11.1 demands\n",
               rt->refused);
    printf("%lu passed, %lu failed\n", rt->passed, rt->failed);
    return rt->failed ? CLI_FAILED : CLI_OK;
}

static int run(const struct cli_args *args) {
    struct roundtrip rt = {.command = args->command};
    int code = open_out(args, "out", &rt.out);
    if (code == CLI_OK)
        code = open_out(args, "frames", &rt.frames);
    if (code == CLI_OK && trip_init(&rt.trip) != TERSE_OK)
        code = cli_complain(args->command, "out of memory");
    for (int i = 0; i < args->n_files && code == CLI_OK; i++)
        code = run_file(&rt, args->files[i]);
    if (rt.trip.schema)
        trip_fini(&rt.trip);
    if (close_out(&rt, rt.out) != CLI_OK || close_out(&rt, rt.frames) != CLI_OK)
        code = CLI_USAGE;
    return code == CLI_OK ? summary(&rt) : code;
}

static const struct cli_option options[] = {
    {"out", "OUT.jsonl",
     "Write one line for each element, in order: {\"xml\"} as it was decoded, "
     "or {\"error\"}."},
    {"frames", "FILE",
     "Write every frame, headers and footers too, each after its length as a "
     "varint, as on a native connection."},
    {NULL, NULL, NULL},
};

const struct cli_command cli_roundtrip = {
    .name = "roundtrip",
    .synopsis = "[--out OUT.jsonl] [--frames FILE] FILE.jsonl...",
    .summary = "check that XML comes back from its frames unchanged",
    .description =
        "Takes each record through encode and decode and compares what comes "
        "back with what went in. FILE - is standard input. A record is one "
        "line of JSON, either\n"
        "\n"
        "  {\"xml\": \"<message .../>\", \"ctx\": {\"\": \"jabber:client\"}}\n"
        "\n"
        "where ctx (prefix: namespace) is what the stream around it declares, "
        "by default jabber:client and the prefix stream; or a line of a "
        "recorded session,\n"
        "\n"
        "  {\"t\": 0.1, \"dir\": \"c2s\", \"kind\": \"stanza\", \"xml\": "
        "\"...\", \"conn\": 1}\n"
        "\n"
        "whose elements stand in the last stream header of their direction "
        "and connection. Kinds are stream-open, stream-close, stanza, nonza "
        "and whitespace. A record may hold several elements.\n"
        "\n"
        "Two elements are the same when these are equal: expanded names, the "
        "unordered set of attributes, the order of all children, every "
        "character of text including white space. A second parser judges it, "
        "not the codec. An element that RFC 6120 section 11.1 forbids must be "
        "refused with restricted-xml, which counts as passed.\n"
        "\n"
        "Each failure is printed with file, line, element path and reason; "
        "the last line is \"N passed, M failed\", which counts elements. "
        "Stream headers and footers are checked too, but count only where "
        "they fail, and have no line in OUT.jsonl; neither has white space.",
    .options = options,
    .exits = "0  all passed\n"
             "1  at least one failed\n"
             "2  wrong arguments, or a file that cannot be read or written",
    .examples = "terse roundtrip tests/corpus/*.jsonl\n"
                "echo '{\"xml\": \"<presence/>\"}' | terse roundtrip --out "
                "/dev/stdout -",
    .takes_files = true,
    .run = run,
};
