/*
 * measure.c: `terse measure`: the bytes of recorded sessions, as XML, as
 * frames, and compressed.
 */
#include "cli.h"
#include "plot.h"
#include "records.h"
#include "squeeze.h"
#include "tap.h"
#include "top.h"
#include "trip.h"

#include <errno.h>
#include <string.h>

enum { C2S, S2C, DIRS };
static const char *const dir_names[DIRS] = {"c2s", "s2c"};

/* Bytes by direction. */
struct sums {
    unsigned long elements[DIRS];
    uint64_t xml[DIRS], frames[DIRS], stateless[DIRS], zlib9[DIRS], xz[DIRS];
};

/* Both ends of the connection that is being measured. */
struct ends {
    struct terse_state_limits bounds; /* of both */
    struct terse_peer *peer[DIRS];    /* by the direction that each sends in */
    struct terse_work work;
    struct terse_buf wire, back;
};

struct measure {
    const struct cli_command *command;
    struct trip trip;
    struct ends ends;
    struct tap tap;         /* on them */
    struct records records; /* of the file being read */
    struct squeeze squeeze[DIRS];
    struct sums sums;  /* of that file */
    struct top *top;   /* NULL where not asked for */
    struct plot *plot; /* the same */
    int dir;           /* of the record being read */
    bool failed;
};

/* ---- the connection ------------------------------------------------------ */

static void ends_init(struct ends *e) {
    *e = (struct ends){.bounds = terse_state_limits_default};
    terse_work_init(&e->work, &terse_limits_default);
    terse_buf_init(&e->wire, terse_limits_default.frame_bytes);
    terse_buf_init(&e->back, terse_limits_default.frame_bytes);
}

/* The connection ends: nothing is remembered any more. */
static void ends_forget(struct ends *e) {
    for (int d = 0; d < DIRS; d++) {
        terse_peer_free(e->peer[d]);
        e->peer[d] = NULL;
    }
}

static void ends_fini(struct ends *e) {
    ends_forget(e);
    terse_work_fini(&e->work);
    terse_buf_fini(&e->wire);
    terse_buf_fini(&e->back);
}

/* Sends a frame from one end to the other, which must get just that. */
static enum terse_err ends_send(struct ends *e, const struct terse_schema *s,
                                int dir, struct terse_str frame) {
    enum terse_err err = TERSE_OK;
    for (int d = 0; d < DIRS && err == TERSE_OK; d++)
        if (!e->peer[d])
            err = terse_peer_new(&e->peer[d], s, &e->bounds, d == C2S);
    if (err == TERSE_OK)
        err =
            terse_peer_pack(e->peer[dir], frame.p, frame.n, &e->work, &e->wire);
    if (err == TERSE_OK)
        err = terse_peer_unpack(e->peer[!dir], terse_buf_data(&e->wire),
                                e->wire.len, &e->work, &e->back);
    if (err != TERSE_OK)
        return err;
    bool same = e->back.len == frame.n &&
                memcmp(terse_buf_data(&e->back), frame.p, frame.n) == 0;
    return same ? TERSE_OK : TERSE_EFRAME;
}

static struct terse_str on_wire(const struct ends *e) {
    return (struct terse_str){(const char *)terse_buf_data(&e->wire),
                              e->wire.len};
}

/* ---- one file ------------------------------------------------------------ */

static void tap_failed(struct measure *m) {
    cli_complain(m->command, "%s: %s", m->tap.dir, strerror(errno));
    m->tap.dir = NULL; /* once is enough */
    m->failed = true;
}

static void on_item(void *arg, const struct trip_item *item) {
    struct measure *m = arg;
    if (item->verdict != TRIP_SAME) {
        fprintf(stderr, "%s:%lu: %s%s%s\n", m->records.name, m->records.line,
                item->diff.path, item->diff.path[0] ? ": " : "",
                item->diff.text);
        m->failed = true;
        return;
    }
    m->sums.elements[m->dir] += item->event == TERSE_ELEMENT;
    m->sums.stateless[m->dir] += item->frame.n;
    if (ends_send(&m->ends, m->trip.schema, m->dir, item->frame) != TERSE_OK) {
        fprintf(stderr, "%s:%lu: does not come back from the wire\n",
                m->records.name, m->records.line);
        m->failed = true;
    }
    m->sums.frames[m->dir] += m->ends.wire.len;
    if (!tap_write(&m->tap, m->dir, item->frame, on_wire(&m->ends)))
        tap_failed(m);
    if (m->top && top_add(m->top, item->frame.p, item->frame.n) != TERSE_OK)
        m->failed = true;
}

static enum terse_err end_connection(struct measure *m) {
    enum terse_err err = squeeze_end(&m->squeeze[C2S]);
    ends_forget(&m->ends);
    if (!tap_end(&m->tap))
        tap_failed(m);
    return err == TERSE_OK ? squeeze_end(&m->squeeze[S2C]) : err;
}

static enum terse_err run_record(struct measure *m, const struct record *rec) {
    enum terse_err err = TERSE_OK;
    if (rec->dir < 0) {
        fprintf(stderr,
                "%s:%lu: no \"dir\" and \"kind\": not a recorded "
                "session\n",
                m->records.name, m->records.line);
        m->failed = true;
        return TERSE_OK;
    }
    if (rec->new_conn)
        err = end_connection(m);
    m->dir = rec->dir;
    m->sums.xml[rec->dir] += rec->raw.n;
    if (err == TERSE_OK)
        err = squeeze_add(&m->squeeze[rec->dir], rec->raw.p, rec->raw.n);
    if (err == TERSE_OK && rec->kind != RECORD_SPACE)
        err = trip_run(&m->trip, rec->header, rec->xml, on_item, m);
    return err;
}

/* Reads the open file to its end. */
static int read_records(struct measure *m) {
    enum terse_err err = TERSE_OK;
    enum records_result result = RECORDS_END;
    struct record record;
    while (err == TERSE_OK) {
        result = records_next(&m->records, &record);
        if (result == RECORDS_ONE) {
            err = run_record(m, &record);
        } else if (result == RECORDS_BAD) {
            fprintf(stderr, "%s:%lu: %s\n", m->records.name, m->records.line,
                    m->records.error);
            m->failed = true;
        } else {
            break;
        }
    }
    if (result == RECORDS_IO)
        return cli_complain(m->command, "%s: %s", m->records.name,
                            m->records.error);
    if (err == TERSE_OK)
        err = end_connection(m);
    if (err == TERSE_ELIMIT)
        return cli_complain(m->command, "%s: too large to measure",
                            m->records.name);
    return err == TERSE_OK ? CLI_OK : cli_complain(m->command, "out of memory");
}

static int run_file(struct measure *m, const char *name, const char *tap_dir) {
    int code;
    tap_init(&m->tap, tap_dir, name);
    memset(&m->sums, 0, sizeof(m->sums));
    for (int d = 0; d < DIRS; d++)
        squeeze_init(&m->squeeze[d]);
    if (records_init(&m->records, name))
        code = read_records(m);
    else
        code = cli_complain(m->command, "%s: %s", name, m->records.error);
    for (int d = 0; d < DIRS; d++) {
        m->sums.zlib9[d] = m->squeeze[d].zlib9;
        m->sums.xz[d] = m->squeeze[d].xz;
        squeeze_fini(&m->squeeze[d]);
    }
    records_fini(&m->records);
    if (!tap_end(&m->tap))
        tap_failed(m);
    return code;
}

/* ---- output -------------------------------------------------------------- */

static json_t *pair(const uint64_t v[DIRS]) {
    return json_pack("[I,I]", (json_int_t)v[C2S], (json_int_t)v[S2C]);
}

static int print_json(const char *file, const struct sums *s) {
    json_t *line = json_pack(
        "{s:s, s:I, s:o, s:o, s:o, s:o, s:o}", "file", file, "elements",
        (json_int_t)(s->elements[C2S] + s->elements[S2C]), "xml", pair(s->xml),
        "frames", pair(s->frames), "stateless", pair(s->stateless), "zlib9",
        pair(s->zlib9), "xz", pair(s->xz));
    int rc = line ? json_dumpf(line, stdout, 0) : -1;
    json_decref(line);
    return rc != 0 || putchar('\n') == EOF ? CLI_USAGE : CLI_OK;
}

static double ratio(uint64_t a, uint64_t b) {
    return b ? (double)a / (double)b : 0;
}

static void print_head(void) {
    printf("%-26s %-4s %8s %9s %9s %9s %9s %9s %6s %6s %6s %6s\n", "file",
           "dir", "elements", "XML", "stateless", "frames", "zlib-9", "xz",
           "st/XML", "fr/XML", "fr/zl", "fr/xz");
}

enum { COLUMNS = 5 };

static void print_row(const char *file, const char *dir, unsigned long elements,
                      const uint64_t v[COLUMNS]) {
    printf("%-26.26s %-4s %8lu", file, dir, elements);
    for (int i = 0; i < COLUMNS; i++)
        printf(" %9llu", (unsigned long long)v[i]);
    printf(" %6.3f %6.3f %6.3f %6.3f\n", ratio(v[1], v[0]), ratio(v[2], v[0]),
           ratio(v[2], v[3]), ratio(v[2], v[4]));
}

/* A row for each direction, and one for both. */
static void print_rows(const char *file, const struct sums *s) {
    uint64_t both[COLUMNS] = {0};
    const char *slash = strrchr(file, '/');
    for (int d = 0; d < DIRS; d++) {
        uint64_t v[COLUMNS] = {s->xml[d], s->stateless[d], s->frames[d],
                               s->zlib9[d], s->xz[d]};
        print_row(d == 0 ? (slash ? slash + 1 : file) : "", dir_names[d],
                  s->elements[d], v);
        for (int i = 0; i < COLUMNS; i++)
            both[i] += v[i];
    }
    print_row("", "both", s->elements[C2S] + s->elements[S2C], both);
}

static int print(bool json, const char *file, const struct sums *sums) {
    if (json)
        return print_json(file, sums);
    print_rows(file, sums);
    return CLI_OK;
}

/* A group of bars for these sums, where a picture is asked for. */
static int draw(struct measure *m, const char *file, const struct sums *s) {
    uint64_t v[PLOT_BARS] = {0};
    for (int d = 0; d < DIRS; d++) {
        v[PLOT_XML] += s->xml[d];
        v[PLOT_STATELESS] += s->stateless[d];
        v[PLOT_FRAMES] += s->frames[d];
        v[PLOT_ZLIB9] += s->zlib9[d];
        v[PLOT_XZ] += s->xz[d];
    }
    if (m->plot && !plot_add(m->plot, file, v))
        return cli_complain(m->command, "out of memory");
    return CLI_OK;
}

static int write_plot(const struct measure *m, const char *name) {
    FILE *out = fopen(name, "w");
    bool ok = out && plot_write(m->plot, out);
    if (out && fclose(out) != 0)
        ok = false;
    return ok ? CLI_OK
              : cli_complain(m->command, "%s: %s", name, strerror(errno));
}

static void add(struct sums *total, const struct sums *s) {
    for (int d = 0; d < DIRS; d++) {
        total->elements[d] += s->elements[d];
        total->xml[d] += s->xml[d];
        total->frames[d] += s->frames[d];
        total->stateless[d] += s->stateless[d];
        total->zlib9[d] += s->zlib9[d];
        total->xz[d] += s->xz[d];
    }
}

static int measure(const struct cli_args *args, struct measure *m) {
    struct sums total = {{0}, {0}, {0}, {0}, {0}, {0}};
    bool json = cli_value(args, "json") != NULL;
    int code = CLI_OK;
    if (!json)
        print_head();
    for (int i = 0; i < args->n_files && code == CLI_OK; i++) {
        code = run_file(m, args->files[i], cli_value(args, "wire"));
        if (code == CLI_OK)
            code = print(json, args->files[i], &m->sums);
        if (code == CLI_OK)
            code = draw(m, args->files[i], &m->sums);
        add(&total, &m->sums);
    }
    if (code == CLI_OK)
        code = print(json, "total", &total);
    if (code == CLI_OK)
        code = draw(m, "all together", &total);
    if (code == CLI_OK && m->plot)
        code = write_plot(m, cli_value(args, "plot"));
    if (code == CLI_OK && m->top)
        top_print(m->top, stdout);
    if (code == CLI_OK && fflush(stdout) != 0)
        code = cli_complain(m->command, "cannot write standard output");
    return code == CLI_OK && m->failed ? CLI_FAILED : code;
}

/* Reads "SLOTS,BYTES,TEMPLATES,BYTES". */
static bool read_bounds(const char *text, struct terse_state_limits *out) {
    int end = 0;
    return strspn(text, "0123456789,") == strlen(text) &&
           sscanf(text, "%9u,%9u,%9u,%9u%n", &out->slots, &out->templates,
                  &out->journal, &out->bytes, &end) == 4 &&
           text[end] == '\0';
}

static int run(const struct cli_args *args) {
    struct measure m = {.command = args->command};
    const char *bounds = cli_value(args, "bounds");
    ends_init(&m.ends);
    if (bounds && !read_bounds(bounds, &m.ends.bounds))
        return cli_complain(args->command, "--bounds %s: not four numbers",
                            bounds);
    if (cli_value(args, "top") && cli_value(args, "json"))
        return cli_complain(args->command, "--json or --top, not both");
    if (cli_value(args, "top") && !(m.top = top_new()))
        return cli_complain(args->command, "out of memory");
    if ((cli_value(args, "plot") && !(m.plot = plot_new())) ||
        trip_init(&m.trip) != TERSE_OK) {
        top_free(m.top);
        plot_free(m.plot);
        return cli_complain(args->command, "out of memory");
    }
    int code = measure(args, &m);
    ends_fini(&m.ends);
    trip_fini(&m.trip);
    top_free(m.top);
    plot_free(m.plot);
    return code;
}

static const struct cli_option options[] = {
    {"json", NULL,
     "Print one JSON object per file and a last one, file \"total\": "
     "{\"file\", "
     "\"elements\", \"xml\", \"frames\", \"stateless\", \"zlib9\", \"xz\"}, "
     "each size a pair [c2s, s2c]."},
    {"top", NULL,
     "Print which fields the frames' bytes go to, too, and how many bytes are "
     "in elements that no schema names."},
    {"plot", "FILE.svg",
     "Draw it: for each file, and for all together, bars for XML, frames that "
     "stand alone, frames with state, zlib and xz, and what share of the XML "
     "they are."},
    {"bounds", "N,N,N,N",
     "How many slots, templates and waiting ids both ends remember of what the "
     "server sends, and how many bytes; of what the client sends they remember "
     "less (docs/wire.md). 0,0,0,0 is nothing."},
    {"wire", "DIR",
     "Write each connection to DIR, which must exist: FILE.jsonl.1.wire is "
     "what "
     "went over the first one, with state, and FILE.jsonl.1.frames the same "
     "frames without. Each frame is behind a byte c or s, who sent it, and its "
     "length as a varint."},
    {NULL, NULL, NULL},
};

const struct cli_command cli_measure = {
    .name = "measure",
    .synopsis = "[--json | --top] [--plot FILE.svg] "
                "[--bounds N,N,N,N] [--wire DIR] FILE.jsonl...",
    .summary = "count the bytes of recorded sessions",
    .description =
        "Reads recorded sessions, as terse roundtrip does, and prints for "
        "each file and in total, by direction, the bytes of:\n"
        "\n"
        "  XML        as recorded, stream headers and white space included\n"
        "  stateless  the frames alone, each by itself, without the framing\n"
        "             of a transport\n"
        "  frames     the frames as they go over a connection whose ends\n"
        "             remember what they do by default, or what --bounds says\n"
        "  zlib-9     the XML through one zlib stream per direction and\n"
        "             connection, level 9, with a sync flush per element\n"
        "  xz         the XML of a direction and connection at once by xz\n"
        "             -9e: a limit, since nothing can be read before the end\n"
        "\n"
        "A WebSocket's <open/> and <close/> (RFC 7395) count as what they "
        "are in XML and as Open and Close in frames; white space between "
        "elements has no frame. \"elements\" counts what is neither header "
        "nor footer.\n"
        "\n"
        "Every frame is decoded and compared; one that does not give the "
        "same element back is named on standard error, and the command "
        "fails.",
    .options = options,
    .exits = "0  measured, and every frame gives its element back\n"
             "1  an element has no frame, or does not come back\n"
             "2  wrong arguments, or a file that cannot be read",
    .examples = "terse measure tests/corpus/*.jsonl\n"
                "terse measure --json tests/corpus/*.jsonl | tail -n 1",
    .takes_files = true,
    .run = run,
};
